/**
 * The address spaces of each memory cgroup in a row, for walks over their page tables (lru_gen_mm_list).
 *
 *     MM_FIFO ──> oldest ──> ... ──> newest ──> MM_FIFO
 *
 * A process joins its group's row when it begins and changes rows when it changes groups. Each node's walk over a group remembers
 * where it stands: where it goes on, and the first that came after it ended, which is walked whether it ran or not.
 *
 * Source: mm/vmscan.c (lru_gen_add_mm, lru_gen_del_mm, lru_gen_migrate_mm).
 */
import { must } from '../base/assert.ts'
import type { Kernel } from '../base/state.ts'
import { MM_FIFO, type MmGen, type MmList } from '../base/state_lru_gen.ts'
import type { Mm } from '../base/state_mm.ts'

/** Of an address space that is in no row yet. */
export const mmGen = (): MmGen => ({ memcg: -1, next: MM_FIFO, prev: MM_FIFO, used: 0 })

/** The row of a group. */
export function mmListOf(k: Kernel, memcg: number): MmList {
  const { mmLists } = k.lruGen
  while (mmLists.length <= memcg) mmLists.push({ first: MM_FIFO, last: MM_FIFO })
  return mmLists[memcg]
}

/** Puts a new address space at the end of its group's row. */
export function lruGenAddMm(k: Kernel, mm: Mm): void {
  const list = mmListOf(k, mm.memcg)
  for (const node of k.nodes) {
    const state = node.lruvecs[mm.memcg].gen.mm
    if (state.tail === MM_FIFO) state.tail = mm.id
  }
  mm.lruGen.memcg = mm.memcg
  mm.lruGen.prev = list.last
  mm.lruGen.next = MM_FIFO
  setNext(k, list, list.last, mm.id)
  list.last = mm.id
}

/** Takes an address space out of its row; walks that stand at it go on to the next. */
export function lruGenDelMm(k: Kernel, mm: Mm): void {
  const { memcg, next, prev } = mm.lruGen
  if (memcg < 0) return
  const list = mmListOf(k, memcg)
  for (const node of k.nodes) {
    const state = node.lruvecs[memcg].gen.mm
    if (state.tail === mm.id) state.tail = next
    if (state.head !== mm.id) continue
    state.head = next
    if (next === MM_FIFO) state.seq++
  }
  setNext(k, list, prev, next)
  if (next === MM_FIFO) list.last = prev
  else mustMm(k, next).lruGen.prev = prev
  mm.lruGen.memcg = -1
}

/** An address space whose process is in another group now. */
export function lruGenMigrateMm(k: Kernel, mm: Mm): void {
  if (mm.lruGen.memcg < 0 || mm.lruGen.memcg === mm.memcg) return
  lruGenDelMm(k, mm)
  lruGenAddMm(k, mm)
}

function setNext(k: Kernel, list: MmList, mm: number, next: number): void {
  if (mm === MM_FIFO) list.first = next
  else mustMm(k, mm).lruGen.next = next
}

const mustMm = (k: Kernel, id: number): Mm => must(k.spaces.mms.get(id), `address space ${id} of a group's row is gone`)
