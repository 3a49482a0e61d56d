/** `mmtop import`: a trace of a real program as a workload, or what vmstat and sar printed as a recording. */
import { gunzipSync } from 'node:zlib'
import { type Report, readSar, readVmstat } from '../recording/report.ts'
import { createRecording } from '../recording/writer.ts'
import { UserError } from '../user_error.ts'
import type { Trace } from '../workload/trace.ts'
import { readPerf } from '../workload/trace_perf.ts'
import { readStrace } from '../workload/trace_strace.ts'
import { traceWorkload } from '../workload/trace_workload.ts'
import { complain, EXIT } from './exit.ts'
import { readBytes, writeOutput } from './files.ts'

/** The tools whose texts are understood. */
const IMPORTERS: Readonly<Record<string, (text: string, file: string) => Trace>> = { perf: readPerf, strace: readStrace }

/** Tools whose texts become recordings; `intervalNs` is the time between rows of texts without times. */
const REPORTS: Readonly<Record<string, (text: string, file: string, intervalNs: number) => Report>> = { vmstat: readVmstat, sar: readSar }

/** A text file, unpacked where it is gzip. @throws UserError where there is none or it is too large */
export function readText(file: string): string {
  const bytes = readBytes(file)
  if (bytes.length === 0) throw new UserError('the file is empty', { file })
  try {
    return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes, { maxOutputLength: LIMIT_BYTES }) : bytes).toString('utf8')
  } catch {
    throw new UserError('the compressed data cannot be read, or is too large', { file })
  }
}

const LIMIT_BYTES = 512 * 2 ** 20

/** Writes the workload or recording, and on stderr what the text could not tell. @throws UserError for a text that cannot be read */
export function importText(tool: string, file: string, output: string, intervalNs: number): number {
  return Object.hasOwn(REPORTS, tool) ? importReport(tool, file, output, intervalNs) : importTrace(tool, file, output)
}

function importReport(tool: string, file: string, output: string, intervalNs: number): number {
  const { frames, notes } = REPORTS[tool](readText(file), file, intervalNs)
  const recorder = createRecording(output, { kind: 'host', title: file.replace(/.*\//, ''), tunables: [] })
  const said = ['/mmtop/events', [`imported from ${tool}`, ...notes].map(text => `0 note ${text}\n`).join('')] as const
  for (const [i, frame] of frames.entries()) recorder.append(i > 0 ? frame : { ns: frame.ns, files: new Map([...frame.files, said]) })
  recorder.close()
  complain(`${output}: ${frames.length} samples`)
  for (const text of notes) complain(text)
  return EXIT.asked
}

function importTrace(tool: string, file: string, output: string): number {
  const { lines, notes } = traceWorkload(IMPORTERS[tool](readText(file), file), file.replace(/.*\/|\..*$/g, ''))
  const faults = lines.reduce((sum, line) => sum + line.faults, 0)
  const opening = [
    `# ${file.replace(/.*\//, '')}, a trace of a real program: ${faults} page faults at the addresses where it had them.`,
    ...notes.map(text => `# ${text}`),
  ]
  writeOutput(output, `${[...opening, ...lines.map(({ text }) => text)].join('\n')}\n`)
  complain(`${output}: ${lines.length} lines, ${faults} page faults`)
  for (const text of notes) complain(text)
  return EXIT.asked
}
