/**
 * Recounts the generations: each page on one list, of its type and zone, each size against the pages that say they are of that
 * generation, what counts as active, and the rows of address spaces.
 */
import { PG_active, PG_lru, PG_unevictable } from './base/flags.ts'
import { listFirst, listLength, listNext, PAGE_WORDS } from './base/list.ts'
import type { Kernel, Lruvec } from './base/state.ts'
import { MM_FIFO } from './base/state_lru_gen.ts'
import { asPfn, NO_PAGE, type Pfn } from './base/units.ts'
import { folioLruGen, genList, isActiveGen, nrGens, placeOf, typeOf } from './caches/lru_gen.ts'
import { MAX_NR_GENS, MIN_NR_GENS } from './frames/generations.ts'
import { compoundPages, pageMemcg, pageNode, pageZone } from './frames/page.ts'

/**
 * Recounts a lruvec's generations on a node.
 * @param visit is told of each page on one of the lists.
 * @returns pages that count to each of the lruvec's four evictable lists, by LRU_*.
 */
export function verifyGenerations(k: Kernel, nid: number, lruvec: Lruvec, visit: (pfn: Pfn) => void, wrong: string[]): number[] {
  const { gen } = lruvec
  const name = `node ${nid} memcg ${lruvec.memcg}`
  const found = new Int32Array(gen.nrPages.length)
  const counted = [0, 0, 0, 0]
  for (let place = 0; place < found.length; place++) {
    let n = 0
    for (let pfn = listFirst(k.heads, gen.lists + place); pfn !== NO_PAGE; pfn = listNext(k.page, pfn)) {
      n++
      visit(pfn)
      verifyPage(k, nid, lruvec, place, pfn, wrong)
      const g = folioLruGen(k, pfn)
      if (g < 0) continue
      const pages = compoundPages(k, pfn)
      found[placeOf(g, typeOf(k, pfn), pageZone(k, pfn).type)] += pages
      counted[typeOf(k, pfn) * 2 + (isActiveGen(gen, g) ? 1 : 0)] += pages
    }
    if (n !== listLength(k.heads, gen.lists + place)) wrong.push(`${name}: list ${place} of generations does not know its length`)
  }
  found.forEach((pages, place) => {
    if (pages !== gen.nrPages[place]) wrong.push(`${name}: place ${place} of generations has ${pages} pages, says ${gen.nrPages[place]}`)
  })
  const [anon, file] = [nrGens(gen, 0), nrGens(gen, 1)]
  if (file < MIN_NR_GENS || anon < file || anon > MAX_NR_GENS)
    wrong.push(`${name}: ${anon} generations of anonymous pages, ${file} of files`)
  return counted
}

function verifyPage(k: Kernel, nid: number, lruvec: Lruvec, place: number, pfn: Pfn, wrong: string[]): void {
  const flags = k.page[pfn * PAGE_WORDS]
  if (!k.lruGen.enabled) wrong.push(`page ${pfn} is in a generation, which are off`)
  if (genList(k, lruvec.gen, pfn) !== lruvec.gen.lists + place)
    wrong.push(`page ${pfn} does not say that it is on list ${place} of generations`)
  if (folioLruGen(k, pfn) < 0) wrong.push(`page ${pfn} is on a list of generations but of none`)
  if ((flags & PG_lru) === 0 || (flags & (PG_active | PG_unevictable)) !== 0)
    wrong.push(`page ${pfn} is in a generation but its flags say otherwise`)
  if (pageNode(k, pfn) !== nid || pageMemcg(k, pfn) !== lruvec.memcg) wrong.push(`page ${pfn} is in another node's or group's generation`)
}

/** Rows of address spaces: each living one is in its group's row, both ways; pages on no list are of no generation. */
export function verifyLruGen(k: Kernel): string[] {
  const wrong: string[] = []
  const rows = new Set<number>()
  k.lruGen.mmLists.forEach((list, memcg) => {
    let prev = MM_FIFO
    for (let id = list.first; id !== MM_FIFO; ) {
      const mm = k.spaces.mms.get(id)
      if (mm === undefined || rows.has(id)) {
        wrong.push(`row ${memcg} of address spaces is broken at ${id}`)
        return
      }
      rows.add(id)
      if (mm.lruGen.memcg !== memcg || mm.memcg !== memcg || mm.lruGen.prev !== prev)
        wrong.push(`address space ${id} is in the wrong place of a row`)
      prev = id
      id = mm.lruGen.next
    }
    if (list.last !== prev) wrong.push(`row ${memcg} of address spaces does not know its end`)
  })
  for (const mm of k.spaces.mms.values())
    if (mm.users > 0 && mm.lruGen.memcg >= 0 && !rows.has(mm.id)) wrong.push(`address space ${mm.id} is in no row`)
  return [...wrong, ...verifyUnlisted(k)]
}

function verifyUnlisted(k: Kernel): string[] {
  const wrong: string[] = []
  const { pages } = k.lruGen
  for (let pfn = 1; pfn < pages.length; pfn++)
    if (pages[pfn] !== 0 && folioLruGen(k, asPfn(pfn)) >= 0 && (k.page[pfn * PAGE_WORDS] & PG_lru) === 0)
      wrong.push(`page ${pfn} is of a generation but on no list`)
  return wrong
}
