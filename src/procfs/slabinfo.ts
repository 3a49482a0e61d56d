/**
 * /proc/slabinfo: each cache's objects and slabs. Only free objects in slabs that no CPU holds count as not active.
 *
 * Source: mm/slab_common.c cache_show, mm/slub.c get_slabinfo.
 */
import type { Kernel, KmemCache } from '../kernel/base/state.ts'
import { partialSlabs } from '../kernel/caches/slab.ts'
import { SLAB_KINDS } from '../kernel/caches/slab_caches.ts'

const HEAD = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
`

const right = (n: number, width: number) => String(n).padStart(width)

const slabsOf = (cache: KmemCache): number => cache.bootSlabs + cache.nrSlabs
const objectsOf = (cache: KmemCache): number => cache.bootSlabs * cache.objectsPerSlab + cache.total
const freeObjects = (k: Kernel, cache: KmemCache): number => k.nodes.reduce((sum, node) => sum + partialSlabs(k, cache, node.id).free, 0)

function line(k: Kernel, cache: KmemCache): string {
  const objects = objectsOf(cache)
  const slabs = slabsOf(cache)
  const figures = [
    right(objects - freeObjects(k, cache), 6),
    right(objects, 6),
    right(cache.objectBytes, 6),
    right(cache.objectsPerSlab, 4),
  ]
  const tunables = [0, 0, 0].map(n => right(n, 4)).join(' ')
  const data = [slabs, slabs, 0].map(n => right(n, 6)).join(' ')
  return `${cache.name.padEnd(17)} ${figures.join(' ')} ${right(2 ** cache.order, 4)} : tunables ${tunables} : slabdata ${data}\n`
}

export const slabinfo = (k: Kernel): string =>
  HEAD +
  SLAB_KINDS.flatMap(({ name }) => k.caches.get(name) ?? [])
    .map(cache => line(k, cache))
    .join('')
