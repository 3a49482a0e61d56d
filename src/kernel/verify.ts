/**
 * Recounts the machine: every page is in exactly one place, and every counter is what a count of that place gives.
 *
 *     free        on a buddy list, virgin, or on a per-CPU list
 *     LRU         on one list of its node and memory cgroup, or counted unevictable
 *     in flight   in a folio batch or isolated, on no list
 *     pool        holds compressed pages
 *     kernel      page tables, stacks, slabs, huge TLB pages, and what boot keeps
 *
 * Tests call it after every operation; it walks everything, so it is slow on large machines.
 */
import { NS, ZS } from './base/counters.ts'
import {
  PG_anon,
  PG_BATCH_SHIFT,
  PG_buddy,
  PG_lru,
  PG_table,
  PG_unevictable,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
} from './base/flags.ts'
import { listFirst, listLength, listNext, PAGE_WORDS } from './base/list.ts'
import type { Kernel, Zone } from './base/state.ts'
import type { Mm } from './base/state_mm.ts'
import { asPfn, MAX_ORDER, MIGRATE_ISOLATE, MIGRATE_TYPES, NO_PAGE, PTRS_PER_TABLE } from './base/units.ts'
import { LRU_UNEVICTABLE, lruOf, NR_LRU_LISTS } from './caches/lru.ts'
import { freeList, virginBlocks } from './frames/buddy.ts'
import { compoundMapcount, compoundPages, pageMemcg, pageNode, pageZone, tailPtes, W_INDEX, W_MAPCOUNT, W_PRIVATE } from './frames/page.ts'
import { isSharedTable } from './spaces/hugetlb.ts'
import { entryFlags, entryValue } from './spaces/pagetable.ts'
import { verifyFiles } from './verify_files.ts'
import { verifyHugetlb } from './verify_hugetlb.ts'
import { verifyKsm } from './verify_ksm.ts'
import { verifyGenerations, verifyLruGen } from './verify_lru_gen.ts'
import { verifyMemcg } from './verify_memcg.ts'
import { verifyNuma } from './verify_numa.ts'
import { verifySpaces } from './verify_spaces.ts'
import { verifySwap } from './verify_swap.ts'
import { verifyThp } from './verify_thp.ts'
import { verifyUffd } from './verify_uffd.ts'
import { verifyCompressed } from './verify_zswap.ts'

/** What a page was found to be: a bit per place. */
const FREE = 1
const PCP = 2
const LRU = 4
const POOL = 8

/** Everything that does not add up, in words; empty for a sound machine. */
export function verify(k: Kernel): string[] {
  const wrong: string[] = []
  const place = new Uint8Array(k.maxPfn + 1)
  for (const zone of k.zones) verifyFree(k, zone, place, wrong)
  verifyLru(k, place, wrong)
  verifyMappings(k, wrong)
  verifyFlags(k, place, wrong)
  wrong.push(...verifyCompressed(k, pfn => claim(place, pfn, 1, POOL, wrong)))
  wrong.push(
    ...verifySpaces(k),
    ...verifyHugetlb(k),
    ...verifyFiles(k),
    ...verifyThp(k),
    ...verifyUffd(k),
    ...verifySwap(k),
    ...verifyKsm(k),
    ...verifyMemcg(k),
    ...verifyLruGen(k),
    ...verifyNuma(k),
  )
  return wrong
}

function claim(place: Uint8Array, pfn: number, pages: number, what: number, wrong: string[]): void {
  for (let i = pfn; i < pfn + pages; i++) {
    if (place[i] !== 0) wrong.push(`page ${i} is in two places: ${place[i]} and ${what}`)
    place[i] |= what
  }
}

function verifyFree(k: Kernel, zone: Zone, place: Uint8Array, wrong: string[]): void {
  let free = 0
  for (let order = 0; order < MAX_ORDER; order++) {
    let blocks = order === MAX_ORDER - 1 ? virginBlocks(zone) : 0
    for (let type = 0; type < MIGRATE_TYPES; type++) {
      const linked = verifyFreeList(k, zone, order, type, place, wrong)
      blocks += linked
      if (type !== MIGRATE_ISOLATE) free += linked << order
    }
    if (blocks !== zone.nrFree[order]) wrong.push(`zone ${zone.index} order ${order}: ${blocks} free blocks, counted ${zone.nrFree[order]}`)
  }
  for (const range of zone.virgin) {
    claim(place, range.next, range.end - range.next, FREE, wrong)
    free += range.end - range.next
  }
  if (free !== zone.stat[ZS.nr_free_pages])
    wrong.push(`zone ${zone.index}: ${free} pages free, nr_free_pages ${zone.stat[ZS.nr_free_pages]}`)
  zone.pcps.forEach((_, cpu) => {
    verifyPcp(zone, cpu, place, wrong)
  })
}

function verifyFreeList(k: Kernel, zone: Zone, order: number, type: number, place: Uint8Array, wrong: string[]): number {
  const list = freeList(zone, order, type)
  let n = 0
  for (let pfn = listFirst(k.heads, list); pfn !== NO_PAGE; pfn = listNext(k.page, pfn)) {
    const at = pfn * PAGE_WORDS
    n++
    claim(place, pfn, 1 << order, FREE, wrong)
    if (pfn % (1 << order) !== 0) wrong.push(`free block ${pfn} of order ${order} is not aligned`)
    if ((k.page[at] & PG_buddy) === 0 || k.page[at + W_PRIVATE] !== order || k.page[at + W_INDEX] !== type)
      wrong.push(`free block ${pfn} does not say that it is on list ${order}/${type}`)
    if (pageZone(k, pfn) !== zone) wrong.push(`free block ${pfn} is on another zone's list`)
  }
  if (n !== listLength(k.heads, list))
    wrong.push(`list ${order}/${type} of zone ${zone.index} has ${n} blocks, says ${listLength(k.heads, list)}`)
  return n
}

function verifyPcp(zone: Zone, cpu: number, place: Uint8Array, wrong: string[]): void {
  const pcp = zone.pcps[cpu]
  let count = 0
  pcp.lists.forEach((list, index) => {
    const order = index < 12 ? Math.floor(index / 3) : 9
    for (let i = 0; i < list.n; i++) {
      const pfn = Math.abs(list.ring[(list.head + i) & (list.ring.length - 1)])
      claim(place, pfn, 1 << order, PCP, wrong)
      count += 1 << order
    }
  })
  if (count !== pcp.count) wrong.push(`zone ${zone.index} cpu ${cpu}: ${count} pages on its lists, count ${pcp.count}`)
}

function verifyLru(k: Kernel, place: Uint8Array, wrong: string[]): void {
  for (const node of k.nodes) {
    node.lruvecs.forEach((lruvec, memcg) => {
      const inGenerations = verifyGenerations(k, node.id, lruvec, pfn => claim(place, pfn, compoundPages(k, pfn), LRU, wrong), wrong)
      for (let lru = 0; lru < LRU_UNEVICTABLE; lru++) {
        let pages = inGenerations[lru]
        if (k.lruGen.enabled && listLength(k.heads, lruvec.lists + lru) > 0)
          wrong.push(`LRU list ${lru} has pages though generations are on`)
        for (let pfn = listFirst(k.heads, lruvec.lists + lru); pfn !== NO_PAGE; pfn = listNext(k.page, pfn)) {
          const n = compoundPages(k, pfn)
          claim(place, pfn, n, LRU, wrong)
          pages += n
          const flags = k.page[pfn * PAGE_WORDS]
          if ((flags & PG_lru) === 0 || lruOf(flags) !== lru) wrong.push(`page ${pfn} is on LRU list ${lru} but its flags say otherwise`)
          if (pageNode(k, pfn) !== node.id || pageMemcg(k, pfn) !== memcg)
            wrong.push(`page ${pfn} is on another node's or group's LRU list`)
        }
        if (pages !== lruvec.size[lru])
          wrong.push(`node ${node.id} memcg ${memcg} LRU list ${lru}: ${pages} pages, size ${lruvec.size[lru]}`)
      }
    })
    for (let lru = 0; lru < NR_LRU_LISTS; lru++) verifyLruCounts(k, node.id, lru, wrong)
  }
}

function verifyLruCounts(k: Kernel, node: number, lru: number, wrong: string[]): void {
  const lists = k.nodes[node].lruvecs.reduce((sum, lruvec) => sum + lruvec.size[lru], 0)
  const zones = k.zones.filter(zone => zone.node === node).reduce((sum, zone) => sum + zone.stat[ZS.nr_zone_inactive_anon + lru], 0)
  const stat = k.nodes[node].stat[NS.nr_inactive_anon + lru]
  if (lists !== stat || zones !== stat) wrong.push(`node ${node} LRU list ${lru}: lists ${lists}, zones ${zones}, node ${stat}`)
}

/** Entries that map each page, counted by walking every address space. */
interface Maps {
  readonly ptes: Int32Array
  readonly huge: Map<number, number>
  /** Tables that several address spaces use, once one of them was walked. */
  readonly shared: Set<number>
}

function verifyMappings(k: Kernel, wrong: string[]): void {
  const maps: Maps = { ptes: new Int32Array(k.maxPfn + 1), huge: new Map(), shared: new Set() }
  let tables = 0
  for (const mm of k.spaces.mms.values()) tables += walk(k, mm, mm.pgd, 0, maps)
  const counted = k.nodes.reduce((sum, node) => sum + node.stat[NS.nr_page_table_pages], 0)
  const spare = [...k.spaces.deposits.values()].reduce((sum, list) => sum + list.length, 0)
  if (tables + spare + k.boot.kernelTables !== counted)
    wrong.push(`${tables} page tables and ${spare} spare ones, nr_page_table_pages ${counted}`)
  const { ptes: counts } = maps
  const { page, maxPfn } = k
  for (let pfn = 1; pfn < maxPfn; pfn++)
    if (page[pfn * PAGE_WORDS + W_MAPCOUNT] !== counts[pfn])
      wrong.push(`page ${pfn} is mapped ${counts[pfn]} times, mapcount ${page[pfn * PAGE_WORDS + W_MAPCOUNT]}`)
  for (const [head, n] of maps.huge) {
    if (compoundMapcount(k, asPfn(head)) !== n)
      wrong.push(`huge page ${head} is mapped ${n} times, mapcount ${compoundMapcount(k, asPfn(head))}`)
    let ptes = 0
    for (let i = 0; i < compoundPages(k, asPfn(head)); i++) ptes += maps.ptes[head + i]
    if (ptes !== tailPtes(k, asPfn(head))) wrong.push(`huge page ${head} has ${ptes} small mappings, counts ${tailPtes(k, asPfn(head))}`)
  }
}

/** Walks one table; returns how many tables of the two lower levels it found. */
function walk(k: Kernel, mm: Mm, table: number, level: number, maps: Maps): number {
  if (maps.shared.has(table)) return 0
  if (isSharedTable(k, table)) maps.shared.add(table)
  let tables = level >= 2 ? 1 : 0
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const flags = entryFlags(k, table, i)
    if (flags === 0) continue
    const value = entryValue(k, table, i)
    if ((flags & PTE_TABLE) !== 0) tables += walk(k, mm, value, level + 1, maps)
    else if ((flags & PTE_PRESENT) !== 0 && (flags & PTE_SPECIAL) === 0) {
      if ((flags & PTE_HUGE) !== 0) maps.huge.set(value, (maps.huge.get(value) ?? 0) + 1)
      else maps.ptes[value]++
    }
  }
  return tables
}

function verifyFlags(k: Kernel, place: Uint8Array, wrong: string[]): void {
  const { page, maxPfn } = k
  for (let pfn = 1; pfn < maxPfn; pfn++) {
    const flags = page[pfn * PAGE_WORDS]
    if (flags === 0) continue
    const free = (place[pfn] & (FREE | PCP)) !== 0
    if (free && (flags & ~PG_buddy) !== 0) wrong.push(`free page ${pfn} has flags ${flags.toString(16)}`)
    if (!free && (flags & PG_buddy) !== 0) wrong.push(`page ${pfn} says that it is free`)
    if ((flags & PG_lru) !== 0 && (flags & PG_unevictable) === 0 && (place[pfn] & LRU) === 0)
      wrong.push(`page ${pfn} says that it is on an LRU list`)
    if (free && page[pfn * PAGE_WORDS + W_MAPCOUNT] !== 0) wrong.push(`free page ${pfn} is mapped`)
    if ((flags & PG_anon) !== 0 && (flags & PG_table) !== 0) wrong.push(`page ${pfn} is anonymous and a page table`)
    if (free && flags >>> PG_BATCH_SHIFT !== 0) wrong.push(`free page ${pfn} is in a batch`)
  }
}
