/** Where the screens are reached: nothing before this function loads Ink or React. */
import type { Source } from '../sample/source.ts'
import { UserError } from '../user_error.ts'

export interface ScreenOptions {
  readonly color: boolean
  readonly ascii: boolean
}

/**
 * Shows a source until the user leaves.
 * @returns the exit status
 */
export async function showScreens(source: Source, _options: ScreenOptions): Promise<number> {
  await source.close()
  throw new UserError('this build has no screens: pipe the output, or use mmtop snapshot')
}
