/**
 * swapon(2), and what mkswap does to a device.
 *
 *     swapon    device with a header ──> area; its header's page stays in the device's cache (Buffers)
 *     mkswap    a header for all of the device
 *
 * Devices are the machine's disks and zram's; swapping to files is not built (-EINVAL). What an area's maps take of memory is part of
 * what boot takes, as if no area came or went.
 *
 * Source: mm/swapfile.c (sys_swapon, read_swap_header), util-linux mkswap.
 */
import { allocPages } from '../alloc/page_alloc.ts'
import { internContent } from '../base/content.ts'
import { COST, spend } from '../base/cost.ts'
import { EBUSY, EINVAL, EISDIR, ENOENT, ENOMEM, ENOSPC, EPERM } from '../base/errno.ts'
import { GFP_USER } from '../base/flags.ts'
import { swapHeaderContent } from '../base/page_bytes.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk, Mapping } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import type { SwapDevice } from '../base/state_swap.ts'
import { NO_PAGE, PAGE_SIZE } from '../base/units.ts'
import { inodeAt, normalizePath } from '../caches/inode.ts'
import { readBlock } from '../caches/metadata.ts'
import { enableSwapArea, freeSwapType } from '../caches/swap_area.ts'
import { zramPages, zramWrite } from '../caches/zram.ts'
import { pageSetContent } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { truncatePages } from '../reclaim/truncate.ts'
import { capable } from './account.ts'

/** What kind of thing a path names, for swapon and swapoff: an errno, or the device and its pages. */
export function swapDeviceAt(k: Kernel, path: string): { readonly device: SwapDevice; readonly pages: number } | number {
  const disk = k.fs.disks.find(({ name }) => `/dev/${name}` === path)
  if (disk !== undefined) return { device: { kind: 'disk', disk, zram: -1 }, pages: Math.floor(disk.bytes / PAGE_SIZE) }
  const pages = zramPages(k, path)
  if (pages >= 0) return { device: { kind: 'zram', disk: undefined, zram: Number(path.slice('/dev/zram'.length)) }, pages }
  const inode = inodeAt(k, path)
  if (inode === undefined) return -ENOENT
  return inode.directory ? -EISDIR : -EINVAL
}

const isMounted = (k: Kernel, disk: Disk | undefined) =>
  disk !== undefined && k.fs.superBlocks.some(sb => sb.type !== 'bdev' && sb.disk === disk)

/** Writes a header of swap over all of a device. @returns 0, -ENOENT, -EISDIR, -EINVAL for what is no device or has no room. */
export function mkswap(k: Kernel, name: string): number {
  const path = normalizePath(name)
  const found = swapDeviceAt(k, path)
  spend(k, COST.syscall, 1)
  if (typeof found === 'number') return found
  if (found.pages === 0) return -ENOSPC
  if (found.device.kind === 'zram') {
    const page = allocPages(k, GFP_USER, 0)
    if (page === NO_PAGE) return -ENOMEM
    pageSetContent(k, page, internContent(k.contents, swapHeaderContent(found.pages - 1)), 0)
    const written = zramWrite(k, found.device.zram, 0, page)
    freePages(k, page, 0)
    if (written < 0) return written
  }
  k.swap.headers.set(path, found.pages)
  return 0
}

/**
 * swapon(2).
 * @param priority undefined for none given.
 * @returns 0, -EPERM, -ENOENT, -EISDIR, -EBUSY for a device in use, -EINVAL for one without a header or with one of a larger device.
 */
export function sysSwapon(k: Kernel, task: Task, name: string, priority: number | undefined): number {
  spend(k, COST.syscall, 1)
  if (!capable(task)) return -EPERM
  const type = freeSwapType(k)
  if (type < 0) return -EPERM
  const path = normalizePath(name)
  const found = swapDeviceAt(k, path)
  if (typeof found === 'number') return found
  const used = k.swap.areas.some(area => area?.path === path)
  if (used || isMounted(k, found.device.disk)) return -EBUSY
  const pages = k.swap.headers.get(path)
  if (pages === undefined || pages < 2 || pages > found.pages) return -EINVAL
  readHeader(k, found.device)
  enableSwapArea(k, type, path, found.device, pages, priority ?? -1)
  return 0
}

const bdevOf = (k: Kernel, disk: Disk | undefined): Mapping | undefined =>
  disk === undefined ? undefined : [...k.fs.inodes.values()].find(({ sb }) => sb.type === 'bdev' && sb.disk === disk)?.mapping

/** Reads the header's page into the disk's cache, where it stays. */
function readHeader(k: Kernel, { disk }: SwapDevice): void {
  const mapping = bdevOf(k, disk)
  if (mapping !== undefined) readBlock(k, mapping, 0)
}

/** The last who used the disk lets it go: nothing of it stays in its cache (blkdev_flush_mapping). */
export function dropHeader(k: Kernel, { disk }: SwapDevice): void {
  const mapping = bdevOf(k, disk)
  if (mapping !== undefined) truncatePages(k, mapping, 0, Number.POSITIVE_INFINITY)
}
