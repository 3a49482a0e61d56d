/** Files that print every word they accept with the current one in brackets: "always [madvise] never". */
import { words } from '../text.ts'

export interface Choice {
  readonly choices: readonly string[]
  /** The word in brackets; undefined when the file marks none. */
  readonly chosen: string | undefined
}

export function parseChoice(text: string): Choice {
  const all = words(text)
  const marked = all.find(word => word.startsWith('[') && word.endsWith(']'))
  return { choices: all.map(word => word.replace(/^\[|\]$/g, '')), chosen: marked?.slice(1, -1) }
}
