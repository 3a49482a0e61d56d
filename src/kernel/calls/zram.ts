/**
 * What a write to one of zram's files does: setting a device up, resetting it, its limits, writing blocks back; and adding and
 * removing devices.
 *
 *     not set up ── disksize ──> set up ── reset ──> not set up            only while nobody uses it
 *       comp_algorithm,            compact, idle, writeback
 *       backing_dev
 *
 * Checks come in the order in which Linux makes them: the text first, then the device's state.
 *
 * Source: drivers/block/zram/zram_drv.c (disksize_store, reset_store, comp_algorithm_store, backing_dev_store, writeback_store,
 * zram_add, zram_remove).
 */
import { findCompressor } from '../base/compress.ts'
import { now } from '../base/cost.ts'
import { EBUSY, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTBLK } from '../base/errno.ts'
import { KERN_INFO, printk } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk } from '../base/state_fs.ts'
import type { ZramDevice } from '../base/state_zswap.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { inodeAt } from '../caches/inode.ts'
import {
  ZRAM_HUGE,
  ZRAM_IDLE,
  ZRAM_SAME,
  ZRAM_WB,
  zramDevice,
  zramEach,
  zramFreeAll,
  zramMarkIdle,
  zramStats,
  zramWriteBack,
} from '../caches/zram.ts'
import { zsCompact, zsCreate } from '../caches/zsmalloc.ts'
import { freeWorking } from '../caches/zswap.ts'
import { takeMapped, takeStreams } from './working_memory.ts'

/** Bytes of the table for each block (struct zram_table_entry). */
const TABLE_ENTRY = 24
const SECTOR_BYTES = 512
/** Order of a stream's buffer: compressing may make more of a page than it was. */
const BUFFER_ORDER = 1
const NS_PER_S = 1e9
/** Longest name of a compressor, with its end (CRYPTO_MAX_ALG_NAME). */
const NAME_BYTES = 128

const isSetUp = (device: ZramDevice): boolean => device.blocks > 0

/** Whether swap has the device open. */
const inUse = (k: Kernel, { number }: ZramDevice): boolean =>
  k.swap.areas.some(area => area?.device.kind === 'zram' && area.device.zram === number)

/** Sets the device up with so many bytes, rounded up to pages. @returns 0, -EINVAL for no bytes, -EBUSY for one that is set up, -ENOMEM. */
export function zramSetDisksize(k: Kernel, device: ZramDevice, bytes: number): number {
  if (bytes === 0) return -EINVAL
  if (isSetUp(device)) return busy(k, 'Cannot change disksize for initialized device')
  const blocks = Math.ceil(bytes / PAGE_SIZE)
  const algorithm = findCompressor(k, device.compressor)
  const taken =
    takeMapped(k, device.working, Math.ceil((blocks * TABLE_ENTRY) / PAGE_SIZE)) && takeStreams(k, device.working, algorithm, BUFFER_ORDER)
  if (!taken) {
    dropWorking(k, device)
    return -ENOMEM
  }
  device.pool = zsCreate()
  device.algorithm = algorithm
  setCapacity(k, device, blocks)
  return 0
}

/** Refuses to change what a device that is set up has. */
function busy(k: Kernel, why: string): number {
  printk(k, KERN_INFO, `zram: ${why}`)
  return -EBUSY
}

function setCapacity(k: Kernel, device: ZramDevice, blocks: number): void {
  const sectors = (n: number) => (n * PAGE_SIZE) / SECTOR_BYTES
  const change = `from ${sectors(device.blocks)} to ${sectors(blocks)}`
  if (blocks !== device.blocks) printk(k, KERN_INFO, `zram${device.number}: detected capacity change ${change}`)
  device.blocks = blocks
}

function dropWorking(k: Kernel, device: ZramDevice): void {
  freeWorking(k, device.working)
  device.working = { mapped: [], pieces: [] }
}

/** Forgets everything but the compressor and the limit of writing back. @returns 0, or -EBUSY while the device is in use. */
export function zramReset(k: Kernel, device: ZramDevice): number {
  if (inUse(k, device)) return -EBUSY
  zramFreeAll(k, device)
  dropWorking(k, device)
  k.swap.headers.delete(`/dev/zram${device.number}`)
  setCapacity(k, device, 0)
  device.pool = undefined
  device.table = []
  device.limitPages = 0
  device.stats = zramStats()
  device.backing = undefined
  return 0
}

/** @returns 0, -EINVAL for a compressor that the machine has not, -EBUSY for a device that is set up. */
export function zramSetCompressor(k: Kernel, device: ZramDevice, text: string): number {
  const name = text.slice(0, NAME_BYTES - 1).replace(/\n$/, '')
  if (findCompressor(k, name) < 0) return -EINVAL
  if (isSetUp(device)) return busy(k, "Can't change algorithm for initialized device")
  device.compressor = name
  return 0
}

/** Packs the device's objects closer. @returns 0, or -EINVAL for a device that is not set up. */
export function zramCompact(k: Kernel, { pool }: ZramDevice): number {
  if (pool === undefined) return -EINVAL
  zsCompact(k, pool)
  return 0
}

/** Marks blocks not used for so many seconds as idle, or all (undefined). @returns 0, or -EINVAL for a device that is not set up. */
export function zramIdle(k: Kernel, device: ZramDevice, seconds: number | undefined): number {
  if (!isSetUp(device)) return -EINVAL
  zramMarkIdle(device, seconds === undefined ? 0 : now(k) - seconds * NS_PER_S)
  return 0
}

/**
 * @returns 0, or as Linux: -EBUSY for a device that is set up, -ENOENT, -ENOTBLK for a file, -EINVAL for a device without size, -EBUSY for
 * one in use.
 */
export function zramSetBacking(k: Kernel, device: ZramDevice, path: string): number {
  if (isSetUp(device)) return busy(k, "Can't setup backing device for initialized device")
  const other = k.zram.find(zram => zram !== undefined && path === `/dev/zram${zram.number}`)
  if (other !== undefined) return -EINVAL
  const disk = k.fs.disks.find(({ name }) => path === `/dev/${name}`)
  if (disk === undefined) return inodeAt(k, path) === undefined ? -ENOENT : -ENOTBLK
  if (diskInUse(k, disk)) return -EBUSY
  device.backing = { disk, path, taken: new Set() }
  printk(k, KERN_INFO, `zram: setup backing device ${path}`)
  return 0
}

const diskInUse = (k: Kernel, disk: Disk): boolean =>
  k.fs.superBlocks.some(sb => sb.disk === disk && sb.type !== 'bdev') || k.swap.areas.some(area => area?.device.disk === disk)

/** Which blocks are to be written back: of those not used, the huge ones, both, or a single one. */
export type ZramWriteback = 'idle' | 'huge' | 'huge_idle' | number

/**
 * Writes blocks back to the backing disk, as far as the limit allows.
 * @returns 0, -EINVAL for a device that is not set up or a block that is not there, -ENODEV without a disk, -EIO at the limit, -ENOSPC.
 */
export function zramWriteback(k: Kernel, device: ZramDevice, which: ZramWriteback): number {
  if (!isSetUp(device)) return -EINVAL
  const { backing } = device
  if (backing === undefined) return -ENODEV
  if (typeof which === 'number' && which >= device.blocks) return -EINVAL
  const wanted = ofKind(device, which)
  const room = Math.floor(backing.disk.bytes / PAGE_SIZE)
  // Linux walks every block of the device and stops at the first, wanted or not, that finds the limit used up.
  const last = typeof which === 'number' ? which : device.blocks - 1
  let target = 1
  for (const block of wanted) {
    if (device.writebackLimitEnable && device.writebackLimit === 0) return -EIO
    while (target < room && backing.taken.has(target)) target++
    if (target >= room) return -ENOSPC
    zramWriteBack(k, device, block, target)
    if (device.writebackLimitEnable) device.writebackLimit--
  }
  const lookedFurther = (wanted.at(-1) ?? -1) < last || wanted.length === 0
  return lookedFurther && device.writebackLimitEnable && device.writebackLimit === 0 ? -EIO : 0
}

/** Blocks to be written back: never those that are there already, nor those that are one word repeated. */
function ofKind(device: ZramDevice, which: ZramWriteback): number[] {
  const must = (which === 'idle' || which === 'huge_idle' ? ZRAM_IDLE : 0) | (which === 'huge' || which === 'huge_idle' ? ZRAM_HUGE : 0)
  const blocks: number[] = []
  zramEach(device, ({ block, flags }) => {
    if ((flags & (ZRAM_WB | ZRAM_SAME)) !== 0 || (flags & must) !== must) return
    if (typeof which !== 'number' || block === which) blocks.push(block)
  })
  return blocks
}

/** Another device with the lowest free number. */
export function zramAdd(k: Kernel): number {
  const free = k.zram.indexOf(undefined)
  const number = free < 0 ? k.zram.length : free
  k.zram[number] = zramDevice(number)
  printk(k, KERN_INFO, `zram: Added device: zram${number}`)
  return number
}

/** @returns 0, -ENODEV, or -EBUSY while the device is in use. */
export function zramRemove(k: Kernel, number: number): number {
  const device = k.zram[number]
  if (device === undefined) return -ENODEV
  const error = zramReset(k, device)
  if (error < 0) return error
  k.zram[number] = undefined
  printk(k, KERN_INFO, `zram: Removed device: zram${number}`)
  return 0
}
