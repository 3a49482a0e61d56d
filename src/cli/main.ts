#!/usr/bin/env node
/**
 * mmtop's command line. Each command loads what it needs when it is called, so that a snapshot never waits for the
 * screens. Everything that goes wrong ends here, in one line and an exit status (exit.ts).
 */
import { Command, CommanderError } from 'commander'
import { addCommands } from './commands.ts'
import { complain, EXIT, endQuietlyWithReader, statusOf } from './exit.ts'

/** The exit status of a command line, without the program's own name. */
async function main(words: readonly string[]): Promise<number> {
  let status: number = EXIT.asked
  const program = new Command('mmtop')
  // Commander would print its errors over several lines.
  program.exitOverride().configureOutput({ writeErr: () => undefined })
  addCommands(program, code => {
    status = code
  })
  try {
    await program.parseAsync(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) return statusOf(error)
    if (error.exitCode === 0) return EXIT.asked
    complain(error.message.replace(/^error: /, ''))
    return EXIT.wrong
  }
  return status
}

endQuietlyWithReader()
process.once('SIGINT', () => process.exit(EXIT.interrupted))
process.exitCode = await main(process.argv.slice(2))
