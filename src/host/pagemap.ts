/**
 * Files of numbers of the real machine: eight bytes a page, for all of memory or of a process' addresses.
 *
 *     /proc/PID/pagemap                       63 present, 62 swapped, 61 of a file or shared, 55 written since soft-dirty bits were cleared
 *     /proc/kpageflags, kpagecount ...        given as they are to who asks for their bytes
 *
 * What the screens show of a process is made of its pagemap, and is the same text as of a simulated one (procfs/pages/areas.ts), as far as
 * pagemap tells. An entry has to be read for every page of address space, so it is one area that is looked at, and of a very large one the
 * beginning.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { errnoOf, type Reader } from './reader.ts'

const ENTRY_BYTES = 8
/** Pages of an area that are looked at, from its start: 1 GiB. */
const AREA_MAX = 1 << 18
/** Addresses beyond are the kernel's. */
const USER_END = 2 ** 47
const CHUNK = 1 << 13

/** Bits of the upper half of an entry. */
const [PRESENT, SWAPPED, FILE, SOFT_DIRTY] = [1 << 31, 1 << 30, 1 << 29, 1 << 23]

const OVERLAY = /^\/mmtop\/pages\/task\/(\d{1,10})\/(\d{1,4})\/([0-9a-f]{1,16})-([0-9a-f]{1,16})$/
const NUMBERS = /^\/proc\/((\d{1,10}|self)\/pagemap|kpageflags|kpagecount|kpagecgroup)$/

/** Whether a path is one of those made from a pagemap. */
export const isOverlay = (path: string): boolean => OVERLAY.test(path)
/** Whether a file is no text. */
export const isNumbers = (path: string): boolean => NUMBERS.test(path)

/** The pages of one area of a process; undefined where its pagemap may not be read, and `errors` then says why. */
export function overlayText(reader: Reader, path: string): string | undefined {
  const [, pid, cells, start, end] = OVERLAY.exec(path) ?? []
  const [from, to] = [Number.parseInt(start, 16) / reader.pageBytes, Number.parseInt(end, 16) / reader.pageBytes]
  if (!(to > from) || to > USER_END / reader.pageBytes) return undefined
  let fd: number | undefined
  try {
    fd = openSync(`${reader.root}/proc/${pid}/pagemap`, constants.O_RDONLY)
    const lines = cellLines(fd, from, Math.min(to, from + AREA_MAX), Math.max(1, Number(cells)))
    return [`area ${from} ${to} `, ...lines].map(line => `${line}\n`).join('')
  } catch (error) {
    reader.errors.set(path, errnoOf(error))
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function cellLines(fd: number, from: number, to: number, wanted: number): string[] {
  const size = Math.ceil((to - from) / wanted)
  const cells = Array.from({ length: Math.ceil((to - from) / size) }, () => ({ present: 0, swapped: 0, softdirty: 0, file: 0 }))
  const buffer = Buffer.alloc(ENTRY_BYTES * Math.min(CHUNK, to - from))
  for (let page = from; page < to; ) {
    const got = Math.floor(readSync(fd, buffer, 0, Math.min(buffer.length, (to - page) * ENTRY_BYTES), page * ENTRY_BYTES) / ENTRY_BYTES)
    if (got === 0) break
    for (let i = 0; i < got; i++) {
      const high = buffer.readUInt32LE(i * ENTRY_BYTES + 4)
      if (high === 0) continue
      const cell = cells[Math.floor((page + i - from) / size)]
      if ((high & SWAPPED) !== 0) cell.swapped++
      if ((high & SOFT_DIRTY) !== 0) cell.softdirty++
      if ((high & PRESENT) === 0) continue
      cell.present++
      if ((high & FILE) !== 0) cell.file++
    }
    page += got
  }
  return cells.map((cell, i) => {
    const counts = Object.entries(cell).flatMap(([name, n]) => (n === 0 ? [] : [` ${name}=${n}`]))
    return `c ${Math.min(size, to - from - i * size)}${counts.join('')}`
  })
}

/** Some bytes of a file of numbers; undefined where there is none, or it may not be read. */
export function bytesAt({ root }: Reader, path: string, position: number, count: number): Uint8Array | undefined {
  if (!isNumbers(path)) return undefined
  let fd: number | undefined
  try {
    fd = openSync(root + path, constants.O_RDONLY)
    const bytes = new Uint8Array(count)
    return bytes.subarray(0, count === 0 ? 0 : readSync(fd, bytes, 0, count, position))
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
