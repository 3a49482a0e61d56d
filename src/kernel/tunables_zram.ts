/**
 * /sys/block/zramN and /sys/class/zram-control: setting compressed block devices up, and looking after them. The figures they report
 * are in procfs/sysfs_zram.ts.
 *
 * Source: drivers/block/zram/zram_drv.c.
 */
import { COMPRESSOR_NAMES } from './base/compress.ts'
import { EACCES, EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import type { ZramDevice } from './base/state_zswap.ts'
import { PAGE_SIZE } from './base/units.ts'
import { zramAt } from './caches/zram.ts'
import {
  type ZramWriteback,
  zramAdd,
  zramCompact,
  zramIdle,
  zramRemove,
  zramReset,
  zramSetBacking,
  zramSetCompressor,
  zramSetDisksize,
  zramWriteback,
} from './calls/zram.ts'
import { idle, type Knob, type KnobDoc, WORKS } from './tunables_knob.ts'
import { kstrtoint, kstrtoul, memparse, sysfsStreq } from './tunables_parse.ts'

const DRIVER = 'drivers/block/zram/zram_drv.c'

type Doc = Pick<KnobDoc, 'meaning' | 'type'> & Partial<Pick<KnobDoc, 'choices' | 'min' | 'max' | 'unit' | 'default'>>

/** A file of each device: `write` returns 0 or a negative errno. */
function device(
  file: string,
  doc: Doc,
  write: (k: Kernel, zram: ZramDevice, text: string) => number,
  read?: (k: Kernel, zram: ZramDevice) => string,
): Knob {
  return {
    ...doc,
    ...WORKS,
    source: `${DRIVER} ${file}_store`,
    path: `/sys/block/zram{zram}/${file}`,
    ...(read === undefined ? {} : { read: (k: Kernel, at: { readonly zram: number }) => read(k, zramAt(k, at.zram)) }),
    write: (k, text, at) => {
      const error = write(k, zramAt(k, at.zram), text)
      return error < 0 ? error : text.length
    },
  }
}

/** The compressors by name with the chosen one in brackets; one that is not of zram's own list stands at the end. */
function algorithms({ compressor }: ZramDevice): string {
  const own = COMPRESSOR_NAMES.filter(name => name !== 'deflate')
  const known = own.includes(compressor) ? own : [...own, compressor]
  return `${known.map(name => (name === compressor ? `[${name}]` : name)).join(' ')} \n`
}

const PAGE_INDEX = 'page_index='

function writebackOf(text: string): ZramWriteback | undefined {
  for (const mode of ['idle', 'huge', 'huge_idle'] as const) if (sysfsStreq(text, mode)) return mode
  if (!text.startsWith(PAGE_INDEX)) return undefined
  const { error, value } = kstrtoul(text.slice(PAGE_INDEX.length), 10)
  return error < 0 ? undefined : value
}

const SETUP: readonly Knob[] = [
  device(
    'disksize',
    { type: 'bytes', default: '0', meaning: 'Sets the device up with this size; its memory is taken only as pages are written' },
    (k, zram, text) => zramSetDisksize(k, zram, memparse(text)),
    (_, zram) => `${zram.blocks * PAGE_SIZE}\n`,
  ),
  device(
    'comp_algorithm',
    {
      type: 'choice',
      choices: COMPRESSOR_NAMES,
      default: 'lzo-rle',
      meaning: 'How pages are compressed; chosen before the device is set up',
    },
    zramSetCompressor,
    (_, zram) => algorithms(zram),
  ),
  device(
    'backing_dev',
    { type: 'choice', default: 'none', meaning: 'The disk that blocks can be written back to; chosen before the device is set up' },
    (k, zram, text) => zramSetBacking(k, zram, text.replace(/\n$/, '')),
    (_, zram) => `${zram.backing?.path ?? 'none'}\n`,
  ),
  {
    ...device(
      'max_comp_streams',
      { type: 'integer', meaning: 'Kept for old programs: there is one stream for each CPU, whatever is written' },
      () => 0,
      k => `${k.cpus.filter(({ online }) => online).length}\n`,
    ),
    ...idle('Linux ignores it too'),
  },
  device('reset', { type: 'trigger', meaning: 'Forgets all that the device holds and its size, while nobody uses it' }, (k, zram, text) => {
    const { error, value } = kstrtoul(text, 10)
    if (error < 0) return error
    return value === 0 ? -EINVAL : zramReset(k, zram)
  }),
]

const UPKEEP: readonly Knob[] = [
  device(
    'mem_limit',
    { type: 'bytes', meaning: 'Most memory the device may take; writes beyond it fail; 0 for no limit' },
    (_, zram, text) => {
      if (!/^[0-9]/.test(text)) return -EINVAL
      zram.limitPages = Math.ceil(memparse(text) / PAGE_SIZE)
      return 0
    },
  ),
  device(
    'mem_used_max',
    { type: 'trigger', meaning: 'Writing 0 begins anew to note the most memory the device has taken' },
    (_, zram, text) => {
      const { error, value } = kstrtoul(text, 10)
      if (error < 0 || value !== 0) return -EINVAL
      if (zram.pool !== undefined) zram.stats.maxUsedPages = zram.pool.pages
      return 0
    },
  ),
  device('compact', { type: 'trigger', meaning: 'Moves objects together and frees the pages that become empty' }, zramCompact),
  device('idle', { type: 'trigger', meaning: "Marks blocks idle: 'all', or those not used for this many seconds" }, (k, zram, text) => {
    const { error, value } = kstrtoul(text, 0)
    if (!sysfsStreq(text, 'all') && error < 0) return -EINVAL
    return zramIdle(k, zram, sysfsStreq(text, 'all') ? undefined : value)
  }),
  device(
    'writeback',
    { type: 'trigger', meaning: "Writes blocks to the backing disk: 'idle', 'huge', 'huge_idle', or one by page_index=N" },
    (k, zram, text) => {
      const which = writebackOf(text)
      return which === undefined ? -EINVAL : zramWriteback(k, zram, which)
    },
  ),
  device(
    'writeback_limit',
    {
      type: 'integer',
      min: 0,
      default: '0',
      unit: 'pages',
      meaning: 'Pages that may still be written back, where the limit is switched on',
    },
    (_, zram, text) => {
      const { error, value } = kstrtoul(text, 10)
      if (error < 0) return -EINVAL
      zram.writebackLimit = value
      return 0
    },
    (_, zram) => `${zram.writebackLimit}\n`,
  ),
  device(
    'writeback_limit_enable',
    { type: 'integer', min: 0, max: 1, default: '0', meaning: 'Whether writing back is limited' },
    (_, zram, text) => {
      const { error, value } = kstrtoul(text, 10)
      if (error < 0) return -EINVAL
      zram.writebackLimitEnable = value !== 0
      return 0
    },
    (_, zram) => `${Number(zram.writebackLimitEnable)}\n`,
  ),
]

const CONTROL: Knob = {
  ...WORKS,
  path: '/sys/class/zram-control/hot_remove',
  exists: k => k.machine.modules.includes('zram'),
  type: 'integer',
  min: 0,
  meaning: 'Removes the device of this number, while nobody uses it',
  source: `${DRIVER} hot_remove_store`,
  write: (k, text) => {
    const { error, value } = kstrtoint(text, 10)
    if (error < 0) return error
    const removed = value < 0 ? -EINVAL : zramRemove(k, value)
    return removed < 0 ? removed : text.length
  },
}

/** /sys/class/zram-control/hot_add makes a device when it is read, and says its number. */
export const zramHotAdd = (k: Kernel): string | number => (k.machine.modules.includes('zram') ? `${zramAdd(k)}\n` : -EACCES)

export const ZRAM_KNOBS: readonly Knob[] = [...SETUP, ...UPKEEP, CONTROL]
