/** Where the screens are reached: nothing before this function loads Ink or React. */
import { existsSync } from 'node:fs'
import { createRecording } from '../recording/writer.ts'
import type { Source } from '../sample/source.ts'
import type { Config } from '../tui/config.ts'
import { UserError } from '../user_error.ts'

export interface ScreenOptions {
  readonly color: boolean
  readonly ascii: boolean
  readonly config: Config
  readonly save: (text: string) => string
  /** Samples after which it ends. */
  readonly count: number | undefined
}

/** What is wrong with the terminal, if anything is. */
export function whyNoScreens({ stdin, stdout }: Pick<NodeJS.Process, 'stdin' | 'stdout'>): string | undefined {
  if (!stdout.isTTY) return 'the output is no terminal'
  if (!stdin.isTTY) return 'the input is no terminal'
  return undefined
}

/** Whether the terminal can do nothing but lines. */
export const isDumb = ({ TERM }: NodeJS.ProcessEnv): boolean => TERM === undefined || TERM === '' || TERM === 'dumb'

/**
 * Shows a source until the user leaves. The screens are loaded while the source is being opened.
 * @returns the exit status
 */
export async function showScreens(open: () => Promise<Source>, { color, ascii, config, save, count }: ScreenOptions): Promise<number> {
  const loading = import('../tui/show.tsx')
  const source = await open()
  const { show } = await loading
  const record = (path: string) => {
    if (existsSync(path)) throw new UserError('there is such a file already: choose another name', { file: path })
    return createRecording(path, source)
  }
  return show(source, { colour: color, ascii, env: process.env, record, config, save, count })
}
