/**
 * How a run ends, and how anything gets out of it.
 *
 *     0    as asked
 *     1    an expectation did not hold
 *     2    the input or the arguments are wrong: one line on stderr
 *     70   our own bug (EX_SOFTWARE of sysexits.h)
 *     130  interrupted
 */
import { UserError } from '../user_error.ts'

export const EXIT = { asked: 0, unmet: 1, wrong: 2, bug: 70, interrupted: 130 } as const

/** What a reader that goes away (`| head`) does to us: nothing to say, nothing went wrong. */
export function endQuietlyWithReader(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'EPIPE') process.exit(EXIT.asked)
      throw error
    })
}

/** Writes to stdout and waits until it is taken, so that an endless output never fills the memory. */
export function print(text: string | Uint8Array): Promise<void> {
  if (process.stdout.write(text)) return Promise.resolve()
  return new Promise(resolve => process.stdout.once('drain', resolve))
}

/** One line on stderr. */
export function complain(line: string): void {
  process.stderr.write(`mmtop: ${line.replace(/[\p{Cc}\p{Cf}\p{Cs}]+/gu, ' ').trim()}\n`)
}

/** The exit status of what went wrong; says it in one line, or with everything known where it is our bug. */
export function statusOf(error: unknown): number {
  if (error instanceof UserError) {
    complain(error.oneLine)
    return EXIT.wrong
  }
  process.stderr.write(`mmtop: a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return EXIT.bug
}
