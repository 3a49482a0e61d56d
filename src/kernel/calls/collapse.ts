/**
 * madvise(2) about huge pages: the marks MADV_HUGEPAGE and MADV_NOHUGEPAGE, and MADV_COLLAPSE, which makes huge pages at
 * once, whatever `enabled` says, of every aligned 2 MiB in the range.
 *
 * Source: mm/khugepaged.c (hugepage_madvise, madvise_collapse).
 */

import { EINVAL } from '../base/errno.ts'
import { MADV_HUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import { alignDown, alignUp, HPAGE_PMD_NR } from '../base/units.ts'
import { collapseHugePage } from '../daemons/khugepaged_collapse.ts'
import { collapsePteMappedThp, scanFile } from '../daemons/khugepaged_file.ts'
import { collapseErrno, type ScanResult, scanPmd } from '../daemons/khugepaged_scan.ts'
import { hugepageVmaCheck, khugepagedEnterVma } from '../fault/huge_memory_check.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { linearPageIndex } from '../spaces/vma.ts'

/**
 * What MADV_HUGEPAGE or MADV_NOHUGEPAGE makes of an area's flags; the first registers its address space with
 * khugepaged, if there is reason to. Neither touches a page.
 */
export function hugepageMadvise(k: Kernel, vma: Vma, flags: number, advice: number): number {
  if (advice !== MADV_HUGEPAGE) return (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE
  const advised = (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE
  khugepagedEnterVma(k, vma, advised)
  return advised
}

/** Failures of one range that do not keep MADV_COLLAPSE from going on with the next. */
const GO_ON: readonly ScanResult[] = [
  'pmd_null',
  'pte_non_present',
  'pte_uffd_wp',
  'page_ro',
  'lack_referenced_page',
  'page_null',
  'page_count',
  'page_lock',
  'page_compound',
  'page_lru',
  'del_page_lru',
]

/**
 * MADV_COLLAPSE of pages [start, end) of one area (madvise_collapse).
 * @returns 0 when all aligned 2 MiB in the range are huge now; else the errno of the last failure: -ENOMEM without a huge page,
 * -EAGAIN for pages held by somebody, -EINVAL for a range or area that is not for it.
 */
export function madviseCollapse(k: Kernel, vma: Vma, start: number, end: number): number {
  if (!hugepageVmaCheck(k, vma, vma.flags, 'collapse')) return -EINVAL
  lruAddDrainAll(k)
  const first = alignUp(start, HPAGE_PMD_NR)
  const last = alignDown(end, HPAGE_PMD_NR)
  let huge = 0
  let failure: ScanResult = 'fail'
  for (let vpn = first; vpn < last; vpn += HPAGE_PMD_NR) {
    const result = collapseRange(k, vma, vpn)
    if (result === 'succeed' || result === 'pmd_mapped') {
      huge++
      continue
    }
    failure = result
    if (!GO_ON.includes(result)) break
  }
  return huge === (last - first) / HPAGE_PMD_NR ? 0 : collapseErrno(failure)
}

function collapseRange(k: Kernel, vma: Vma, vpn: number): ScanResult {
  if (vma.mapping === undefined) {
    const result = scanPmd(k, vma, vpn, false)
    return result === 'succeed' ? collapseHugePage(k, vma, vpn, false) : result
  }
  const result = scanFile(k, vma, vpn, linearPageIndex(vma, vpn), false)
  return result === 'pte_mapped_hugepage' ? collapsePteMappedThp(k, vma.mm, vpn, true) : result
}
