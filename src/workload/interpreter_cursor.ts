/**
 * Walking statements: lines one after the other, loops round and round.
 */
import type { Cursor } from './interpreter_state.ts'
import type { LoopStatement } from './program.ts'

export const cursorOver = <S>(body: readonly S[]): Cursor<S> => ({ frames: [{ body, at: 0, left: 0 }] })

/** Lines, and loops of them. */
type Looped<L> = L | LoopStatement<Looped<L>>

/** The next statement that is not a loop, or undefined at the end. */
export function nextStatement<L extends { readonly kind: string }>(cursor: Cursor<Looped<L>>): L | undefined {
  for (;;) {
    const frame = cursor.frames.at(-1)
    if (frame === undefined) return undefined
    if (frame.at === frame.body.length) {
      if (frame.left === 0) cursor.frames.pop()
      else {
        frame.at = 0
        if (frame.left !== undefined) frame.left--
      }
      continue
    }
    const statement = frame.body[frame.at++]
    if (!isLoop(statement)) return statement
    cursor.frames.push({ body: statement.body, at: 0, left: statement.times === undefined ? undefined : statement.times - 1 })
  }
}

const isLoop = <L extends { readonly kind: string }>(statement: Looped<L>): statement is LoopStatement<Looped<L>> =>
  statement.kind === 'loop'
