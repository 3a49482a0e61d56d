/**
 * /sys/kernel/slab: a directory for each cache of kernel objects, and for each name that shares another's.
 *
 *     objects 11361 N0=10080 N1=1281        a sum, and the nodes that have some
 *     slabs_cpu_partial 94(9) C0=73(7) ...  free objects that CPUs keep, guessed as half of what their slabs hold
 *
 * Boot's slabs are counted for the nodes as the pages of their kind are spread over them. Writing 1 to `shrink` gives every empty slab
 * back; there is nothing to debug, so `validate` is refused.
 *
 * Source: mm/slub.c (show_slab_objects, slab_attrs).
 */
import { NS } from '../kernel/base/counters.ts'
import { EACCES, EINVAL, ERANGE } from '../kernel/base/errno.ts'
import type { Kernel, KmemCache, Node } from '../kernel/base/state.ts'
import { NO_PAGE, type NodeId } from '../kernel/base/units.ts'
import { distinctCaches, kmemCache, kmemFlushCpu, kmemShrink, nodeSlabs, partialSlabs } from '../kernel/caches/slab.ts'
import { ALIASES, hasFlag, SLAB_KINDS, type SlabKind, slabKind } from '../kernel/caches/slab_caches.ts'
import { pageNode } from '../kernel/frames/page.ts'
import { kstrtouint, kstrtoul } from '../kernel/tunables_parse.ts'
import { type Directory, dir, type File } from './file.ts'

/** A sum and its parts, by node or CPU. */
function parts(letter: string, values: readonly number[]): string {
  const sum = values.reduce((a, b) => a + b, 0)
  return `${sum}${values.map((value, i) => (value > 0 ? ` ${letter}${i}=${value}` : '')).join('')}\n`
}

const byNode = (k: Kernel, of: (node: NodeId) => number): string =>
  parts(
    'N',
    k.nodes.map(({ id }) => of(id)),
  )

/** Boot's slabs of the cache on a node: as many as its share of boot's pages of that kind. */
function bootSlabsOf(k: Kernel, cache: KmemCache, node: NodeId): number {
  const pages = k.nodes.map(each => bootPages(k, cache, each))
  const total = pages.reduce((a, b) => a + b, 0)
  const upTo = (n: number) => Math.round((cache.bootSlabs * pages.slice(0, n).reduce((a, b) => a + b, 0)) / Math.max(1, total))
  return upTo(node + 1) - upTo(node)
}

function bootPages(k: Kernel, { reclaimable }: KmemCache, node: Node): number {
  const all = node.stat[reclaimable ? NS.nr_slab_reclaimable : NS.nr_slab_unreclaimable]
  const ours = distinctCaches(k).filter(cache => cache.reclaimable === reclaimable && cache.nrSlabs > 0)
  return Math.max(
    0,
    ours.reduce((left, cache) => left - nodeSlabs(k, cache, node.id).slabs * 2 ** cache.order, all),
  )
}

const slabs = (k: Kernel, cache: KmemCache, node: NodeId) => bootSlabsOf(k, cache, node) + nodeSlabs(k, cache, node).slabs
const objects = (k: Kernel, cache: KmemCache, node: NodeId) =>
  bootSlabsOf(k, cache, node) * cache.objectsPerSlab + nodeSlabs(k, cache, node).objects

/** Slabs that CPUs hold, by the node of their memory. */
function cpuSlabs(k: Kernel, cache: KmemCache, node: NodeId): number {
  const held = cache.cpus.flatMap(({ slab, partial }) => (slab === NO_PAGE ? partial : [slab, ...partial]))
  return held.filter(slab => pageNode(k, slab) === node).length
}

function cpuPartials(cache: KmemCache): string {
  const guess = (n: number) => `${Math.floor((n * cache.objectsPerSlab) / 2)}(${n})`
  const kept = cache.cpus.map(({ partial }) => partial.length)
  return `${guess(kept.reduce((a, b) => a + b, 0))}${kept.map((n, cpu) => (n > 0 ? ` C${cpu}=${guess(n)}` : '')).join('')}\n`
}

type CacheText = (k: Kernel, cache: KmemCache) => string
type CacheWrite = (k: Kernel, cache: KmemCache, text: string) => number

/** Files that count. */
const COUNTS: Readonly<Record<string, CacheText>> = {
  cpu_slabs: (k, cache) => byNode(k, node => cpuSlabs(k, cache, node)),
  objects: (k, cache) => byNode(k, node => objects(k, cache, node) - partialSlabs(k, cache, node).free),
  objects_partial: (k, cache) => byNode(k, node => partialSlabs(k, cache, node).objects - partialSlabs(k, cache, node).free),
  objs_per_slab: (_, cache) => `${cache.objectsPerSlab}\n`,
  order: (_, cache) => `${cache.order}\n`,
  partial: (k, cache) => byNode(k, node => partialSlabs(k, cache, node).slabs),
  slab_size: (_, cache) => `${cache.objectBytes}\n`,
  slabs: (k, cache) => byNode(k, node => slabs(k, cache, node)),
  slabs_cpu_partial: (_, cache) => cpuPartials(cache),
  total_objects: (k, cache) => byNode(k, node => objects(k, cache, node)),
}

/** What the kind is and always will be. */
function standing(kind: SlabKind): Readonly<Record<string, string>> {
  const flag = (letter: 'R' | 'H' | 'U' | 'D') => String(Number(hasFlag(kind, letter)))
  return {
    aliases: String(kind.aliases ?? 0),
    align: String(kind.align ?? 8),
    cache_dma: flag('D'),
    destroy_by_rcu: flag('U'),
    hwcache_align: flag('H'),
    object_size: String(kind.objectBytes ?? kind.bytes),
    poison: '0',
    reclaim_account: flag('R'),
    red_zone: '0',
    sanity_checks: '0',
    store_user: '0',
    trace: '0',
    usersize: String(kind.usersize ?? 0),
  }
}

/** A number that may be set. */
const number =
  (parse: typeof kstrtoul, set: (k: Kernel, cache: KmemCache, value: number) => number): CacheWrite =>
  (k, cache, text) => {
    const { error, value } = parse(text, 10)
    if (error < 0) return error
    const refused = set(k, cache, value)
    return refused < 0 ? refused : text.length
  }

function setCpuPartial(k: Kernel, cache: KmemCache, value: number): number {
  cache.cpuPartial = value
  cache.cpuPartialSlabs = Math.ceil((value * 2) / cache.objectsPerSlab)
  for (const cpu of k.cpus) kmemFlushCpu(k, cache, cpu.id)
  return 0
}

function shrink(k: Kernel, cache: KmemCache, text: string): number {
  if (!text.startsWith('1')) return -EINVAL
  kmemShrink(k, cache)
  return text.length
}

const SETTABLE: Readonly<Record<string, { readonly read: CacheText; readonly write: CacheWrite }>> = {
  cpu_partial: { read: (_, cache) => `${cache.cpuPartial}\n`, write: number(kstrtouint, setCpuPartial) },
  min_partial: {
    read: (_, cache) => `${cache.minPartial}\n`,
    write: number(kstrtoul, (_, cache, value) => {
      cache.minPartial = value
      return 0
    }),
  },
  remote_node_defrag_ratio: {
    read: (_, cache) => `${cache.remoteRatio}\n`,
    write: number(kstrtouint, (_, cache, value) => {
      if (value > 100) return -ERANGE
      cache.remoteRatio = value
      return 0
    }),
  },
  shrink: { read: () => '', write: shrink },
  validate: { read: () => '', write: () => -EINVAL },
}

/** All files of a cache: not listed with the machine's others, for there are thousands. */
function cacheFiles(name: string): Directory {
  const kind = slabKind(ALIASES[name] ?? name)
  const reports = (text: CacheText): File => ({ read: k => text(k, kmemCache(k, name)), refuses: EACCES, unlisted: true })
  const table: Record<string, File> = { ctor: reports(() => (kind.ctor === undefined ? '' : `${kind.ctor}\n`)) }
  for (const [file, text] of Object.entries(standing(kind))) table[file] = reports(() => `${text}\n`)
  for (const [file, text] of Object.entries(COUNTS)) table[file] = reports(text)
  for (const [file, { read, write }] of Object.entries(SETTABLE))
    table[file] = { ...reports(read), write: (k, text) => write(k, kmemCache(k, name), text) }
  return { ...dir(table), exists: k => k.caches.has(ALIASES[name] ?? name) }
}

export const slabDirectory: Directory = dir(
  Object.fromEntries([...SLAB_KINDS.map(({ name }) => name), ...Object.keys(ALIASES)].map(name => [name, cacheFiles(name)])),
)
