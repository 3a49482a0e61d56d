/**
 * Recounts memory cgroups: what each group is charged for, from the pages that bear its number, and what it counts of them.
 *
 *     memory.usage - children's = pages that bear the number + stocks of CPUs + pages that kernel objects are charged from
 *     swap.usage - children's   = swap slots that remember it
 */
import { MS, NODE_STATS, NS } from './base/counters.ts'
import { PG_anon, PG_head, PG_hugetlb, PG_swapbacked, PG_swapcache, PG_table, PG_tail } from './base/flags.ts'
import { PAGE_WORDS } from './base/list.ts'
import type { Kernel } from './base/state.ts'
import type { Memcg } from './base/state_memcg.ts'
import { asPfn, MAX_NR_ZONES, PAGE_SIZE, type Pfn } from './base/units.ts'
import { NR_LRU_LISTS } from './caches/lru.ts'
import { ROOT_MEMCG } from './frames/memcg.ts'
import { compoundMapcount, compoundPages, isThp, pageMapped, pageMemcg, pageNode, pageOwner, W_MAPCOUNT } from './frames/page.ts'
import { PGD_ORDER } from './spaces/pagetable.ts'

/** Figures of NODE_STATS that are counted here. */
const COUNTED = ['nr_anon_pages', 'nr_mapped', 'nr_file_pages', 'nr_shmem', 'nr_swapcached', 'nr_anon_transparent_hugepages'] as const

interface Count {
  pages: number
  swapEntries: number
  /** By node. */
  readonly stat: Float64Array[]
}

/** What does not add up, in words; nothing to do while there is only the root. */
export function verifyMemcg(k: Kernel): string[] {
  const { groups } = k.memcg
  const wrong: string[] = []
  if (groups.length === 1) return wrong
  const counts = groups.map((): Count => ({ pages: 0, swapEntries: 0, stat: k.nodes.map(() => new Float64Array(NODE_STATS.length)) }))
  const tops = new Set([...k.spaces.mms.values()].map(mm => k.spaces.tables.pfn[mm.pgd]))
  for (let pfn = 1; pfn < k.maxPfn; pfn++) {
    const memcg = pageMemcg(k, asPfn(pfn))
    if (memcg === ROOT_MEMCG || (k.page[pfn * PAGE_WORDS] & PG_tail) !== 0) continue
    if (groups[memcg] === undefined) wrong.push(`page ${pfn} is charged to memory cgroup ${memcg}, which is gone`)
    else countPage(k, asPfn(pfn), tops.has(pfn) ? 1 << PGD_ORDER : compoundPages(k, asPfn(pfn)), counts[memcg])
  }
  for (const area of k.swap.areas) for (const memcg of area?.memcg ?? []) if (memcg !== ROOT_MEMCG) counts[memcg].swapEntries++
  for (const memcg of groups) if (memcg !== undefined && memcg.id !== ROOT_MEMCG) verifyGroup(k, memcg, counts[memcg.id], wrong)
  for (const task of k.tasks.values())
    if (groups[task.memcg]?.online !== true || (task.mm !== undefined && task.mm.memcg !== task.memcg))
      wrong.push(`task ${task.pid} is charged to memory cgroup ${task.memcg}, its memory to ${task.mm?.memcg}`)
  return wrong
}

function countPage(k: Kernel, head: Pfn, pages: number, count: Count): void {
  const flags = k.page[head * PAGE_WORDS]
  const stat = count.stat[pageNode(k, head)]
  const anon = (flags & PG_anon) !== 0
  count.pages += pages
  if ((flags & PG_hugetlb) !== 0) return
  stat[anon ? NS.nr_anon_pages : NS.nr_mapped] += mappedPages(k, head)
  if (anon && isThp(k, head) && compoundMapcount(k, head) > 0) stat[NS.nr_anon_transparent_hugepages] += pages
  if ((flags & PG_swapcache) !== 0) stat[NS.nr_swapcached] += pages
  const cached = !anon && pageOwner(k, head) !== 0 && (flags & PG_table) === 0
  if (cached) stat[NS.nr_file_pages] += pages
  if (cached && (flags & (PG_swapbacked | PG_swapcache)) === PG_swapbacked) stat[NS.nr_shmem] += pages
}

/** Pages, of a huge one, that anything maps. */
function mappedPages(k: Kernel, head: Pfn): number {
  const pages = compoundPages(k, head)
  if (!pageMapped(k, head)) return 0
  if ((k.page[head * PAGE_WORDS] & PG_head) === 0 || compoundMapcount(k, head) > 0) return pages
  let mapped = 0
  for (let i = 0; i < pages; i++) if (k.page[(head + i) * PAGE_WORDS + W_MAPCOUNT] > 0) mapped++
  return mapped
}

function verifyGroup(k: Kernel, memcg: Memcg, count: Count, wrong: string[]): void {
  const { id, memory, swap, children } = memcg
  const name = `memory cgroup ${id}`
  const below = (what: (child: Memcg) => number) =>
    children.reduce((sum, child) => {
      const group = k.memcg.groups[child]
      return group === undefined ? sum : sum + what(group)
    }, 0)
  if (count.pages !== memcg.pages) wrong.push(`${name}: ${count.pages} pages bear its number, counted ${memcg.pages}`)
  if (count.swapEntries !== memcg.swapEntries) wrong.push(`${name}: ${count.swapEntries} swap slots, counted ${memcg.swapEntries}`)
  const ownSwap = swap.usage - below(child => child.swap.usage)
  if (ownSwap !== count.swapEntries) wrong.push(`${name}: ${count.swapEntries} swap slots, charged for ${ownSwap}`)
  const stock = k.memcg.stocks.reduce((sum, cpu) => (cpu.memcg === id ? sum + cpu.pages : sum), 0)
  const spare = k.memcg.stocks.reduce((sum, cpu) => (cpu.objMemcg === id ? sum + cpu.objBytes : sum), memcg.objBytes)
  const objects = (memcg.slabBytes + memcg.stat[MS.zswap] + memcg.stat[MS.percpu] + spare) / PAGE_SIZE
  const own = memory.usage - below(child => child.memory.usage)
  if (own !== count.pages + stock + objects)
    wrong.push(`${name}: ${count.pages} pages, ${stock} in stock, ${objects} of objects, charged for ${own}`)
  if (
    memory.childrenMinUsage !== below(child => child.memory.minUsage) ||
    memory.childrenLowUsage !== below(child => child.memory.lowUsage)
  )
    wrong.push(`${name}: what its children's memory.min and memory.low protect is not what they say`)
  for (const node of k.nodes) verifyLruvec(k, memcg, node.id, count, wrong)
}

function verifyLruvec(k: Kernel, { id }: Memcg, nid: number, count: Count, wrong: string[]): void {
  const { size, zoneSize, stat } = k.nodes[nid].lruvecs[id]
  for (const name of COUNTED)
    if (count.stat[nid][NS[name]] !== stat[NS[name]])
      wrong.push(`memory cgroup ${id} on node ${nid}: ${name} is ${stat[NS[name]]}, should be ${count.stat[nid][NS[name]]}`)
  for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
    let zones = 0
    for (let type = 0; type < MAX_NR_ZONES; type++) zones += zoneSize[type * NR_LRU_LISTS + lru]
    if (zones !== size[lru] || stat[NS.nr_inactive_anon + lru] !== size[lru])
      wrong.push(
        `memory cgroup ${id} on node ${nid}, list ${lru}: ${size[lru]} pages, ${zones} in zones, ${stat[NS.nr_inactive_anon + lru]} counted`,
      )
  }
}
