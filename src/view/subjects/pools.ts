/** Huge page pools as rows: each size, of the machine and of each node. */
import type { Model } from '../../sample/model.ts'
import type { HugePool } from '../../sample/sample.ts'
import { fieldOf } from '../fields.ts'
import { formatBytes } from '../format.ts'
import { type Column, column } from '../table.ts'

export function poolRows(model: Model): readonly HugePool[] {
  return model.sample.pools()
}

export const poolSizeBytes = (pool: HugePool): number => pool.sizeKb * 1024
/** "2M", "1G", "512K". */
export const poolName = (pool: HugePool): string => formatBytes(poolSizeBytes(pool)).replace(/\.0+(?=[A-Z])/, '')
export const poolPages = (pool: HugePool, key: string): number => pool.pages.get(key) ?? 0

/** Pages that someone has: neither free nor (then counted twice) reserved. */
export const usedPages = (pool: HugePool): number => poolPages(pool, 'nr_hugepages') - poolPages(pool, 'free_hugepages')

const pages = (key: string, title: string, priority: number): Column<HugePool> => {
  const { help, kernel } = fieldOf(`hugetlb_2048kB_${key}`)
  const source = `/sys/kernel/mm/hugepages/hugepages-*/${key}, /sys/devices/system/node/nodeN/hugepages/hugepages-*/${key}`
  return column({ key, title, unit: 'count', priority, help, kernel, source, value: pool => pool.pages.get(key) })
}

export const POOL_COLUMNS: readonly Column<HugePool>[] = [
  column({
    key: 'size',
    title: 'size',
    unit: 'text',
    width: 6,
    kind: 'label',
    priority: 0,
    help: 'Size of one page',
    source: '/sys/kernel/mm/hugepages',
    value: poolName,
  }),
  column({
    key: 'node',
    title: 'node',
    unit: 'text',
    width: 5,
    kind: 'label',
    priority: 0,
    help: 'NUMA node, or all of them',
    source: '/sys/devices/system/node',
    value: pool => (pool.node === undefined ? 'all' : `N${pool.node}`),
  }),
  pages('nr_hugepages', 'pages', 0),
  column({
    key: 'used_hugepages',
    title: 'used',
    unit: 'count',
    priority: 1,
    help: 'Pages that someone has',
    source: 'nr_hugepages - free_hugepages',
    value: usedPages,
  }),
  pages('free_hugepages', 'free', 0),
  pages('resv_hugepages', 'resv', 1),
  pages('surplus_hugepages', 'surplus', 2),
  pages('nr_overcommit_hugepages', 'overcommit', 3),
  column({
    key: 'pool_bytes',
    title: 'memory',
    unit: 'bytes',
    priority: 2,
    help: 'Memory in the pool',
    source: 'nr_hugepages x size',
    value: pool => poolPages(pool, 'nr_hugepages') * poolSizeBytes(pool),
  }),
]
