/**
 * Where a mapping goes: at the address asked for, at a hint when nothing is in the way, or in the highest gap that fits.
 *
 *     0x1000 ...........|areas|......gap......|areas|  mmapBase        stack
 *                                        [new]^ the highest gap below mmapBase; stacks keep a guard gap below them
 *
 * Huge TLB files go on multiples of their page; ext4 files of 2 MiB and more, and shared memory where its mount has huge pages,
 * are placed so that their huge pages could be mapped.
 *
 * The recorded machine's processor has five levels of page tables: user space ends one page short of 2^56, though what does not ask for a
 * place beyond 2^47 gets none there. Here as much of it can be mapped as four levels reach, 2^48 bytes; ENOMEM beyond. Linux would look
 * upwards from a third of the lower part when nothing fits below mmapBase; the little room above mmapBase is not worth that here.
 *
 * Source: mm/mmap.c get_unmapped_area, arch/x86/kernel/sys_x86_64.c (arch_get_unmapped_area_topdown),
 * arch/x86/mm/hugetlbpage.c, mm/shmem.c shmem_get_unmapped_area, mm/huge_memory.c thp_get_unmapped_area.
 */
import { EINVAL, ENOMEM, EPERM } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, OpenFile, SuperBlock } from '../base/state_fs.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { HPAGE_PMD_NR, PAGE_SIZE } from '../base/units.ts'
import { hugePages } from '../frames/hugetlb_pool.ts'
import { findVma, startGap, topDownGap } from '../spaces/vma.ts'
import { capable } from './account.ts'

/** One past the highest byte of user space, and the same in pages. */
export const TASK_SIZE = 2 ** 56 - PAGE_SIZE
const TASK_PAGES = TASK_SIZE / PAGE_SIZE
/** Where hints for the lower part end (DEFAULT_MAP_WINDOW), and what four levels of page tables reach. */
const WINDOW_PAGES = 2 ** 47 / PAGE_SIZE - 1
const REACH_PAGES = 2 ** 48 / PAGE_SIZE

/** Whether a byte range runs over the end of what 64 bits can address; such lengths come from negative ones. */
export const wraps = (start: number, bytes: number): boolean => start + bytes >= 2 ** 64

export interface AreaWish {
  /** Byte address: the place itself when `fixed`, otherwise a hint, or 0. */
  readonly address: number
  readonly pages: number
  readonly fixed: boolean
  readonly shared: boolean
  /** What is to be mapped, from page `pgoff` on; undefined for anonymous memory. */
  readonly file: OpenFile | undefined
  readonly pgoff: number
}

/** Pages that a mapping of the file consists of: those of a huge TLB page, or one. */
export const unitPages = (k: Kernel, inode: Inode | undefined): number =>
  inode?.hugetlb === undefined ? 1 : hugePages(k.hugetlb.hstates[inode.hugetlb.hstate])

/** First page of the place, or a negative errno (get_unmapped_area). */
export function getUnmappedArea(k: Kernel, task: Task, mm: Mm, wish: AreaWish): number {
  if (wish.pages > TASK_PAGES) return -ENOMEM
  const at = search(k, mm, wish)
  if (at < 0) return at
  if (at > REACH_PAGES - wish.pages) return -ENOMEM
  if (!Number.isInteger(at)) return -EINVAL
  return at * PAGE_SIZE < k.sysctl.mmap_min_addr && !capable(task) ? -EPERM : at
}

function search(k: Kernel, mm: Mm, wish: AreaWish): number {
  const sb = wish.file?.inode.sb
  const unit = unitPages(k, wish.file?.inode)
  const at = wish.address / PAGE_SIZE
  if (unit > 1) return hugetlbArea(mm, wish, at, unit)
  if (wish.fixed) return at
  if (sb?.type === 'ext4') return extArea(mm, wish, at)
  const place = plainArea(mm, at, wish.pages)
  return sb?.type === 'tmpfs' || sb?.type === 'shmem' || (sb === undefined && wish.shared) ? shmemArea(k, mm, wish, sb, place) : place
}

const hintFits = (mm: Mm, at: number, pages: number): boolean => {
  if (at === 0 || at > REACH_PAGES - pages || (at < WINDOW_PAGES && at + pages > WINDOW_PAGES)) return false
  const next = findVma(mm, at)
  return next === undefined || at + pages <= startGap(next)
}

const plainArea = (mm: Mm, at: number, pages: number): number => (hintFits(mm, at, pages) ? at : topDownGap(mm, pages, 1, mm.mmapBase))

function hugetlbArea(mm: Mm, wish: AreaWish, at: number, unit: number): number {
  if (wish.pages % unit !== 0) return -EINVAL
  if (wish.fixed) return at % unit === 0 ? at : -EINVAL
  const hint = Math.floor(at / unit) * unit
  return hintFits(mm, hint, wish.pages) ? hint : topDownGap(mm, wish.pages, unit, mm.mmapBase)
}

/** Room for the file and 2 MiB more, so that it can be moved up to where its huge pages fall on multiples of 2 MiB. */
function extArea(mm: Mm, wish: AreaWish, at: number): number {
  const { pages, pgoff } = wish
  const aligned = Math.ceil(pgoff / HPAGE_PMD_NR) * HPAGE_PMD_NR
  if (pgoff + pages - aligned < HPAGE_PMD_NR) return plainArea(mm, at, pages)
  const padded = plainArea(mm, at, pages + HPAGE_PMD_NR)
  if (padded < 0) return plainArea(mm, at, pages)
  return padded === at ? at : padded + forward(padded, pgoff)
}

function shmemArea(k: Kernel, mm: Mm, wish: AreaWish, sb: SuperBlock | undefined, place: number): number {
  const { pages } = wish
  const mode = k.thp.shmemEnabled
  if (place < 0 || mode === 'deny' || pages < HPAGE_PMD_NR || place === wish.address / PAGE_SIZE) return place
  const huge = sb ?? k.fs.superBlocks.find(other => other.type === 'shmem')
  if (mode !== 'force' && (huge === undefined || huge.huge === 'never')) return place
  const offset = wish.file === undefined ? 0 : wish.pgoff % HPAGE_PMD_NR
  if ((offset !== 0 && offset + pages < 2 * HPAGE_PMD_NR) || place % HPAGE_PMD_NR === offset) return place
  const inflated = plainArea(mm, wish.address / PAGE_SIZE, pages + HPAGE_PMD_NR - 1)
  return inflated < 0 ? place : inflated + forward(inflated, offset)
}

/** Pages from `at` up to the next place whose offset in 2 MiB is that of `pgoff`. */
const forward = (at: number, pgoff: number): number => (((pgoff - at) % HPAGE_PMD_NR) + HPAGE_PMD_NR) % HPAGE_PMD_NR
