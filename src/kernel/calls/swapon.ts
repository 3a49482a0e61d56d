/**
 * swapon(2), and what mkswap does to a device or file.
 *
 *     swapon    device with a header ──> area; its header's page stays in the device's cache (Buffers)
 *               file on a disk       ──> area; the file is open, and cannot be written, cut, unlinked or mapped shared meanwhile
 *     mkswap    a header for all of it
 *
 * Devices are the machine's disks and zram's. What an area's maps take of memory is part of what boot takes, as if no area came or
 * went. A file counts as one run of blocks; where blocks are smaller than pages, Linux has a page less for each of its runs.
 *
 * Source: mm/swapfile.c (sys_swapon, read_swap_header), fs/iomap/swapfile.c, util-linux mkswap.
 */
import { allocPages } from '../alloc/page_alloc.ts'
import { internContent } from '../base/content.ts'
import { COST, spend } from '../base/cost.ts'
import { EBUSY, EINVAL, EISDIR, ENOENT, ENOMEM, ENOSPC, EPERM } from '../base/errno.ts'
import { GFP_USER, SWAP_FLAG_PREFER, SWAP_FLAG_PRIO_MASK, SWAP_FLAGS_VALID, SWP_SOLIDSTATE } from '../base/flags.ts'
import { KERN_ERR, KERN_INFO, KERN_WARNING, printk } from '../base/log.ts'
import { swapHeaderContent, swapHeaderPages } from '../base/page_bytes.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk, Inode, Mapping } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import type { SwapDevice } from '../base/state_swap.ts'
import { NO_PAGE, PAGE_KB, PAGE_SIZE } from '../base/units.ts'
import { diskHasBlock } from '../caches/disk_blocks.ts'
import { filemapGet } from '../caches/filemap.ts'
import { readOnePage } from '../caches/filemap_read.ts'
import { fput } from '../caches/files.ts'
import { inodeAt, normalizePath } from '../caches/inode.ts'
import { readBlock } from '../caches/metadata.ts'
import { enableSwapArea, freeSwapType, isSwapFile } from '../caches/swap_area.ts'
import { zramPages, zramWrite } from '../caches/zram.ts'
import { pageContent, pageSetContent } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { truncatePages } from '../reclaim/truncate.ts'
import { capable } from './account.ts'
import { sysClose, sysOpen } from './files.ts'
import { fsyncRange, sysFsync, sysWrite } from './files_io.ts'

/** What kind of thing a path names, for swapon and swapoff: an errno, or the device and its pages; undefined for a file. */
export function swapDeviceAt(k: Kernel, path: string): { readonly device: SwapDevice; readonly pages: number } | number | undefined {
  const disk = k.fs.disks.find(({ name }) => `/dev/${name}` === path)
  if (disk !== undefined) return { device: { kind: 'disk', disk, file: undefined, zram: -1 }, pages: Math.floor(disk.bytes / PAGE_SIZE) }
  const pages = zramPages(k, path)
  const number = Number(path.slice('/dev/zram'.length))
  if (pages >= 0) return { device: { kind: 'zram', disk: undefined, file: undefined, zram: number }, pages }
  const inode = inodeAt(k, path)
  if (inode === undefined) return -ENOENT
  return inode.directory ? -EISDIR : undefined
}

/** Whether a file system is mounted from the disk, or zram writes blocks back to it. */
const isClaimed = (k: Kernel, disk: Disk | undefined) =>
  disk !== undefined &&
  (k.fs.superBlocks.some(sb => sb.type !== 'bdev' && sb.disk === disk) || k.zram.some(zram => zram?.backing?.disk === disk))

/** Writes a header of swap over all of a device or file. @returns 0, -ENOENT, -EISDIR, -ETXTBSY for a file in use, -ENOSPC for what has no room. */
export function mkswap(k: Kernel, task: Task, name: string): number {
  const path = normalizePath(name)
  const found = swapDeviceAt(k, path)
  if (found === undefined) return mkswapFile(k, task, path)
  spend(k, COST.syscall, 1)
  if (typeof found === 'number') return found
  if (found.pages === 0) return -ENOSPC
  if (found.device.kind === 'zram') {
    const page = allocPages(k, GFP_USER, 0)
    if (page === NO_PAGE) return -ENOMEM
    pageSetContent(k, page, headerFor(k, found.pages), 0)
    const written = zramWrite(k, found.device.zram, 0, page)
    freePages(k, page, 0)
    if (written < 0) return written
  }
  k.swap.headers.set(path, found.pages)
  return 0
}

const headerFor = (k: Kernel, pages: number): number => internContent(k.contents, swapHeaderContent(pages - 1))

function mkswapFile(k: Kernel, task: Task, path: string): number {
  const file = sysOpen(k, task, path, { read: true, write: true })
  if (typeof file === 'number') return file
  const content = headerFor(k, Math.floor(file.inode.sizeBytes / PAGE_SIZE))
  const written = sysWrite(k, task, file, PAGE_SIZE, { content, indexed: false, index: 0 })
  sysFsync(k, task, file)
  sysClose(k, task, file)
  return Math.min(written, 0)
}

/**
 * swapon(2).
 * @param flags SWAP_FLAG_*, with the priority where SWAP_FLAG_PREFER is set.
 * @returns 0, -EPERM, -ENOENT, -EISDIR, -EBUSY for a device in use, -EINVAL for flags that are none, for one without a header or with one of
 * a larger device, for a file with holes or not on a disk.
 */
export function sysSwapon(k: Kernel, task: Task, name: string, flags: number): number {
  spend(k, COST.syscall, 1)
  if ((flags & ~SWAP_FLAGS_VALID) !== 0) return -EINVAL
  if (!capable(task)) return -EPERM
  const type = freeSwapType(k)
  if (type < 0) return -EPERM
  const path = normalizePath(name)
  const opened = openDevice(k, task, path)
  if (typeof opened === 'number') return opened
  const priority = (flags & SWAP_FLAG_PREFER) !== 0 ? flags & SWAP_FLAG_PRIO_MASK : -1
  const area = enableSwapArea(k, type, path, opened.device, opened.pages, priority)
  const kb = area.pages * PAGE_KB
  const kinds = (area.flags & SWP_SOLIDSTATE) !== 0 ? 'SSFS' : 'FS'
  printk(k, KERN_INFO, `Adding ${kb}k swap on ${name}.  Priority:${area.priority} extents:1 across:${kb}k ${kinds}`)
  return 0
}

/** What is to be swapped to, and how many pages its header says it has; or a negative errno. */
function openDevice(k: Kernel, task: Task, path: string): { readonly device: SwapDevice; readonly pages: number } | number {
  const found = swapDeviceAt(k, path)
  if (found === undefined) return openSwapFile(k, task, path)
  if (typeof found === 'number') return found
  const used = k.swap.areas.some(area => area?.path === path)
  if (used || isClaimed(k, found.device.disk)) return -EBUSY
  readHeader(k, found.device)
  const pages = checkHeader(k, k.swap.headers.get(path) ?? 0, found.pages)
  if (pages < 0) return pages
  return { device: found.device, pages }
}

/** Pages that a header says there are, if it is one and the device or file has so many; -EINVAL (read_swap_header). */
function checkHeader(k: Kernel, pages: number, size: number): number {
  if (pages >= 2 && pages <= size) return pages
  if (pages === 0) printk(k, KERN_ERR, 'Unable to find swap-space signature')
  else printk(k, KERN_WARNING, pages === 1 ? 'Empty swap-file' : 'Swap area shorter than signature indicates')
  return -EINVAL
}

function openSwapFile(k: Kernel, task: Task, path: string): { readonly device: SwapDevice; readonly pages: number } | number {
  const file = sysOpen(k, task, path, { read: true, write: true })
  if (typeof file === 'number') return file
  const { disk } = file.inode.sb
  const pages = isSwapFile(k, file.inode) ? -EBUSY : disk === undefined ? -EINVAL : filePages(k, file.inode)
  // The area holds the file from now on, not the task.
  if (pages > 0 && disk !== undefined) {
    task.files.delete(file)
    return { device: { kind: 'file', disk, file, zram: -1 }, pages }
  }
  sysClose(k, task, file)
  return pages
}

/** Pages that a file on disk has for swap, its header's included: those that its header says, if all of them have blocks; -EINVAL. */
function filePages(k: Kernel, inode: Inode): number {
  const cached = filemapGet(inode.mapping, 0)
  const first = cached === NO_PAGE ? readOnePage(k, inode.mapping, 0) : cached
  if (first === NO_PAGE) return -ENOMEM
  const size = Math.floor(inode.sizeBytes / PAGE_SIZE)
  const pages = checkHeader(k, swapHeaderPages(k.contents.classes[pageContent(k, first)]), size)
  if (pages < 0) return pages
  fsyncRange(k, inode, 0, Number.POSITIVE_INFINITY)
  for (let page = 0; page < size; page++)
    if (inode.blocks === undefined || !diskHasBlock(inode.blocks, page)) {
      printk(k, KERN_ERR, `swapon: file ${inode.path} has unallocated extents`)
      return -EINVAL
    }
  return pages
}

const bdevOf = (k: Kernel, disk: Disk | undefined): Mapping | undefined =>
  disk === undefined ? undefined : [...k.fs.inodes.values()].find(({ sb }) => sb.type === 'bdev' && sb.disk === disk)?.mapping

/** Reads the header's page into the disk's cache, where it stays. */
function readHeader(k: Kernel, { disk }: SwapDevice): void {
  const mapping = bdevOf(k, disk)
  if (mapping !== undefined) readBlock(k, mapping, 0)
}

/** The area is gone. Of a disk that nobody else uses nothing stays in its cache (blkdev_flush_mapping); a file may be changed again. */
export function closeDevice(k: Kernel, { kind, disk, file }: SwapDevice): void {
  if (kind === 'file') {
    fput(k, file)
    return
  }
  const mapping = bdevOf(k, disk)
  if (mapping !== undefined) truncatePages(k, mapping, 0, Number.POSITIVE_INFINITY)
}
