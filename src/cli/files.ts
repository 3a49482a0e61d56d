/** Files that the user names: what the system has against reading or writing them is said in one line, with the name. */
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileError } from '../user_error.ts'

function trying<T>(file: string, what: 'read' | 'written', action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw fileError(error, file, what)
  }
}

/** @throws UserError where the system does not let us */
export const readBytes = (file: string): Buffer => trying(file, 'read', () => readFileSync(file))

/** A new file, or an old one emptied, to be written to. @throws UserError as above */
export const openOutput = (file: string): number => trying(file, 'written', () => openSync(file, 'w'))

/** @throws UserError as above */
export const writeOutput = (file: string, content: string | Uint8Array): void => trying(file, 'written', () => writeFileSync(file, content))

/** Whatever writes into `file` or below it. @throws UserError as above */
export const writing = <T>(file: string, action: () => T): T => trying(file, 'written', action)

/** A directory and those above it; Node's own way never ends below /proc. */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST') return
    const above = dirname(path)
    if (code !== 'ENOENT' || above === path) throw error
    makeDirectory(above)
    mkdirSync(path)
  }
}
