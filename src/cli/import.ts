/** `mmtop import`: a trace of a real program as a workload. */
import { gunzipSync } from 'node:zlib'
import { UserError } from '../user_error.ts'
import type { Trace } from '../workload/trace.ts'
import { readPerf } from '../workload/trace_perf.ts'
import { readStrace } from '../workload/trace_strace.ts'
import { traceWorkload } from '../workload/trace_workload.ts'
import { complain, EXIT } from './exit.ts'
import { readBytes, writeOutput } from './files.ts'

/** The tools whose texts are understood. */
export const IMPORTERS: Readonly<Record<string, (text: string, file: string) => Trace>> = { perf: readPerf, strace: readStrace }

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

/** Writes the workload, and on stderr what the trace could not tell. @throws UserError for a trace that cannot be read */
export function importTrace(tool: string, file: string, output: string): number {
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
