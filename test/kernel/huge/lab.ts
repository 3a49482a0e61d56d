/** Machines with transparent huge pages, what processes find in their memory, and the kernel's own work on it. */

import { must } from '../../../src/kernel/base/assert.ts'
import { internContent } from '../../../src/kernel/base/content.ts'
import { PTE_PRESENT, PTE_TABLE } from '../../../src/kernel/base/flags.ts'
import type { Kernel, Machine } from '../../../src/kernel/base/state.ts'
import type { Mm, Task } from '../../../src/kernel/base/state_mm.ts'
import { asPfn, NO_PAGE, type Pfn, PTRS_PER_TABLE } from '../../../src/kernel/base/units.ts'
import { filemapGet } from '../../../src/kernel/caches/filemap.ts'
import { runKhugepaged } from '../../../src/kernel/daemons/khugepaged.ts'
import { startStopKhugepaged } from '../../../src/kernel/daemons/khugepaged_knobs.ts'
import { touchRun } from '../../../src/kernel/fault/touch.ts'
import { pageContent, pageContentIndex } from '../../../src/kernel/frames/page.ts'
import { entryFlags, entryValue, LEVEL_PAGES, LEVEL_PGD, LEVEL_PTE } from '../../../src/kernel/spaces/pagetable.ts'
import { eachVma } from '../../../src/kernel/spaces/vma.ts'
import { type Space, spaceOf } from '../calls/space.ts'
import { bootSmall, runInit } from '../machine.ts'

const PAGE = 4096

/** A booted machine where every area that may have huge pages gets them; khugepaged runs only when it is told to. */
export function bootHuge(mib: readonly number[] = [192], change: Partial<Machine> = {}): Kernel {
  const k = bootSmall(mib, change)
  k.thp.enabled = 'always'
  k.thp.useZeroPage = true
  startStopKhugepaged(k)
  return k
}

/** The first process of such a machine, at work. */
export function hugeSpace(mib?: readonly number[], change?: Partial<Machine>): Space {
  const k = bootHuge(mib, change)
  return spaceOf(k, runInit(k))
}

/** Fills pages [page, page + pages) of the address space, counted from `base`, each with bytes of its own. */
export function fill({ k, mm, task }: Space, base: number, page: number, pages: number, name: string): void {
  const key = `unique/${task.pid}/${name}`
  const content = internContent(k.contents, { kind: 'unique', key, incompressible: 1, sameFilled: false })
  const at = base + page * PAGE
  const contentBase = base / PAGE
  touchRun(
    k,
    mm,
    {
      write: true,
      startByte: at,
      endByte: at + pages * PAGE,
      strideBytes: PAGE,
      at,
      done: 0,
      content,
      contentIndexed: true,
      contentBase,
      result: { pfn: asPfn(0), fault: 0 },
    },
    Number.POSITIVE_INFINITY,
  )
}

/** Calls back for every small page that the address space maps. */
export function eachMapped(k: Kernel, mm: Mm, see: (vpn: number, pfn: Pfn) => void): void {
  const walk = (table: number, level: number, base: number): void => {
    for (let i = 0; i < PTRS_PER_TABLE; i++) {
      const flags = entryFlags(k, table, i)
      const vpn = base + i * LEVEL_PAGES[level]
      if ((flags & PTE_TABLE) !== 0) walk(entryValue(k, table, i), level + 1, vpn)
      else if ((flags & PTE_PRESENT) !== 0)
        for (let j = 0; j < (level === LEVEL_PTE ? 1 : LEVEL_PAGES[level]); j++) see(vpn + j, asPfn(entryValue(k, table, i) + j))
    }
  }
  walk(mm.pgd, LEVEL_PGD, 0)
}

/** What a process would read, by page, where that is not zeros: which bytes, as text. */
export function contentsOf(k: Kernel, mm: Mm): Map<number, string> {
  const found = new Map<number, string>()
  const mapped = new Set<number>()
  const note = (vpn: number, pfn: Pfn): void => {
    const content = pageContent(k, pfn)
    if (content !== 0) found.set(vpn, `${must(k.contents.classes[content], 'no such content').key} ${pageContentIndex(k, pfn)}`)
  }
  eachMapped(k, mm, (vpn, pfn) => {
    mapped.add(vpn)
    note(vpn, pfn)
  })
  for (const { start, end, pgoff, mapping } of eachVma(mm)) {
    for (let vpn = start; mapping !== undefined && vpn < end; vpn++) {
      const pfn = mapped.has(vpn) ? NO_PAGE : filemapGet(mapping, pgoff + vpn - start)
      if (pfn !== NO_PAGE) note(vpn, pfn)
    }
  }
  return found
}

/** Lets khugepaged do whole rounds until it has been everywhere `times` times. */
export function scanFully(k: Kernel, times = 2): void {
  k.current = undefined
  const until = k.khugepaged.fullScans + times
  for (let i = 0; i < 1000 && k.khugepaged.fullScans < until && k.khugepaged.mms.length > 0; i++) runKhugepaged(k)
}

/** The task's memory. */
export const mmOf = (task: Task): Mm => must(task.mm, 'the task has no memory')
