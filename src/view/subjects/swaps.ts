/** Where anonymous memory goes: swap areas, zram devices and the zswap pool. */
import type { Model } from '../../sample/model.ts'
import type { SwapArea } from '../../sample/parse/swaps.ts'
import type { ZramDevice } from '../../sample/parse/zram.ts'
import { bytesOfPages } from '../page_size.ts'
import { type Column, column } from '../table.ts'

const AREA = '/proc/swaps'

export const SWAP_COLUMNS: readonly Column<SwapArea>[] = [
  column({
    key: 'name',
    title: 'area',
    unit: 'text',
    width: 20,
    kind: 'label',
    priority: 0,
    help: 'Device or file',
    source: AREA,
    value: area => area.name,
  }),
  column({
    key: 'type',
    title: 'type',
    unit: 'text',
    kind: 'label',
    priority: 3,
    help: 'partition or file',
    source: AREA,
    value: area => area.type,
  }),
  column({
    key: 'size_bytes',
    title: 'size',
    unit: 'bytes',
    priority: 0,
    help: 'Size of the area',
    source: AREA,
    kernel: 'mm/swapfile.c swap_show',
    value: area => area.sizeBytes,
  }),
  column({
    key: 'used_bytes',
    title: 'used',
    unit: 'bytes',
    priority: 0,
    help: 'Used of it',
    source: AREA,
    kernel: 'mm/swapfile.c swap_show',
    value: area => area.usedBytes,
  }),
  column({
    key: 'used_percent',
    title: 'used%',
    unit: 'percent',
    priority: 1,
    help: 'Share of the area that is used',
    source: AREA,
    value: area => (area.sizeBytes === 0 ? undefined : (area.usedBytes / area.sizeBytes) * 100),
  }),
  column({
    key: 'priority',
    title: 'priority',
    unit: 'count',
    width: 8,
    priority: 2,
    help: 'Higher is used first; areas of one priority take turns',
    source: AREA,
    kernel: 'mm/swapfile.c get_swap_pages',
    value: area => area.priority,
  }),
]

const ZRAM = '/sys/block/zramN/mm_stat'
const zram = (
  key: string,
  title: string,
  priority: number,
  help: string,
  value: (device: ZramDevice) => number | undefined,
): Column<ZramDevice> =>
  column({
    key,
    title,
    unit: key.endsWith('_bytes') ? 'bytes' : 'count',
    priority,
    help,
    source: ZRAM,
    kernel: 'drivers/block/zram/zram_drv.c mm_stat_show',
    value,
  })

export const ZRAM_COLUMNS: readonly Column<ZramDevice>[] = [
  column({
    key: 'device',
    title: 'device',
    unit: 'text',
    width: 8,
    kind: 'label',
    priority: 0,
    help: 'zram device',
    source: ZRAM,
    value: device => device.name,
  }),
  zram('orig_data_bytes', 'stored', 0, 'Memory that was stored, uncompressed', device => device.originalBytes),
  zram('compr_data_bytes', 'packed', 1, 'Its size compressed', device => device.compressedBytes),
  zram('mem_used_bytes', 'takes', 0, 'Memory that the device takes for it', device => device.usedBytes),
  zram('same_pages', 'same', 3, 'Pages of one repeated word, which take no memory', device => device.samePages),
  zram('huge_pages', 'incompr', 3, 'Pages that would not compress', device => device.incompressiblePages),
]

/** What is in zswap: pages stored and the memory that they take; undefined where there is no zswap. */
export function zswapPool(model: Model): { readonly storedBytes: number; readonly takenBytes: number } | undefined {
  const [stored, taken] = [model.scalars.get('zswap_stored_pages'), model.scalars.get('zswap_pool_total_size')]
  if (stored !== undefined && taken !== undefined) return { storedBytes: bytesOfPages(stored), takenBytes: taken }
  const [zswapped, zswap] = [model.scalars.get('Zswapped'), model.scalars.get('Zswap')]
  return zswapped === undefined || zswap === undefined ? undefined : { storedBytes: zswapped, takenBytes: zswap }
}
