/**
 * /proc/PID/pagemap, /proc/kpagecount, /proc/kpageflags and /proc/kpagecgroup as files: where they begin and end, and who may see what.
 *
 * The three files of page frames go to the end of the last section of memory (128 MiB), as the kernel keeps its records by the section;
 * frames of sections that hold no memory count as holes. pagemap goes to the end of the address space, shows page frames to
 * readers with CAP_SYS_ADMIN only, and is empty for a process that has ended.
 *
 * Source: fs/proc/page.c, fs/proc/task_mmu.c pagemap_read, mm/memcontrol.c page_cgroup_ino.
 */

import { EINVAL } from '../kernel/base/errno.ts'
import { PG_anon, PG_buddy, PG_hugetlb, PG_slab, PG_table } from '../kernel/base/flags.ts'
import { PAGE_WORDS } from '../kernel/base/list.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { asPfn, PAGE_SIZE } from '../kernel/base/units.ts'
import { capable } from '../kernel/calls/account.ts'
import { TASK_SIZE } from '../kernel/calls/unmapped_area.ts'
import { ROOT_MEMCG } from '../kernel/frames/memcg.ts'
import { compoundHead, pageMemcg, pageOwner, pfnValid } from '../kernel/frames/page.ts'
import { type Binary, bytesOf, offWord, READ_MAX, WORD_BYTES } from './binary.ts'
import { kpagecount, kpageflags, pagemapRead, SECTION_PAGES } from './pagemap.ts'

/** How many page frames the files of page frames have (get_max_dump_pfn). */
const maxDumpPfn = (k: Kernel): number => Math.ceil(k.maxPfn / SECTION_PAGES) * SECTION_PAGES

/** A file of one word for each page frame. */
const frameFile = (word: (k: Kernel, pfn: number, out: Uint32Array, at: number) => void): Binary => ({
  read: (k, _, position, count) => {
    if (offWord(position, count)) return -EINVAL
    const first = position / WORD_BYTES
    const n = Math.max(0, Math.min(maxDumpPfn(k) - first, Math.min(count, READ_MAX) / WORD_BYTES))
    const out = new Uint32Array(2 * n)
    for (let i = 0; i < n; i++) word(k, first + i, out, 2 * i)
    return bytesOf(out)
  },
})

/** The number of the cgroup that a page is charged to, or of the nearest one above it that still has a directory; 0 for none. */
function kpagecgroup(k: Kernel, pfn: number): number {
  if (!pfnValid(k, pfn)) return 0
  const charged = pageMemcg(k, asPfn(pfn))
  if (charged === ROOT_MEMCG && !isCharged(k, pfn)) return 0
  let group = k.memcg.groups[charged]
  while (group !== undefined && !group.online && group.parent >= 0) group = k.memcg.groups[group.parent]
  return group?.cgroup ?? 0
}

/**
 * Whether a page is charged to the root: pages of processes and files are somebody's, the kernel's own only a group's. Tails of huge pages
 * say nothing, huge TLB pages are nobody's.
 */
function isCharged(k: Kernel, pfn: number): boolean {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & (PG_hugetlb | PG_slab | PG_table | PG_buddy)) !== 0) return false
  return ((flags & PG_anon) !== 0 || pageOwner(k, asPfn(pfn)) !== 0) && compoundHead(k, asPfn(pfn)) === pfn
}

export const PAGE_COUNT: Binary = frameFile((k, pfn, out, at) => {
  out[at] = kpagecount(k, pfn)
})
export const PAGE_FLAGS: Binary = frameFile(kpageflags)
export const PAGE_CGROUP: Binary = frameFile((k, pfn, out, at) => {
  out[at] = kpagecgroup(k, pfn)
})

const TASK_PAGES = TASK_SIZE / PAGE_SIZE

export const PAGEMAP: Binary = {
  read: (k, { pid, writer }, position, count) => {
    const mm = k.tasks.get(pid)?.mm
    if (mm === undefined) return new Uint8Array(0)
    if (offWord(position, count)) return -EINVAL
    const first = position / WORD_BYTES
    const out = new Uint32Array(2 * Math.max(0, Math.min(TASK_PAGES - first, Math.min(count, READ_MAX) / WORD_BYTES)))
    if (out.length > 0) pagemapRead(k, mm, first, out, writer === undefined || capable(writer))
    return bytesOf(out)
  },
}
