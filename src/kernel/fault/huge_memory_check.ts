/**
 * Which memory may have huge pages, and what effort one is worth: rules that page faults, khugepaged, MADV_COLLAPSE and
 * shmem share.
 *
 *                                        fault   khugepaged   collapse   smaps
 *     not VM_NOHUGEPAGE, not prctl'd       x         x           x         x
 *     no special or hugetlb area           x         x           x         x
 *     2 MiB fit in, aligned                          x           x         x     (a fault looks at its own 2 MiB)
 *     shmem: as mount and shmem_enabled              x         force       x
 *     anonymous: enabled, or advised       x         x                     x
 *     has had a fault (anon_vma)                     x           x
 *
 * An address space is registered with khugepaged once it has an area that passes; registration of the first one wakes
 * the daemon. An address space that ends while the scan stands in it stays on the list until the daemon has left it.
 *
 * Source: mm/huge_memory.c (hugepage_vma_check, vma_thp_gfp_mask), mm/shmem.c shmem_is_huge, include/linux/huge_mm.h,
 * mm/khugepaged.c (khugepaged_enter_vma, __khugepaged_enter, __khugepaged_exit).
 */
import { now } from '../base/cost.ts'
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NORETRY,
  GFP_TRANSHUGE,
  GFP_TRANSHUGE_LIGHT,
  VM_GROWSDOWN,
  VM_HUGEPAGE,
  VM_HUGETLB,
  VM_NOHUGEPAGE,
  VM_RAND_READ,
  VM_SEQ_READ,
  VM_SPECIAL,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode } from '../base/state_fs.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { HPAGE_PMD_NR, PAGE_SIZE } from '../base/units.ts'
import { mmRelease } from '../spaces/pagetable.ts'

/** Who asks whether an area may have huge pages. */
export type ThpAsker = 'fault' | 'khugepaged' | 'collapse' | 'smaps'

/** Areas that khugepaged leaves alone whatever they ask for (VM_NO_KHUGEPAGED). */
const VM_NO_KHUGEPAGED = VM_SPECIAL | VM_HUGETLB
/** A stack that exec has not finished setting up; it will move. */
const TEMPORARY_STACK = VM_GROWSDOWN | VM_RAND_READ | VM_SEQ_READ

/** Whether huge pages are on for anybody (hugepage_flags_enabled). */
export const hugepageFlagsEnabled = (k: Kernel): boolean => k.thp.enabled !== 'never'

const isShmem = (vma: Vma): boolean => {
  const type = vma.mapping?.inode.sb.type
  return type === 'tmpfs' || type === 'shmem'
}

/** Whether the 2 MiB around the page lie in the area, and for a file start where a huge page of it starts. */
export function transhugeVmaSuitable(vma: Vma, vpn: number): boolean {
  if (vma.mapping !== undefined && (vma.start - vma.pgoff) % HPAGE_PMD_NR !== 0) return false
  const start = Math.floor(vpn / HPAGE_PMD_NR) * HPAGE_PMD_NR
  return start >= vma.start && start + HPAGE_PMD_NR <= vma.end
}

/**
 * Whether the area may have huge pages (hugepage_vma_check).
 * @param vmFlags the area's flags, or those it is about to get; shmem asks the flags it has.
 */
export function hugepageVmaCheck(k: Kernel, vma: Vma, vmFlags: number, asker: ThpAsker): boolean {
  if ((vmFlags & (VM_NOHUGEPAGE | VM_NO_KHUGEPAGED)) !== 0 || vma.mm.thpDisable) return false
  const faulting = asker === 'fault'
  if (!faulting && !transhugeVmaSuitable(vma, vma.end - HPAGE_PMD_NR)) return false
  if (!faulting && vma.mapping !== undefined && isShmem(vma)) return shmemIsHuge(k, vma, vma.mapping.inode, vma.pgoff, asker === 'collapse')
  if (asker !== 'collapse' && !enabledFor(k, vmFlags)) return false
  if (vma.mapping !== undefined || (vmFlags & TEMPORARY_STACK) === TEMPORARY_STACK) return false
  return vma.anonVma !== 0 || faulting || asker === 'smaps'
}

const enabledFor = (k: Kernel, vmFlags: number): boolean =>
  k.thp.enabled === 'always' || (k.thp.enabled === 'madvise' && (vmFlags & VM_HUGEPAGE) !== 0)

/**
 * Whether a page of a tmpfs or memory file at this index is to be huge (shmem_is_huge).
 * @param vma through which area it is reached; undefined for read, write and fallocate.
 * @param force MADV_COLLAPSE: only denial counts.
 */
export function shmemIsHuge(k: Kernel, vma: Vma | undefined, inode: Inode, index: number, force: boolean): boolean {
  if (inode.directory) return false
  if (vma !== undefined && ((vma.flags & VM_NOHUGEPAGE) !== 0 || vma.mm.thpDisable)) return false
  if (k.thp.shmemEnabled === 'deny') return false
  if (force || k.thp.shmemEnabled === 'force') return true
  const { huge } = inode.sb
  if (huge === 'always') return true
  if (huge === 'within_size' && Math.ceil(inode.sizeBytes / PAGE_SIZE) >= roundUpHuge(index + 1)) return true
  return (huge === 'within_size' || huge === 'advise') && vma !== undefined && (vma.flags & VM_HUGEPAGE) !== 0
}

const roundUpHuge = (pages: number) => Math.ceil(pages / HPAGE_PMD_NR) * HPAGE_PMD_NR

/** The effort a huge page for the area is worth, as the `defrag` mode says (vma_thp_gfp_mask). */
export function vmaThpGfpMask(k: Kernel, vma: Vma | undefined): number {
  const advised = vma !== undefined && (vma.flags & VM_HUGEPAGE) !== 0
  switch (k.thp.defrag) {
    case 'always':
      return advised ? GFP_TRANSHUGE : GFP_TRANSHUGE | __GFP_NORETRY
    case 'defer':
      return GFP_TRANSHUGE_LIGHT | __GFP_KSWAPD_RECLAIM
    case 'defer+madvise':
      return GFP_TRANSHUGE_LIGHT | (advised ? __GFP_DIRECT_RECLAIM : __GFP_KSWAPD_RECLAIM)
    case 'madvise':
      return GFP_TRANSHUGE_LIGHT | (advised ? __GFP_DIRECT_RECLAIM : 0)
    case 'never':
      return GFP_TRANSHUGE_LIGHT
  }
}

/** Registers the area's address space with khugepaged if the area is worth a look (khugepaged_enter_vma). */
export function khugepagedEnterVma(k: Kernel, vma: Vma, vmFlags: number): void {
  if (!vma.mm.khugepaged && hugepageFlagsEnabled(k) && hugepageVmaCheck(k, vma, vmFlags, 'khugepaged')) khugepagedEnter(k, vma.mm)
}

/** A fork of a registered address space is registered too (khugepaged_fork). */
export function khugepagedFork(k: Kernel, mm: Mm, from: Mm): void {
  if (from.khugepaged) khugepagedEnter(k, mm)
}

/** Puts the address space at the end of khugepaged's round; the first one wakes it. */
function khugepagedEnter(k: Kernel, mm: Mm): void {
  const { mms } = k.khugepaged
  mm.khugepaged = true
  mms.push(mm)
  if (mms.length === 1) khugepagedWake(k)
}

/** Ends khugepaged's wait for work or for memory; the pause between rounds goes on. */
export function khugepagedWake(k: Kernel): void {
  const { running, waits, daemon } = k.khugepaged
  if (running && waits !== 'round') daemon.wakeNs = Math.min(daemon.wakeNs, now(k))
}

/** The address space is about to be torn down (khugepaged_exit). One that the scan stands in stays registered, and keeps its top table. */
export function khugepagedExit(k: Kernel, mm: Mm): void {
  const scan = k.khugepaged
  const i = mm.khugepaged ? scan.mms.indexOf(mm) : -1
  if (i >= 0 && i !== scan.at) unregister(k, i)
}

/** Takes the i-th address space off khugepaged's list; what is left of one that has ended goes. */
export function khugepagedForget(k: Kernel, i: number): void {
  const mm = k.khugepaged.mms[i]
  unregister(k, i)
  mmRelease(k, mm)
}

function unregister(k: Kernel, i: number): void {
  const scan = k.khugepaged
  const [mm] = scan.mms.splice(i, 1)
  mm.khugepaged = false
  scan.pteMapped.delete(mm.id)
  if (scan.at > i) scan.at--
}
