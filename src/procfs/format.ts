/** How the kernel prints what many of its files print: columns, kilobytes, lists and masks of CPUs and nodes, paths. */
import { PAGE_KB } from '../kernel/base/units.ts'

/** "MemFree:          123 kB": pages as kilobytes in a column of eight. */
export const kb = (label: string, pages: number): string => kilobytes(label, pages * PAGE_KB)
export const kilobytes = (label: string, n: number): string => `${label}${column(n, 8)} kB\n`

/** A number against the right edge of a column. */
export const column = (n: number, width: number): string => String(n).padStart(width)

/** Runs of numbers in ascending order: "0-2,5" (%*pbl). */
export function listText(ids: readonly number[]): string {
  const runs: string[] = []
  for (let i = 0; i < ids.length; ) {
    let last = i
    while (ids[last + 1] === ids[last] + 1) last++
    runs.push(last === i ? `${ids[i]}` : `${ids[i]}-${ids[last]}`)
    i = last + 1
  }
  return runs.join(',')
}

/** A bitmap of `bits` bits in hexadecimal, 32 bits a group, the highest first (%*pb). */
export function maskText(ids: readonly number[], bits: number): string {
  const words = new Uint32Array(Math.ceil(bits / 32))
  for (const id of ids) words[id >>> 5] |= 1 << (id & 31)
  const firstBits = bits % 32 === 0 ? 32 : bits % 32
  return [...words]
    .reverse()
    .map((word, i) => word.toString(16).padStart(i === 0 ? Math.ceil(firstBits / 4) : 8, '0'))
    .join(',')
}

export const hex = (n: number, width: number): string => n.toString(16).padStart(width, '0')

/** A path with some of its characters as octal escapes (seq_file_path). */
export const escapePath = (path: string, characters: string): string =>
  [...path].map(c => (characters.includes(c) ? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}` : c)).join('')
