/** `mmtop record`: a source into a file of mmtop's own format. */
import { createRecording } from '../recording/writer.ts'
import { summaryPaths } from '../sample/files.ts'
import { toSample } from '../sample/sample.ts'
import { EXIT } from './exit.ts'
import { judgeFailures, type Opened } from './open.ts'

/**
 * Records until the source ends, `count` samples are in, or it is interrupted; the recording is ended in order each time.
 * @returns the exit status
 */
export async function record(source: Opened, output: string, count: number): Promise<number> {
  const recorder = createRecording(output, source)
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
