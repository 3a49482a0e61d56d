/**
 * zram: block devices in memory that keep their pages compressed. As a swap device it holds about twice what it takes.
 *
 *     page written ──> same-filled? ──yes──> its word stands in the table, no memory is taken
 *                           no
 *                      compressed ──> an object of the device's own pool (zsmalloc)
 *                                     what would fill a page of the pool alone is kept as it is (huge)
 *
 * A block that swap no longer needs is freed at once (slot_free_notify). With a backing disk, blocks can be written there by hand:
 * the huge ones, or those not used for a time.
 *
 * Invariants: pagesStored is the number of blocks that hold something; comprDataSize the sum of the sizes of those in the pool;
 * samePages and hugePages count their marks, bdCount the blocks taken on the backing disk.
 *
 * Source: drivers/block/zram/zram_drv.c.
 */
import { must } from '../base/assert.ts'
import { compressedBytes } from '../base/compress.ts'
import { ZERO_CONTENT } from '../base/content.ts'
import { COST, now, spend } from '../base/cost.ts'
import { ENOMEM } from '../base/errno.ts'
import { __GFP_KSWAPD_RECLAIM, __GFP_NOWARN } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { ZramDevice, ZramPiece, ZramStats } from '../base/state_zswap.ts'
import { PAGE_SIZE, type Pfn } from '../base/units.ts'
import { pageContent, pageContentIndex, pageSetContent } from '../frames/page.ts'
import { blockSubmit, waitUntil } from './block.ts'
import { verifyZsmalloc, zsFree, zsHugeClassSize, zsMalloc } from './zsmalloc.ts'

/** Blocks of a piece of the table. */
const PIECE = 1024
/** Words of a block: what is kept, its size in the pool, marks; content class and index. */
const HANDLE = 0
const SIZE = 1
const FLAGS = 2
const CONTENT = 3
const INDEX = 4
const STRIDE = 5
/** One word repeated; on the backing disk; not compressed; not used since it was marked so. */
export const ZRAM_SAME = 1
export const ZRAM_WB = 2
export const ZRAM_HUGE = 4
export const ZRAM_IDLE = 8

const LOAD_SHARE = 1 / 3
const GFP = __GFP_KSWAPD_RECLAIM | __GFP_NOWARN

export const zramStats = (): ZramStats => ({
  comprDataSize: 0,
  failedReads: 0,
  failedWrites: 0,
  invalidIo: 0,
  notifyFree: 0,
  samePages: 0,
  hugePages: 0,
  hugePagesSince: 0,
  pagesStored: 0,
  maxUsedPages: 0,
  writestall: 0,
  missFree: 0,
  bdCount: 0,
  bdReads: 0,
  bdWrites: 0,
})

/** A device that is not set up yet. */
export const zramDevice = (number: number): ZramDevice => ({
  number,
  blocks: 0,
  compressor: 'lzo-rle',
  algorithm: -1,
  pool: undefined,
  table: [],
  limitPages: 0,
  stats: zramStats(),
  working: { mapped: [], pieces: [] },
  backing: undefined,
  writebackLimitEnable: false,
  writebackLimit: 0,
})

/** The device of that number. */
export const zramAt = (k: Kernel, number: number): ZramDevice => must(k.zram[number], `there is no zram device ${number}`)

/** The device at a path, as /dev/zram0. */
export function zramOf(k: Kernel, path: string): ZramDevice | undefined {
  const number = /^\/dev\/zram(0|[1-9]\d{0,3})$/.exec(path)?.[1]
  return number === undefined ? undefined : k.zram[Number(number)]
}

/** Size of the device in pages; 0 while it has not been set up, -1 where there is no such device. */
export const zramPages = (k: Kernel, path: string): number => zramOf(k, path)?.blocks ?? -1

// --- the table

const pieceOf = (device: ZramDevice, block: number): ZramPiece | undefined => device.table[Math.floor(block / PIECE)]

function makePiece(device: ZramDevice, block: number): ZramPiece {
  const made = pieceOf(device, block) ?? { words: new Int32Array(PIECE * STRIDE), accessedNs: new Float64Array(PIECE) }
  device.table[Math.floor(block / PIECE)] = made
  return made
}

const place = (block: number): number => (block % PIECE) * STRIDE

/** Whether the block holds anything (zram_allocated). */
const holds = ({ words }: ZramPiece, at: number): boolean => words[at + SIZE] !== 0 || (words[at + FLAGS] & (ZRAM_SAME | ZRAM_WB)) !== 0

/** Frees what the block holds (zram_free_page). */
function freeBlock(k: Kernel, device: ZramDevice, block: number): void {
  const piece = pieceOf(device, block)
  if (piece === undefined) return
  const { stats } = device
  const { words } = piece
  const at = place(block)
  const flags = words[at + FLAGS]
  piece.accessedNs[block % PIECE] = 0
  if ((flags & ZRAM_HUGE) !== 0) stats.hugePages--
  words[at + FLAGS] = 0
  if ((flags & ZRAM_WB) !== 0) {
    device.backing?.taken.delete(words[at + HANDLE])
    stats.bdCount--
  } else if ((flags & ZRAM_SAME) !== 0) stats.samePages--
  else if (words[at + HANDLE] === 0) return
  else {
    zsFree(k, must(device.pool, 'a zram device has no pool'), words[at + HANDLE])
    stats.comprDataSize -= words[at + SIZE]
  }
  stats.pagesStored--
  words.fill(0, at, at + STRIDE)
}

/** Stores a page at a block of device /dev/zramN. @returns 0 or -ENOMEM. */
export function zramWrite(k: Kernel, number: number, block: number, pfn: Pfn): number {
  return zramWriteContent(k, zramAt(k, number), block, pageContent(k, pfn), pageContentIndex(k, pfn))
}

/** Stores content at a block. @returns 0, or a negative errno where there is no memory for it or the device's limit is reached. */
function zramWriteContent(k: Kernel, device: ZramDevice, block: number, content: number, index: number): number {
  const { stats } = device
  const same = k.contents.classes[content].sameFilled
  const stored = same ? { handle: 0, size: 0 } : store(k, device, content)
  if (stored.handle < 0) {
    stats.failedWrites++
    return stored.handle
  }
  freeBlock(k, device, block)
  const piece = makePiece(device, block)
  const at = place(block)
  const huge = stored.size === PAGE_SIZE
  if (same) stats.samePages++
  if (huge) {
    stats.hugePages++
    stats.hugePagesSince++
  }
  stats.comprDataSize += stored.size
  stats.pagesStored++
  put(piece, at, stored.handle, stored.size, (same ? ZRAM_SAME : 0) | (huge ? ZRAM_HUGE : 0))
  piece.words[at + CONTENT] = content
  piece.words[at + INDEX] = index
  piece.accessedNs[block % PIECE] = now(k)
  return 0
}

function put({ words }: ZramPiece, at: number, handle: number, size: number, flags: number): void {
  words[at + HANDLE] = handle
  words[at + SIZE] = size
  words[at + FLAGS] = flags
}

/** Compresses content into the pool. @returns its handle, or a negative errno, and its size there. */
function store(k: Kernel, device: ZramDevice, content: number): { handle: number; size: number } {
  const { stats, limitPages } = device
  const pool = must(device.pool, 'a zram device that is not set up is written')
  spend(k, COST.zswap_page, 1)
  const bytes = compressedBytes(k, device.algorithm, content)
  const size = bytes >= zsHugeClassSize(pool) ? PAGE_SIZE : bytes
  const handle = zsMalloc(k, pool, size, GFP)
  if (handle < 0) {
    stats.writestall++
    return { handle, size }
  }
  stats.maxUsedPages = Math.max(stats.maxUsedPages, pool.pages)
  if (limitPages === 0 || pool.pages <= limitPages) return { handle, size }
  zsFree(k, pool, handle)
  return { handle: -ENOMEM, size }
}

/** Fills a page with what the block holds (zeros where nothing was ever written). */
export function zramRead(k: Kernel, number: number, block: number, pfn: Pfn): void {
  const device = zramAt(k, number)
  const piece = pieceOf(device, block)
  const at = place(block)
  if (piece === undefined || !holds(piece, at)) {
    pageSetContent(k, pfn, ZERO_CONTENT, 0)
    return
  }
  if ((piece.words[at + FLAGS] & ZRAM_WB) !== 0) readBack(k, device)
  else if ((piece.words[at + FLAGS] & (ZRAM_SAME | ZRAM_HUGE)) === 0) spend(k, COST.zswap_page, LOAD_SHARE)
  pageSetContent(k, pfn, piece.words[at + CONTENT], piece.words[at + INDEX])
  touch(k, piece, block)
}

/** The block is in use again (zram_accessed). */
function touch(k: Kernel, piece: ZramPiece, block: number): void {
  piece.words[place(block) + FLAGS] &= ~ZRAM_IDLE
  piece.accessedNs[block % PIECE] = now(k)
}

/** Waits for a block from the backing disk. The first try, which would have it at once, counts as failed. */
function readBack(k: Kernel, device: ZramDevice): void {
  device.stats.failedReads++
  device.stats.bdReads++
  waitUntil(k, blockSubmit(k, must(device.backing, 'a block is on no backing disk').disk, false, undefined, 0, 1))
}

/** The swap slot at this block is free (zram_slot_free_notify). */
export function zramFree(k: Kernel, number: number, block: number): void {
  const device = zramAt(k, number)
  device.stats.notifyFree++
  freeBlock(k, device, block)
}

/** Frees all blocks. */
export function zramFreeAll(k: Kernel, device: ZramDevice): void {
  for (let block = 0; block < device.blocks; block++) {
    if (pieceOf(device, block) === undefined) block += PIECE - 1
    else freeBlock(k, device, block)
  }
}

// --- idle blocks and the backing disk

/** What is known of a block that holds something. */
export interface ZramBlock {
  readonly block: number
  readonly accessedNs: number
  /** ZRAM_* */
  readonly flags: number
}

/** Calls `visit` with each block that holds something, in order. */
export function zramEach(device: ZramDevice, visit: (block: ZramBlock) => void): void {
  device.table.forEach((piece, p) => {
    if (piece === undefined) return
    for (let i = 0; i < PIECE; i++) {
      if (!holds(piece, i * STRIDE)) continue
      visit({ block: p * PIECE + i, accessedNs: piece.accessedNs[i], flags: piece.words[i * STRIDE + FLAGS] })
    }
  })
}

/** Marks blocks not used since `cutoffNs` as idle; all of them when it is 0 (mark_idle). */
export function zramMarkIdle(device: ZramDevice, cutoffNs: number): void {
  zramEach(device, ({ block, accessedNs }) => {
    const piece = pieceOf(device, block)
    if (piece !== undefined && (cutoffNs === 0 || cutoffNs > accessedNs)) piece.words[place(block) + FLAGS] |= ZRAM_IDLE
  })
}

/** Moves what a block holds to block `target` of the backing disk and waits for it (the inner part of writeback_store). */
export function zramWriteBack(k: Kernel, device: ZramDevice, block: number, target: number): void {
  const piece = must(pieceOf(device, block), 'a block that holds nothing is written back')
  const backing = must(device.backing, 'there is no disk to write back to')
  const at = place(block)
  const [content, index] = [piece.words[at + CONTENT], piece.words[at + INDEX]]
  if ((piece.words[at + FLAGS] & ZRAM_HUGE) === 0) spend(k, COST.zswap_page, LOAD_SHARE)
  waitUntil(k, blockSubmit(k, backing.disk, true, undefined, 0, 1))
  device.stats.bdWrites++
  freeBlock(k, device, block)
  put(piece, at, target, 0, ZRAM_WB)
  piece.words[at + CONTENT] = content
  piece.words[at + INDEX] = index
  backing.taken.add(target)
  device.stats.bdCount++
  device.stats.pagesStored++
}

/** What does not add up in a device, in words; `visit` is called with each page of its pool. */
export function verifyZram(device: ZramDevice, visit: (pfn: number) => void): string[] {
  const { stats, pool, number } = device
  const wrong = pool === undefined ? [] : verifyZsmalloc(pool, visit)
  const found = { pagesStored: 0, comprDataSize: 0, samePages: 0, hugePages: 0, bdCount: 0 }
  device.table.forEach(piece => {
    for (let at = 0; piece !== undefined && at < PIECE * STRIDE; at += STRIDE) {
      if (!holds(piece, at)) continue
      const flags = piece.words[at + FLAGS]
      found.pagesStored++
      found.comprDataSize += piece.words[at + SIZE]
      found.samePages += Number((flags & ZRAM_SAME) !== 0)
      found.hugePages += Number((flags & ZRAM_HUGE) !== 0)
      found.bdCount += Number((flags & ZRAM_WB) !== 0)
    }
  })
  const names = ['pagesStored', 'comprDataSize', 'samePages', 'hugePages', 'bdCount'] as const
  for (const name of names) if (stats[name] !== found[name]) wrong.push(`zram${number} has ${name} ${found[name]}, counted ${stats[name]}`)
  return wrong
}
