/**
 * What ext4 keeps about its files, as pages of the disk's own cache ("Buffers" in /proc/meminfo).
 *
 *     block 1024 ...               inodes, 16 to a block; reading one reads the 32 blocks around it ahead
 *     2^24 + 4096 * directory      names of a directory, spread over its blocks by their hash
 *
 * The places are this model's own; how many blocks there are, and which operation reads or dirties which kind, is as on a
 * file system of 4 KiB blocks without a journal. Bitmaps and group descriptors are left out.
 *
 * Source: fs/ext4/inode.c __ext4_get_inode_loc, fs/ext4/namei.c, fs/buffer.c (__getblk_gfp, __find_get_block).
 */
import { must } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { __GFP_FS, __GFP_MOVABLE, __GFP_NOFAIL, GFP_USER, PG_active, PG_locked, PG_referenced, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk, Inode, Mapping, SuperBlock } from '../base/state_fs.ts'
import { NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { markDirty } from '../reclaim/writeback.ts'
import { blockSubmit, waitOnPage } from './block.ts'
import { filemapGet } from './filemap.ts'
import { attachBuffers, filemapNew } from './filemap_add.ts'
import { inodeCreate, superBlockCreate } from './inode.ts'
import { markAccessed } from './lru.ts'

const GFP_DISK = (GFP_USER | __GFP_MOVABLE) & ~__GFP_FS
const GFP_METADATA = GFP_DISK | __GFP_NOFAIL
const INODE_TABLE = 1024
const INODES_PER_BLOCK = 16
/** inode_readahead_blks */
const INODE_READAHEAD = 32
const DIRECTORIES = 2 ** 24
const DIRECTORY_BLOCKS = 4096
/** Part of a directory block that is full on average, once blocks have been split. */
const FILL = 0.7

/** Makes the page cache of a disk itself, which mounts and swap areas on it share. */
export function bdevCreate(k: Kernel, disk: Disk): Mapping {
  const sb = superBlockCreate(k, 'bdev', '', { disk, dev: '00:04' })
  const inode = inodeCreate(k, sb, `/dev/${disk.name}`, { nlink: 0, objects: false })
  inode.openCount = 1
  return inode.mapping
}

/** Puts blocks into the disk's cache that mounting has read: the inodes' first, then superblock and group descriptors. */
export function cacheMounted(k: Kernel, mapping: Mapping, pages: number): void {
  const inodes = Math.min(INODE_READAHEAD, pages)
  for (let i = 0; i < pages; i++) newBlock(k, mapping, i < inodes ? INODE_TABLE + i : i - inodes, PG_uptodate | PG_active)
}

/** Pages of all disks' own caches: nr_blockdev_pages. */
export const blockdevPages = (k: Kernel): number =>
  k.fs.superBlocks.reduce((sum, sb) => sum + (sb.type === 'bdev' ? bdevPages(k, sb) : 0), 0)

function bdevPages(k: Kernel, sb: SuperBlock): number {
  for (const mapping of k.fs.mappings.values()) if (mapping.inode.sb === sb) return mapping.nrPages
  return 0
}

const metadataOf = (sb: SuperBlock): Mapping => must(sb.metadata, 'a file system without metadata is asked for it')

/**
 * Reads blocks [first, first + n) ahead, as far as they are not cached (sb_breadahead). Whoever asks for a buffer that is not there makes the
 * page and then finds it: two accesses, so that it is active from the start (grow_dev_page, __find_get_block_slow).
 */
function readBlocks(k: Kernel, sb: SuperBlock, first: number, n: number): void {
  const mapping = metadataOf(sb)
  for (let block = first; block < first + n; block++) {
    if (filemapGet(mapping, block) !== NO_PAGE) continue
    const pfn = newBlock(k, mapping, block, PG_locked | PG_referenced)
    if (pfn === NO_PAGE) continue
    markAccessed(k, pfn)
    blockSubmit(k, must(mapping.inode.sb.disk, 'a disk cache without a disk'), false, mapping, block, 1)
  }
}

function newBlock(k: Kernel, mapping: Mapping, block: number, flags: number, gfp = GFP_METADATA): Pfn {
  const pfn = filemapNew(k, mapping, block, gfp, flags)
  if (pfn !== NO_PAGE) attachBuffers(k, pfn)
  return pfn
}

/** Looks into a block, which is read first unless it is cached; NO_PAGE when there is no memory for it (sb_bread). */
function lookAtBlock(k: Kernel, sb: SuperBlock, block: number): Pfn {
  const mapping = metadataOf(sb)
  const cached = filemapGet(mapping, block)
  if (cached === NO_PAGE) readBlocks(k, sb, block, 1)
  else markAccessed(k, cached)
  const pfn = filemapGet(mapping, block)
  if (pfn !== NO_PAGE) waitOnPage(k, mapping, block, pfn)
  return pfn
}

/** Reads a block of a disk that holds no file system, unless it is cached. */
export function readBlock(k: Kernel, mapping: Mapping, block: number): void {
  if (filemapGet(mapping, block) !== NO_PAGE) return
  const pfn = newBlock(k, mapping, block, PG_locked, GFP_DISK)
  if (pfn === NO_PAGE) return
  blockSubmit(k, must(mapping.inode.sb.disk, 'a disk cache without a disk'), false, mapping, block, 1)
  waitOnPage(k, mapping, block, pfn)
}

/** Changes a block that needs no reading because it is new, or is cached (sb_getblk). */
function dirtyBlock(k: Kernel, sb: SuperBlock, block: number): void {
  const mapping = metadataOf(sb)
  const there = filemapGet(mapping, block)
  const pfn = there === NO_PAGE ? newBlock(k, mapping, block, PG_uptodate | PG_referenced) : there
  if (pfn === NO_PAGE) return
  waitOnPage(k, mapping, block, pfn)
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  markAccessed(k, pfn)
  attachBuffers(k, pfn)
  markDirty(k, pfn)
}

const inodeBlock = (inode: Inode) => INODE_TABLE + Math.floor((inode.ino - 1) / INODES_PER_BLOCK)

/** Reads the inode from its table, and the blocks around it ahead. */
export function readInode(k: Kernel, inode: Inode): void {
  const block = inodeBlock(inode)
  if (filemapGet(metadataOf(inode.sb), block) === NO_PAGE) readBlocks(k, inode.sb, block - (block % INODE_READAHEAD), INODE_READAHEAD)
  lookAtBlock(k, inode.sb, block)
}

/** The inode changed: so does its block of the table (ext4_mark_inode_dirty). */
export const dirtyInode = (k: Kernel, inode: Inode): void => dirtyBlock(k, inode.sb, inodeBlock(inode))

/** Bytes of a name's entry: eight and the name, in fours. */
const entryBytes = (name: string) => 8 + Math.ceil(name.length / 4) * 4

/** The block of the directory that holds the name. */
function nameBlock(dir: Inode, name: string): number {
  const blocks = Math.max(1, Math.ceil((dir.names * entryBytes(name)) / (PAGE_SIZE * FILL)))
  return DIRECTORIES + dir.ino * DIRECTORY_BLOCKS + (hash(name) % Math.min(blocks, DIRECTORY_BLOCKS))
}

/** FNV-1a: spreads names evenly, which is all that is asked of it here. */
function hash(name: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/** Looks a name up in a directory on disk. */
export function readName(k: Kernel, dir: Inode, name: string): void {
  spend(k, COST.lookup, 1)
  if (dir.names > 0) lookAtBlock(k, dir.sb, nameBlock(dir, name))
}

/** Adds a name to a directory, or takes it out. */
export function changeName(k: Kernel, dir: Inode, name: string, by: 1 | -1): void {
  spend(k, COST.lookup, 1)
  if (by < 0) lookAtBlock(k, dir.sb, nameBlock(dir, name))
  dirtyBlock(k, dir.sb, nameBlock(dir, name))
  dir.names += by
}
