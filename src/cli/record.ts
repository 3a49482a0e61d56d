/** `mmtop record`: a source into a file, of mmtop's own format or with the full text of every file. */
import { closeSync, writeSync } from 'node:fs'
import { release, version } from 'node:os'
import { createRecording } from '../recording/writer.ts'
import { summaryPaths } from '../sample/files.ts'
import { toSample } from '../sample/sample.ts'
import type { Frame } from '../sample/source.ts'
import { EXIT } from './exit.ts'
import { openOutput, writing } from './files.ts'
import { judgeFailures, type Opened } from './open.ts'

/** What takes the frames of a recording. */
interface Recorder {
  append(frame: Frame): void
  close(): void
}

/**
 * The host's texts in the oracle's format (recording/raw.ts): a header with the knobs, a line a sample, an end.
 * @returns as `record` does
 */
export function recordTexts(source: Opened, output: string, count: number): Promise<number> {
  const fd = openOutput(output)
  let last: Frame | undefined
  const line = (value: object) => writing(output, () => writeSync(fd, `${JSON.stringify(value)}\n`))
  return follow(source, count, {
    append: frame => {
      if (last === undefined) {
        const tunables = Object.fromEntries(
          source.tunables.flatMap(({ path }) => (frame.files.has(path) ? [[path, frame.files.get(path)]] : [])),
        )
        line({ event: 'header', format: 1, machine: 'machine', uname: release(), version: version(), tunables })
      }
      last = frame
      const files = Object.fromEntries([...frame.files].filter(([path]) => !path.startsWith('/mmtop/')))
      line({ t_ns: frame.ns, op: 'sample', ret: 0, sampled_ns: frame.ns, files })
    },
    close: () => {
      if (last !== undefined) line({ event: 'end', t_ns: last.ns })
      closeSync(fd)
    },
  })
}

/**
 * Records until the source ends, `count` samples are in, or it is interrupted; the recording is ended in order each time.
 * @returns the exit status
 */
export const record = (source: Opened, output: string, count: number): Promise<number> =>
  follow(source, count, createRecording(output, source))

async function follow(source: Opened, count: number, recorder: Recorder): Promise<number> {
  let interrupted = false
  const stop = () => {
    interrupted = true
    source.close().catch(() => undefined)
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    for (let samples = 0; samples < count && !interrupted; samples++) {
      const frame = await source.next()
      if (frame === undefined) break
      recorder.append(frame)
      source.watch(
        summaryPaths(
          toSample(frame)
            .tasks()
            .map(task => task.pid),
        ),
      )
    }
  } finally {
    recorder.close()
    await source.close()
  }
  return interrupted ? EXIT.interrupted : judgeFailures(source)
}
