/**
 * Swapped pages that were merged by KSM, and come back to several processes.
 *
 * A merged page that is really swapped out is no merged page any more: its record goes stale, and what is read back belongs to
 * the first process that faults it in. Another one's areas may have nothing in common with that one's, so its mapping could not
 * be found from the page. It gets a copy of its own, which KSM will merge again when it comes by.
 *
 * While the page is still in the swap cache as a merged page, it is mapped as that; unless KSM is just taking everything apart.
 *
 * Source: mm/ksm.c ksm_might_need_to_copy.
 */
import { KSM_RUN_UNMERGE, PG_anon, PG_ksm, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import type { Pfn } from '../base/units.ts'
import { pageIndex, pageOwner } from '../frames/page.ts'

/** Whether the page in the swap cache cannot be mapped `offset` pages into the area, so that it takes a copy. */
export function ksmMightNeedToCopy(k: Kernel, vma: Vma, offset: number, head: Pfn, part: number): boolean {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_uptodate) === 0) return false
  if ((flags & PG_ksm) !== 0) return pageOwner(k, head) === 0 || k.ksm.run === KSM_RUN_UNMERGE
  if ((flags & PG_anon) === 0) return false
  const { anonVmas } = k.spaces
  const sameRoot = anonVmas.get(pageOwner(k, head))?.root === anonVmas.get(vma.anonVma)?.root
  return !sameRoot || pageIndex(k, head) + part !== vma.pgoff + offset
}
