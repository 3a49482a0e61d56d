/** `mmtop check`: reads all of a workload or recording and says what is wrong with it, or what it is. */
import { openRecording } from '../recording/open.ts'
import type { Recording } from '../recording/recording.ts'
import { UserError } from '../user_error.ts'
import { formatBytes, formatClock } from '../view/format.ts'
import { machineOf } from '../workload/machine.ts'
import { EXIT, print } from './exit.ts'
import { isRecording } from './open.ts'
import { readWorkload } from './workload.ts'

/** @throws UserError with the place of what is wrong */
export async function check(file: string): Promise<number> {
  if (!isRecording(file)) return checkWorkload(file)
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

/** Reads a workload and works out its machine, so that everything that can be wrong before it runs has been found. */
async function checkWorkload(file: string): Promise<number> {
  const program = readWorkload(file)
  const { nodes } = machineOf(program)
  const memory = nodes.reduce((sum, node) => sum + node.memBytes, 0)
  const lines = program.statements.length
  await print(
    `${file}: workload, ${lines} statements, ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'} with ${formatBytes(memory)}\n`,
  )
  return EXIT.asked
}

function describe({ format, count, startNs, endNs }: Recording, files: number): string {
  return `${format === 'raw' ? 'raw recording' : 'recording'}, ${count} samples from ${formatClock(startNs)} to ${formatClock(endNs)}, at most ${files} files each`
}
