/** `mmtop check`: reads all of a recording and says what is wrong with it, or what it is. */
import { openRecording } from '../recording/open.ts'
import type { Recording } from '../recording/recording.ts'
import { UserError } from '../user_error.ts'
import { formatClock } from '../view/format.ts'
import { EXIT, print } from './exit.ts'
import { isRecording } from './open.ts'

/** @throws UserError with the place of what is wrong */
export async function check(file: string): Promise<number> {
  if (!isRecording(file)) throw new UserError('not a recording', { file })
  const recording = await openRecording(file)
  try {
    let files = 0
    for (let i = 0; i < recording.count; i++) files = Math.max(files, recording.frame(i).files.size)
    if (!recording.ended) throw new UserError(`the end is missing: ${describe(recording, files)} can be played`, { file })
    await print(`${file}: ${[describe(recording, files), ...recording.notes].join('; ')}\n`)
  } finally {
    recording.close()
  }
  return EXIT.asked
}

function describe({ format, count, startNs, endNs }: Recording, files: number): string {
  return `${format === 'raw' ? 'raw recording' : 'recording'}, ${count} samples from ${formatClock(startNs)} to ${formatClock(endNs)}, at most ${files} files each`
}
