/** Zones as rows: watermarks, and free blocks by order. */
import type { Model } from '../../sample/model.ts'
import type { FreeBlocks } from '../../sample/parse/buddyinfo.ts'
import type { Zone } from '../../sample/parse/zoneinfo.ts'
import { fieldOf } from '../fields.ts'
import { type Column, column } from '../table.ts'

/** Zones that have memory. */
export function zoneRows(model: Model): Zone[] {
  return model.sample.zones().filter(zone => pagesOf(zone, 'managed') > 0)
}

export const pagesOf = (zone: Zone, key: string): number => zone.pages.get(key) ?? 0

/** Pages on the per-CPU lists: neither on the buddy lists nor in use. */
const pcpPages = (zone: Zone): number => zone.pagesets.reduce((sum, set) => sum + set.count, 0)

/** How a zone stands against its watermarks. */
export function zoneState(zone: Zone): 'ok' | 'low' | 'min' {
  const free = pagesOf(zone, 'free')
  if (free < pagesOf(zone, 'min')) return 'min'
  return free < pagesOf(zone, 'low') ? 'low' : 'ok'
}

const pages = (key: string, priority: number, title = key): Column<Zone> => {
  const { help, kernel } = fieldOf(`N0.DMA.${key}`)
  return column({
    key: `${key}_pages`,
    title,
    unit: 'pages',
    width: 7,
    priority,
    help,
    kernel,
    source: `/proc/zoneinfo ${key}`,
    value: zone => zone.pages.get(key),
  })
}

const counter = (key: string, priority: number, title: string): Column<Zone> => {
  const { help, kernel } = fieldOf(key)
  return column({
    key: key.startsWith('nr_') ? `${key}_pages` : key,
    title,
    unit: 'pages',
    width: 7,
    priority,
    help,
    kernel,
    source: `/proc/zoneinfo ${key}`,
    value: zone => zone.stats.get(key),
  })
}

const NODE = {
  key: 'node',
  title: 'node',
  unit: 'text',
  width: 4,
  kind: 'label',
  priority: 0,
  help: 'NUMA node',
  source: '/proc/zoneinfo',
} as const
const ZONE = {
  key: 'zone',
  title: 'zone',
  unit: 'text',
  width: 8,
  kind: 'label',
  priority: 0,
  help: 'Memory zone',
  source: '/proc/zoneinfo',
} as const

export const ZONE_COLUMNS: readonly Column<Zone>[] = [
  column({ ...NODE, value: zone => `N${zone.node}` }),
  column({ ...ZONE, value: zone => zone.zone }),
  pages('free', 0),
  pages('min', 1),
  pages('low', 1),
  pages('high', 1),
  pages('boost', 4),
  pages('managed', 0),
  column({
    key: 'pcp_pages',
    title: 'pcp',
    unit: 'pages',
    priority: 3,
    help: 'Pages on per-CPU lists',
    source: '/proc/zoneinfo count:',
    kernel: 'mm/page_alloc.c rmqueue_bulk',
    value: pcpPages,
  }),
  counter('nr_zone_active_anon', 3, 'act-an'),
  counter('nr_zone_inactive_anon', 3, 'ina-an'),
  counter('nr_zone_active_file', 3, 'act-fi'),
  counter('nr_zone_inactive_file', 3, 'ina-fi'),
  counter('nr_zone_unevictable', 5, 'unevict'),
  counter('nr_mlock', 6, 'mlock'),
  counter('nr_zone_write_pending', 6, 'pending'),
  pages('spanned', 8),
  pages('present', 7),
]

/** One column an order, as many as the machine has. */
export function buddyColumns(model: Model): readonly Column<FreeBlocks>[] {
  const orders = Math.max(0, ...model.sample.buddy().map(row => row.blocks.length))
  return [
    column({ ...NODE, source: '/proc/buddyinfo', value: (row: FreeBlocks) => `N${row.node}` }),
    column({ ...ZONE, source: '/proc/buddyinfo', value: (row: FreeBlocks) => row.zone }),
    ...Array.from({ length: orders }, (_, order): Column<FreeBlocks> => {
      const { help, kernel } = fieldOf(`N0.DMA.order${order}`)
      return column({
        key: `order${order}_blocks`,
        title: String(order),
        unit: 'count',
        width: 5,
        priority: 1,
        help,
        kernel,
        source: '/proc/buddyinfo',
        value: row => row.blocks[order],
      })
    }),
  ]
}
