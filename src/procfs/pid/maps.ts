/**
 * /proc/PID/maps: a line for each area of an address space. smaps begins each area with the same line.
 *
 *     200000000000-200000400000 rw-p 00000000 00:00 0                          [heap]
 *     address                   perm offset   dev   inode                      what is mapped, from column 73
 *
 * Source: fs/proc/task_mmu.c (show_map_vma, show_vma_header_prefix).
 */
import { VM_EXEC, VM_GROWSDOWN, VM_MAYSHARE, VM_READ, VM_WRITE } from '../../kernel/base/flags.ts'
import type { Vma } from '../../kernel/base/state_mm.ts'
import { PAGE_SIZE } from '../../kernel/base/units.ts'
import { eachVma } from '../../kernel/spaces/vma.ts'
import { escapePath, hex } from '../format.ts'
import type { Living } from './living.ts'

/** Column in which names begin. */
const NAME_COLUMN = 73

/** Where a file of an area was opened; one without a name any more says so. */
export function vmaPath(vma: Vma): string | undefined {
  const inode = vma.mapping?.inode
  if (inode === undefined) return undefined
  return `${inode.path.startsWith('/') ? '' : '/'}${inode.path}${inode.nlink === 0 ? ' (deleted)' : ''}`
}

/** Whether the area holds part of what brk() moves. */
export const isHeap = (vma: Vma): boolean => vma.start * PAGE_SIZE <= vma.mm.brk && vma.end * PAGE_SIZE >= vma.mm.startBrk
/** The one area that grows downwards is the first thread's stack. */
export const isStack = (vma: Vma): boolean => (vma.flags & VM_GROWSDOWN) !== 0

/** What the line ends with: a file, [heap], [stack], or nothing. */
export function nameOf(vma: Vma): string {
  const path = vmaPath(vma)
  if (path !== undefined) return escapePath(path, '\n')
  if (vma.name !== '') return vma.name
  return isHeap(vma) ? '[heap]' : isStack(vma) ? '[stack]' : ''
}

/** The line's part before the name; flags, offset and file all zero stand for no area (the header of smaps_rollup). */
export function headerPrefix(start: number, end: number, flags: number, pgoff: number, dev: string, ino: number): string {
  const perms = `${flags & VM_READ ? 'r' : '-'}${flags & VM_WRITE ? 'w' : '-'}${flags & VM_EXEC ? 'x' : '-'}${flags & VM_MAYSHARE ? 's' : 'p'}`
  return `${hex(start * PAGE_SIZE, 8)}-${hex(end * PAGE_SIZE, 8)} ${perms} ${hex(pgoff * PAGE_SIZE, 8)} ${dev} ${ino} `
}

export const named = (prefix: string, name: string): string => `${name === '' ? prefix : prefix.padEnd(NAME_COLUMN) + name}\n`

export function mapLine(vma: Vma): string {
  const inode = vma.mapping?.inode
  const prefix = headerPrefix(vma.start, vma.end, vma.flags, inode === undefined ? 0 : vma.pgoff, inode?.sb.dev ?? '00:00', inode?.ino ?? 0)
  return named(prefix, nameOf(vma))
}

export const maps = ({ mm }: Living): string => (mm === undefined ? '' : [...eachVma(mm)].map(mapLine).join(''))
