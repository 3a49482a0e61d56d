/**
 * The file systems that are there before the first process: root, the kernel's own mounts, the disks.
 *
 * Disks are named vda, vdb in the order swap, file system. The disk's files come from its image: on disk, not in memory.
 */
import { must } from '../base/assert.ts'
import { internContent } from '../base/content.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk, SuperBlock } from '../base/state_fs.ts'
import { PAGE_SIZE, pagesFor } from '../base/units.ts'
import { diskCreate } from '../caches/block.ts'
import { diskBlocks } from '../caches/disk_blocks.ts'
import { inodeCreate, superBlockCreate } from '../caches/inode.ts'
import { bdevCreate, cacheMounted } from '../caches/metadata.ts'

/** Device numbers of Linux' own mounts and disks, as /proc/PID/maps prints them. */
const ROOT_DEV = '00:02'
const SHMEM_DEV = '00:01'
const DISK_DEVS = ['fe:00', 'fe:10']

/** mkfs makes blocks of a page, but small ones on disks below this size (mke2fs.conf). */
const SMALL_DISK_BYTES = 512 * 2 ** 20
const SMALL_BLOCK_BYTES = 1024

/** Where the machine's disk is mounted. */
const DISK_MOUNT = '/mnt'
/** ext4's root directory, and the first number that a file gets. */
const EXT4_ROOT_INO = 2
const EXT4_FIRST_INO = 12

/**
 * Makes the file systems and mounts them.
 * @param bufferPages pages of the disks' own that mounting, and switching on swap, have read. What that took is in boot's
 * counters, so these stay as they are.
 */
export function initFileSystems(k: Kernel, bufferPages: number): void {
  const root = superBlockCreate(k, 'ramfs', '/', { dev: ROOT_DEV })
  for (const path of ['/', '/proc', '/sys', '/dev', '/tmp', DISK_MOUNT])
    inodeCreate(k, root, path, { directory: true, mode: 0o755, objects: false })
  const shmem = superBlockCreate(k, 'shmem', '', { dev: SHMEM_DEV, nextIno: 0 })
  inodeCreate(k, shmem, '', { directory: true, nlink: 0, objects: false })
  const events = k.event.slice()
  const numa = k.zones.map(zone => zone.numa.slice())
  initDisks(k, bufferPages)
  k.event.set(events)
  k.zones.forEach((zone, i) => {
    zone.numa.set(numa[i])
  })
}

function initDisks(k: Kernel, bufferPages: number): void {
  const { swapBytes, diskBytes } = k.machine
  const swapPages = swapBytes > 0 ? 1 : 0
  if (swapBytes > 0) cacheMounted(k, bdevCreate(k, addDisk(k, swapBytes, PAGE_SIZE)), swapPages)
  if (diskBytes > 0) mountDisk(k, diskBytes, bufferPages - swapPages)
}

function addDisk(k: Kernel, bytes: number, blockBytes: number): Disk {
  const disk = diskCreate(k.fs.disks.length === 0 ? 'vda' : 'vdb', bytes, blockBytes)
  k.fs.disks.push(disk)
  return disk
}

function mountDisk(k: Kernel, bytes: number, bufferPages: number): void {
  const dev = DISK_DEVS[k.fs.disks.length]
  const disk = addDisk(k, bytes, bytes < SMALL_DISK_BYTES ? SMALL_BLOCK_BYTES : PAGE_SIZE)
  const sb = superBlockCreate(k, 'ext4', DISK_MOUNT, { dev, disk, nextIno: EXT4_FIRST_INO, metadata: bdevCreate(k, disk) })
  cacheMounted(k, must(sb.metadata, 'a disk has no cache'), bufferPages)
  inodeCreate(k, sb, DISK_MOUNT, { directory: true, mode: 0o755, ino: EXT4_ROOT_INO, blocks: diskBlocks(0, 0), objects: false }).names =
    k.machine.files.length
  for (const { path, bytes: sizeBytes } of k.machine.files) imageFile(k, sb, path, sizeBytes)
}

/** A file of the image, and the directories on the way to it. */
function imageFile(k: Kernel, sb: SuperBlock, path: string, sizeBytes: number): void {
  const content = internContent(k.contents, { kind: 'file', key: `file:${path}`, incompressible: 2, sameFilled: false })
  const parts = path.slice(DISK_MOUNT.length + 1).split('/')
  for (let depth = 1; depth < parts.length; depth++) {
    const dir = [DISK_MOUNT, ...parts.slice(0, depth)].join('/')
    if (!k.fs.byPath.has(`${sb.id}:${dir}`))
      inodeCreate(k, sb, dir, { directory: true, mode: 0o755, blocks: diskBlocks(0, 0), objects: false })
  }
  inodeCreate(k, sb, path, { sizeBytes, mode: 0o644, blocks: diskBlocks(pagesFor(sizeBytes), content), objects: false })
}
