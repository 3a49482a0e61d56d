/**
 * /sys/kernel/debug/lru_gen: the generations of each memory cgroup on each node, as the kernel prints them.
 *
 *     memcg     1 /
 *      node     0
 *              0       1234          0       5678       number, age in ms, anonymous pages, file pages; the oldest first
 */
import { cleanLine } from '../text.ts'

export const LRU_GEN = '/sys/kernel/debug/lru_gen'
export const LRU_GEN_ENABLED = '/sys/kernel/mm/lru_gen/enabled'

export interface Generation {
  readonly cgroup: string
  readonly node: number
  readonly seq: number
  /** It, or the one before it, is the youngest: its pages count as active. */
  readonly active: boolean
  readonly ageMs: number
  readonly anonPages: number
  readonly filePages: number
}

/** Rows that are looked at; a machine with more groups shows the first. */
const MOST_ROWS = 20_000

export function parseGenerations(text: string): Generation[] {
  const found: Generation[] = []
  let cgroup = ''
  let node = -1
  for (const line of text.split('\n').slice(0, MOST_ROWS)) {
    const words = cleanLine(line).trim().split(/\s+/)
    if (words[0] === 'memcg') {
      cgroup = words.slice(2).join(' ') || '/'
      node = -1
    } else if (words[0] === 'node') node = number(words[1]) ?? -1
    else if (node >= 0 && words.length === 4) {
      const [seq, ageMs, anonPages, filePages] = words.map(number)
      if (seq === undefined || ageMs === undefined || anonPages === undefined || filePages === undefined) continue
      found.push({ cgroup, node, seq, active: false, ageMs, anonPages, filePages })
    }
  }
  return found.map((row, i) => ({ ...row, active: [1, 2].some(ahead => endsAt(found, i, ahead)) }))
}

/** Whether the rows of this group and node end `ahead` rows on. */
function endsAt(rows: readonly Generation[], i: number, ahead: number): boolean {
  const next = rows.at(i + ahead)
  return i + ahead >= rows.length || next?.cgroup !== rows[i].cgroup || next.node !== rows[i].node
}

const number = (word: string | undefined): number | undefined => (/^\d{1,15}$/.test(word ?? '') ? Number(word) : undefined)

/** Whether generations are on, by the text of LRU_GEN_ENABLED. */
export const generationsOn = (text: string | undefined): boolean => /^0x[0-9a-f]*[13579bdf]\s*$/i.test(text ?? '')
