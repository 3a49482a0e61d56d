/**
 * /proc/PID/numa_maps: each area's memory policy and on which nodes its pages lie.
 *
 *     200000000000 interleave:0-1 anon=2048 dirty=2048 active=0 N0=1024 N1=1024 kernelpagesize_kB=4
 *
 * Pages are counted, huge TLB pages in their own size. mapped is left out where it would repeat anon or dirty, active where
 * all pages are active, and an area without pages shows only its policy.
 *
 * Source: fs/proc/task_mmu.c (show_numa_map, gather_stats, gather_pte_stats, gather_hugetlb_stats).
 */
import {
  PG_active,
  PG_anon,
  PG_dirty,
  PG_swapcache,
  PG_unevictable,
  PG_writeback,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
} from '../../kernel/base/flags.ts'
import { PAGE_WORDS } from '../../kernel/base/list.ts'
import type { Kernel } from '../../kernel/base/state.ts'
import type { Hstate } from '../../kernel/base/state_huge.ts'
import type { Task, Vma } from '../../kernel/base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, PAGE_KB, PAGE_SIZE, type Pfn } from '../../kernel/base/units.ts'
import { areaPolicy } from '../../kernel/frames/mempolicy.ts'
import { mpolToStr } from '../../kernel/frames/mempolicy_text.ts'
import { compoundHead, pageMapcount, pageNode } from '../../kernel/frames/page.ts'
import { moveUnderWay } from '../../kernel/reclaim/migrate_window.ts'
import {
  chunkOf,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PMD,
  LEVEL_PUD,
  levelIndex,
  pteIndex,
  walkTo,
} from '../../kernel/spaces/pagetable.ts'
import { eachVma } from '../../kernel/spaces/vma.ts'
import { walkPmds } from '../../kernel/spaces/walk.ts'
import { escapePath, hex } from '../format.ts'
import { hstateOfVma, type Living } from './living.ts'
import { isHeap, isStack, vmaPath } from './maps.ts'

interface NumaStats {
  pages: number
  anon: number
  dirty: number
  swapcache: number
  active: number
  writeback: number
  mapcountMax: number
  readonly nodes: number[]
}

function count(k: Kernel, pfn: Pfn, entry: number, n: number, stats: NumaStats): void {
  if (moveUnderWay(k, pfn) !== undefined) return
  const flags = k.page[compoundHead(k, pfn) * PAGE_WORDS]
  stats.pages += n
  if ((entry & PTE_DIRTY) !== 0 || (flags & PG_dirty) !== 0) stats.dirty += n
  if ((flags & PG_swapcache) !== 0) stats.swapcache += n
  if ((flags & (PG_active | PG_unevictable)) !== 0) stats.active += n
  if ((flags & PG_writeback) !== 0) stats.writeback += n
  if ((flags & PG_anon) !== 0) stats.anon += n
  stats.mapcountMax = Math.max(stats.mapcountMax, pageMapcount(k, pfn))
  stats.nodes[pageNode(k, pfn)] += n
}

function countTable(k: Kernel, table: number, first: number, n: number, stats: NumaStats): void {
  const chunk = chunkOf(k, table)
  const base = entryAt(table, first)
  for (let at = base; at < base + 2 * n; at += 2) {
    const entry = chunk[at + 1]
    if ((entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT) count(k, asPfn(chunk[at]), entry, 1, stats)
  }
}

function countHugetlb(k: Kernel, vma: Vma, h: Hstate, stats: NumaStats): void {
  const level = h.gigantic ? LEVEL_PUD : LEVEL_PMD
  for (let at = vma.start; at < vma.end; at += 2 ** h.order) {
    const table = walkTo(k, vma.mm, at, level)
    const i = levelIndex(at, level)
    if (table !== 0 && (entryFlags(k, table, i) & PTE_PRESENT) !== 0)
      count(k, asPfn(entryValue(k, table, i)), entryFlags(k, table, i), 1, stats)
  }
}

function gather(k: Kernel, vma: Vma): NumaStats {
  const stats = { pages: 0, anon: 0, dirty: 0, swapcache: 0, active: 0, writeback: 0, mapcountMax: 0, nodes: k.nodes.map(() => 0) }
  const h = hstateOfVma(k, vma)
  if (h !== undefined) countHugetlb(k, vma, h, stats)
  else
    walkPmds(k, vma.mm, vma.start, vma.end, (pmd, i, start, end) => {
      const entry = entryFlags(k, pmd, i)
      if ((entry & PTE_TABLE) !== 0) countTable(k, entryValue(k, pmd, i), pteIndex(start), end - start, stats)
      else if ((entry & (PTE_HUGE | PTE_PRESENT | PTE_SPECIAL)) === (PTE_HUGE | PTE_PRESENT))
        count(k, asPfn(entryValue(k, pmd, i)), entry, HPAGE_PMD_NR, stats)
    })
  return stats
}

/** What is mapped, in the words of this file. */
function kindOf(vma: Vma): string {
  const path = vmaPath(vma)
  if (path !== undefined) return ` file=${escapePath(path, '\n\t= ')}`
  return isHeap(vma) ? ' heap' : isStack(vma) ? ' stack' : ''
}

function lineOf(k: Kernel, task: Task, vma: Vma): string {
  const h = hstateOfVma(k, vma)
  const stats = gather(k, vma)
  const head = `${hex(vma.start * PAGE_SIZE, 8)} ${mpolToStr(areaPolicy(vma, 0) ?? task.policy)}${kindOf(vma)}${h === undefined ? '' : ' huge'}`
  return stats.pages === 0 ? `${head}\n` : `${head}${figures(stats, h)}\n`
}

function figures(stats: NumaStats, h: Hstate | undefined): string {
  const { pages, anon, dirty, mapcountMax, swapcache, active, writeback } = stats
  const shown: readonly [name: string, value: number, when: boolean][] = [
    ['anon', anon, anon > 0],
    ['dirty', dirty, dirty > 0],
    ['mapped', pages, pages !== anon && pages !== dirty],
    ['mapmax', mapcountMax, mapcountMax > 1],
    ['swapcache', swapcache, swapcache > 0],
    ['active', active, active < pages && h === undefined],
    ['writeback', writeback, writeback > 0],
    ...stats.nodes.map((n, node): [string, number, boolean] => [`N${node}`, n, n > 0]),
    ['kernelpagesize_kB', h?.sizeKb ?? PAGE_KB, true],
  ]
  return shown
    .filter(([, , when]) => when)
    .map(([name, value]) => ` ${name}=${value}`)
    .join('')
}

export const numaMaps = ({ k, task, mm }: Living): string =>
  mm === undefined ? '' : [...eachVma(mm)].map(vma => lineOf(k, task, vma)).join('')
