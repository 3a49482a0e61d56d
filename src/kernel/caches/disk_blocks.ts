/**
 * What a disk holds of a file: the content of each page, or a hole.
 *
 * A file of the disk's image is all of one content class, which takes no room here; pages written since are kept in
 * chunks of 512. A hole reads as zeros without asking the disk.
 */
import { regionAdd, regionCount, regionDelete } from '../base/regions.ts'
import type { DiskBlocks } from '../base/state_fs.ts'

const CHUNK = 512
/** In a chunk: as in the image; a hole. */
const AS_IMAGED = 0
const HOLE = -1

/** No block on disk. */
export const NO_BLOCK = -1

/** A file whose first pages are in the disk's image, with that content; none for a new file. */
export const diskBlocks = (imagePages: number, imageContent: number): DiskBlocks => ({
  chunks: new Map(),
  imagePages,
  imageContent,
  allocated: [],
})

/** Content class on disk of a page, or NO_BLOCK. */
export function diskContent(blocks: DiskBlocks, page: number): number {
  const word = blocks.chunks.get(Math.floor(page / CHUNK))?.[(page % CHUNK) * 2] ?? AS_IMAGED
  if (word !== AS_IMAGED) return word === HOLE ? NO_BLOCK : word - 1
  return page < blocks.imagePages ? blocks.imageContent : NO_BLOCK
}

/** Index of the page in its content class. */
export function diskContentIndex(blocks: DiskBlocks, page: number): number {
  const chunk = blocks.chunks.get(Math.floor(page / CHUNK))
  const at = (page % CHUNK) * 2
  return chunk !== undefined && chunk[at] > 0 ? chunk[at + 1] : page
}

function chunkOf(blocks: DiskBlocks, page: number): Int32Array {
  const key = Math.floor(page / CHUNK)
  const known = blocks.chunks.get(key)
  if (known !== undefined) return known
  const fresh = new Int32Array(CHUNK * 2)
  blocks.chunks.set(key, fresh)
  return fresh
}

/** Writes a page's content to disk. */
export function diskStore(blocks: DiskBlocks, page: number, content: number, index: number): void {
  const chunk = chunkOf(blocks, page)
  chunk[(page % CHUNK) * 2] = content + 1
  chunk[(page % CHUNK) * 2 + 1] = index
}

/** Gives pages [first, end) blocks, which read as zeros until they are written. */
export function diskAllocate({ allocated }: DiskBlocks, first: number, end: number): void {
  regionAdd(allocated, first, end)
}

/** Whether the page has a block, so that a write need not find room for it. */
export const diskHasBlock = (blocks: DiskBlocks, page: number): boolean =>
  regionCount(blocks.allocated, page, page + 1) > 0 || diskContent(blocks, page) !== NO_BLOCK

/** Makes pages [first, end) a hole; `end` may be Infinity. */
export function diskPunch(blocks: DiskBlocks, first: number, end: number): void {
  regionDelete(blocks.allocated, first, end)
  for (const key of [...blocks.chunks.keys()]) if (key * CHUNK >= first && (key + 1) * CHUNK <= end) blocks.chunks.delete(key)
  for (const [key, chunk] of blocks.chunks) {
    const from = Math.max(0, first - key * CHUNK)
    const to = Math.min(CHUNK, end - key * CHUNK)
    for (let i = from; i < to; i++) chunk[i * 2] = HOLE
  }
  if (end >= blocks.imagePages) blocks.imagePages = Math.min(blocks.imagePages, first)
  else for (let page = first; page < end; page++) chunkOf(blocks, page)[(page % CHUNK) * 2] = HOLE
}
