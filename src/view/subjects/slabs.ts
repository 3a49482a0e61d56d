/** Slab caches as rows: what each holds, and how much of that is objects that nobody uses. */
import type { Model } from '../../sample/model.ts'
import type { Slab } from '../../sample/parse/slabinfo.ts'
import { bytesOfPages } from '../page_size.ts'
import { type Column, column } from '../table.ts'

const SOURCE = '/proc/slabinfo'

/** Memory that a cache took from the page allocator. */
export const slabBytes = (slab: Slab): number => bytesOfPages(slab.slabs * slab.pagesPerSlab)

/** Memory of objects that are allocated but not in use, and of what is left over in each slab. */
export const idleBytes = (slab: Slab): number => Math.max(0, slabBytes(slab) - slab.activeObjects * slab.objectSizeBytes)

export interface SlabRow extends Slab {
  /** Objects taken into use less those given back, per second; undefined without a sample before. */
  readonly grownPerSecond: number | undefined
}

export function slabRows(model: Model): SlabRow[] {
  const before = new Map((model.previous?.slabs() ?? []).map(slab => [slab.name, slab.activeObjects]))
  return model.sample.slabs().map(slab => {
    const old = before.get(slab.name)
    return {
      ...slab,
      grownPerSecond: old === undefined || model.seconds <= 0 ? undefined : (slab.activeObjects - old) / model.seconds,
    }
  })
}

/** How many caches moved since the sample before. */
export const moved = (row: SlabRow): boolean => (row.grownPerSecond ?? 0) !== 0

export const SLAB_COLUMNS: readonly Column<SlabRow>[] = [
  column({
    key: 'name',
    title: 'cache',
    unit: 'text',
    width: 24,
    kind: 'label',
    priority: 0,
    help: 'Name of the cache',
    source: SOURCE,
    value: slab => slab.name,
  }),
  column({
    key: 'slab_bytes',
    title: 'memory',
    unit: 'bytes',
    width: 7,
    priority: 0,
    help: 'Memory that the cache has: its slabs in full',
    source: `${SOURCE} num_slabs x pagesperslab`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slabBytes,
  }),
  column({
    key: 'idle_bytes',
    title: 'idle',
    unit: 'bytes',
    priority: 1,
    help: 'Of that, what no object in use takes',
    source: `${SOURCE} memory - active_objs x objsize`,
    kernel: 'mm/slub.c get_slabinfo',
    value: idleBytes,
  }),
  column({
    key: 'use_percent',
    title: 'use%',
    unit: 'percent',
    priority: 2,
    help: 'Share of its objects that are in use',
    source: `${SOURCE} active_objs / num_objs`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slab => (slab.objects === 0 ? undefined : (slab.activeObjects / slab.objects) * 100),
  }),
  column({
    key: 'active_objects',
    title: 'active',
    unit: 'count',
    priority: 1,
    help: 'Objects in use',
    source: `${SOURCE} active_objs`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slab => slab.activeObjects,
  }),
  column({
    key: 'grown_per_second',
    title: 'grows/s',
    unit: 'count',
    width: 7,
    priority: 2,
    help: 'Objects taken into use less those given back, per second',
    source: `${SOURCE} active_objs`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slab => slab.grownPerSecond,
    style: slab => ((slab.grownPerSecond ?? 0) === 0 ? 'dim' : 'value'),
  }),
  column({
    key: 'objects',
    title: 'objects',
    unit: 'count',
    width: 7,
    priority: 3,
    help: 'Objects allocated',
    source: `${SOURCE} num_objs`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slab => slab.objects,
  }),
  column({
    key: 'object_size_bytes',
    title: 'size',
    unit: 'bytes',
    priority: 4,
    help: 'Size of an object with what the cache adds to it',
    source: `${SOURCE} objsize`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slab => slab.objectSizeBytes,
  }),
  column({
    key: 'slabs',
    title: 'slabs',
    unit: 'count',
    priority: 5,
    help: 'Slabs: runs of pages that hold its objects',
    source: `${SOURCE} num_slabs`,
    kernel: 'mm/slub.c get_slabinfo',
    value: slab => slab.slabs,
  }),
  column({
    key: 'objects_per_slab',
    title: 'per slab',
    unit: 'count',
    width: 8,
    priority: 6,
    help: 'Objects in a slab',
    source: `${SOURCE} objperslab`,
    kernel: 'mm/slub.c calculate_sizes',
    value: slab => slab.objectsPerSlab,
  }),
  column({
    key: 'pages_per_slab',
    title: 'pages',
    unit: 'count',
    priority: 7,
    help: 'Pages in a slab',
    source: `${SOURCE} pagesperslab`,
    kernel: 'mm/slub.c calculate_order',
    value: slab => slab.pagesPerSlab,
  }),
]
