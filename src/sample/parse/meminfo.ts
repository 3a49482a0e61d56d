/**
 * /proc/meminfo and /sys/devices/system/node/nodeN/meminfo: "KEY: N kB" lines, a node's with "Node N " before them.
 * Lines with kB are memory and become bytes; lines without are counts (HugePages_Total ...).
 */
import { toInteger } from '../text.ts'

export interface Meminfo {
  /** "MemFree" -> bytes */
  readonly bytes: ReadonlyMap<string, number>
  /** "HugePages_Free" -> pages of the default huge page size */
  readonly counts: ReadonlyMap<string, number>
}

export function parseMeminfo(text: string): Meminfo {
  const bytes = new Map<string, number>()
  const counts = new Map<string, number>()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const key = line.slice(line.lastIndexOf(' ', colon) + 1, colon)
    const rest = line.slice(colon + 1).trim()
    const inKb = rest.endsWith(' kB')
    const value = toInteger(inKb ? rest.slice(0, -3).trim() : rest)
    if (value === undefined || key === '') continue
    if (inKb) bytes.set(key, value * 1024)
    else counts.set(key, value)
  }
  return { bytes, counts }
}
