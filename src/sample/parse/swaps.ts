/** /proc/swaps: one line an area after a heading. Sizes are kB; a blank in a file's name is printed as \040. */
import { toInteger } from '../text.ts'

export interface SwapArea {
  readonly name: string
  readonly type: string
  readonly sizeBytes: number
  readonly usedBytes: number
  readonly priority: number
}

export function parseSwaps(text: string): SwapArea[] {
  return text.split('\n').flatMap(line => {
    const match = /^(\S+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s*$/.exec(line)
    if (match === null) return []
    const [size, used, priority] = match.slice(3).map(toInteger)
    return [{ name: match[1], type: match[2], sizeBytes: (size ?? 0) * 1024, usedBytes: (used ?? 0) * 1024, priority: priority ?? 0 }]
  })
}
