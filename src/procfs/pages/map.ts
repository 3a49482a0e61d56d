/**
 * /mmtop/pages/map/START/END/CELLS: physical memory from one page frame to another, in so many cells; and /mmtop/pages/frame/PFN, the story
 * of one page.
 *
 *     map START END STEP SEEN                      one frame in STEP was looked at
 *     cell START END NODE ORDER PID KIND=N ...     node; order of the largest free block in it, -1 for none; who maps most of it, 0 for
 *                                                  nobody; frames by kind (KINDS)
 *
 * The kinds exclude each other: a merged page is "ksm", not "anon".
 */
import { PG_anon, PG_hugetlb, PG_ksm, PG_lru, PG_slab, PG_swapbacked, PG_table } from '../../kernel/base/flags.ts'
import { PAGE_WORDS } from '../../kernel/base/list.ts'
import type { Kernel } from '../../kernel/base/state.ts'
import { asPfn, MIGRATE_NAMES, PAGEBLOCK_ORDER, type Pfn, ZONE_NAMES } from '../../kernel/base/units.ts'
import { lruOf, lruvecOf } from '../../kernel/caches/lru.ts'
import { folioLruGen, genOf, isActiveGen, typeOf } from '../../kernel/caches/lru_gen.ts'
import { buddyOrder, freeBlockOf } from '../../kernel/frames/buddy.ts'
import { MAX_NR_GENS } from '../../kernel/frames/generations.ts'
import {
  compoundHead,
  compoundOrder,
  isThp,
  pageCount,
  pageIndex,
  pageMemcg,
  pageNode,
  pageOwner,
  pageZone,
  pfnValid,
} from '../../kernel/frames/page.ts'
import { hugeMappedAt, rmapEntries, tableMapping } from '../../kernel/spaces/rmap.ts'
import { isOnline, KPF_NAMES, kpagecount, kpageflags } from '../pagemap.ts'

const LRU_NAMES = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file', 'unevictable'] as const

export const KINDS = ['hole', 'reserved', 'free', 'table', 'slab', 'kernel', 'hugetlb', 'thp', 'ksm', 'anon', 'shmem', 'file'] as const
export type Kind = (typeof KINDS)[number]

const RESERVED = 1 << (KPF_NAMES.indexOf('RESERVED') - 32)
/** Mappings of one page that are told, at most. */
const MAPPED_MAX = 64
/** Frames of a cell that are looked at, at most. */
const PER_CELL = 128

export function kindOf(k: Kernel, pfn: number): Kind {
  if (!isOnline(k, pfn)) return 'hole'
  if (!pfnValid(k, pfn)) return 'reserved'
  const page = asPfn(pfn)
  const head = compoundHead(k, page)
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_hugetlb) !== 0) return 'hugetlb'
  if ((flags & PG_ksm) !== 0) return 'ksm'
  if ((flags & PG_anon) !== 0) return isThp(k, head) ? 'thp' : 'anon'
  if ((flags & PG_slab) !== 0) return 'slab'
  if ((flags & PG_table) !== 0) return 'table'
  if (pageOwner(k, head) !== 0) return isThp(k, head) ? 'thp' : (flags & PG_swapbacked) !== 0 ? 'shmem' : 'file'
  if (freeBlockOf(k, pageZone(k, page), pfn) !== 0) return 'free'
  const word = new Uint32Array(2)
  kpageflags(k, pfn, word)
  return (word[1] & RESERVED) !== 0 ? 'reserved' : 'kernel'
}

/** The cells of frames [start, end). */
export function mapLines(k: Kernel, start: number, end: number, cells: number): string[] {
  const size = Math.max(1, Math.ceil((end - start) / cells))
  const step = Math.max(1, Math.ceil(size / PER_CELL))
  const pidOf = new Map([...k.tasks.values()].flatMap(task => (task.mm === undefined ? [] : [[task.mm.id, Number(task.pid)] as const])))
  const lines = [`map ${start} ${end} ${step} ${k.maxPfn}`]
  for (let at = start; at < end; at += size) lines.push(cellLine(k, at, Math.min(end, at + size), step, pidOf))
  return lines
}

function cellLine(k: Kernel, start: number, end: number, step: number, pidOf: ReadonlyMap<number, number>): string {
  const kinds = new Map<Kind, number>()
  const owners = new Map<number, number>()
  let order = -1
  for (let pfn = start; pfn < end; pfn += step) {
    const kind = kindOf(k, pfn)
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    if (kind === 'free') order = Math.max(order, freeOrder(k, asPfn(pfn)))
    const pid = kind === 'anon' || kind === 'thp' || kind === 'ksm' ? ownerOf(k, asPfn(pfn), pidOf) : 0
    owners.set(pid, (owners.get(pid) ?? 0) + 1)
  }
  const most = [...owners].filter(([pid]) => pid !== 0).sort(([, a], [, b]) => b - a)[0]?.[0] ?? 0
  const node = isOnline(k, start) && pfnValid(k, start) ? pageNode(k, asPfn(start)) : -1
  return `cell ${start} ${end} ${node} ${order} ${most} ${[...kinds].map(([kind, n]) => `${kind}=${n}`).join(' ')}`
}

/** Order of the free block that holds the frame. */
function freeOrder(k: Kernel, pfn: Pfn): number {
  const zone = pageZone(k, pfn)
  return buddyOrder(k, zone, freeBlockOf(k, zone, pfn))
}

/** The process that maps the page first of those that may. */
function ownerOf(k: Kernel, pfn: Pfn, pidOf: ReadonlyMap<number, number>): number {
  for (const { mm } of rmapEntries(k, compoundHead(k, pfn))) {
    const pid = pidOf.get(mm)
    if (pid !== undefined) return pid
  }
  return 0
}

/** The story of one page, a fact a line: "KEY VALUE". */
export function frameLines(k: Kernel, pfn: number): string[] {
  const word = new Uint32Array(2)
  kpageflags(k, pfn, word)
  const flags = KPF_NAMES.filter((_, bit) => (word[bit >>> 5] & (1 << (bit & 31))) !== 0)
  const about = [`frame ${pfn}`, `kind ${kindOf(k, pfn)}`, `flags ${flags.join(',')}`]
  if (!pfnValid(k, pfn)) return about
  const page = asPfn(pfn)
  const head = compoundHead(k, page)
  const zone = pageZone(k, page)
  const order = kindOf(k, pfn) === 'free' ? freeOrder(k, page) : compoundOrder(k, head)
  return [
    ...about,
    `node ${zone.node}`,
    `zone ${ZONE_NAMES[zone.type]}`,
    `block ${head} ${order}`,
    `migratetype ${MIGRATE_NAMES[k.blockType[pfn >>> PAGEBLOCK_ORDER]] ?? '?'}`,
    `references ${pageCount(k, head)}`,
    `mapcount ${kpagecount(k, pfn)}`,
    `list ${listOf(k, head)}`,
    ...ageLine(k, head),
    `cgroup ${k.memcg.groups[pageMemcg(k, head)]?.cgroup ?? 0}`,
    ...mappingLines(k, page, head),
  ]
}

/** How long the page was not used, where the working-set estimator looks. */
function ageLine({ workingSet }: Kernel, head: Pfn): string[] {
  const { intervalMs, ages } = workingSet
  return intervalMs === 0 || ages[head] === 0 ? [] : [`unused ${ages[head] - 1} rounds of ${intervalMs} ms`]
}

/** The LRU list it is on, or counts to; and its generation. */
function listOf(k: Kernel, head: Pfn): string {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_lru) === 0) return 'none'
  const g = k.lruGen.enabled ? folioLruGen(k, head) : -1
  if (g < 0) return LRU_NAMES[lruOf(flags)]
  const { gen } = lruvecOf(k, head)
  const seq = gen.maxSeq - ((genOf(gen.maxSeq) - g + MAX_NR_GENS) % MAX_NR_GENS)
  return `${LRU_NAMES[typeOf(k, head) * 2 + (isActiveGen(gen, g) ? 1 : 0)]} generation ${seq}`
}

/** Who maps the page where, or which file it is a page of. */
function mappingLines(k: Kernel, page: Pfn, head: Pfn): string[] {
  const kind = kindOf(k, page)
  if (!['anon', 'thp', 'ksm', 'shmem', 'file'].includes(kind)) return []
  const index = pageIndex(k, head) + page - head
  const inode = (k.page[head * PAGE_WORDS] & PG_anon) !== 0 ? undefined : k.fs.mappings.get(pageOwner(k, head))?.inode
  const of = inode === undefined ? [] : [`file ${inode.path === '' ? '[memory]' : inode.path} ${index}`]
  const tasks = new Map([...k.tasks.values()].map(task => [task.mm?.id, task] as const))
  const mapped = rmapEntries(k, head).flatMap(({ mm: id, delta }) => {
    const mm = k.spaces.mms.get(id)
    const task = tasks.get(id)
    const vpn = pageIndex(k, head) + delta
    if (mm === undefined || task === undefined) return []
    if (!hugeMappedAt(k, mm, vpn, head) && tableMapping(k, mm, vpn + page - head, page) === 0) return []
    return [`mapped ${task.pid} ${vpn + page - head} ${task.comm.replace(/\s/g, '_')}`]
  })
  return [...of, ...mapped.slice(0, MAPPED_MAX)]
}
