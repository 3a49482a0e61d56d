/**
 * Compressors by name, as zswap and zram know them, and what each makes of a page.
 *
 * The size is that of the page's bytes (page_bytes.ts), found once for each class of content. The working memory is what the real
 * kernel was measured to take for a stream.
 *
 * Source: crypto/lzo.c, crypto/lzo-rle.c, crypto/deflate.c (in the kernel), crypto/lz4.c, crypto/lz4hc.c, crypto/zstd.c (modules);
 * drivers/block/zram/zcomp.c.
 */
import { lz4Bytes } from './compress_lz4.ts'
import { deflateBytes, lz4hcBytes, zstdBytes } from './compress_lz77.ts'
import { lzoBytes } from './compress_lzo.ts'
import { pageBytes } from './page_bytes.ts'
import type { Kernel } from './state.ts'

interface Compressor {
  readonly name: string
  /** Has to be loaded before it can be used. */
  readonly module: boolean
  readonly bytes: (page: Uint8Array) => number
  /** Pages of working memory that a CPU needs for it: mapped one by one, or in one piece, which counts as slab. */
  readonly mapped: number
  readonly inOnePiece: number
}

const COMPRESSORS: readonly Compressor[] = [
  { name: 'lzo', module: false, bytes: page => lzoBytes(page, false), mapped: 0, inOnePiece: 4 },
  { name: 'lzo-rle', module: false, bytes: page => lzoBytes(page, true), mapped: 0, inOnePiece: 4 },
  { name: 'lz4', module: true, bytes: lz4Bytes, mapped: 5, inOnePiece: 0 },
  { name: 'lz4hc', module: true, bytes: lz4hcBytes, mapped: 65, inOnePiece: 0 },
  { name: 'zstd', module: true, bytes: zstdBytes, mapped: 357, inOnePiece: 0 },
  { name: 'deflate', module: false, bytes: deflateBytes, mapped: 77, inOnePiece: 0 },
]

export const COMPRESSOR_NAMES: readonly string[] = COMPRESSORS.map(({ name }) => name)

/** The number of the compressor of that name if this machine has it, or -1 (crypto_has_comp); before modules are loaded, if the kernel has. */
export const findCompressor = (k: Kernel, name: string, modules = true): number =>
  COMPRESSORS.findIndex(compressor => compressor.name === name && (!compressor.module || (modules && k.machine.modules.includes(name))))

/** Pages of working memory that a CPU needs for the compressor. */
export const compressorPages = (compressor: number): Pick<Compressor, 'mapped' | 'inOnePiece'> => COMPRESSORS[compressor]

/** Bytes that the compressor makes of a page of the class; more than a page's where it cannot be compressed. */
export function compressedBytes(k: Kernel, compressor: number, content: number): number {
  const { classes, compressed } = k.contents
  const key = content * COMPRESSORS.length + compressor
  const known = compressed.get(key)
  if (known !== undefined) return known
  const bytes = COMPRESSORS[compressor].bytes(pageBytes(k.contents, classes[content]))
  compressed.set(key, bytes)
  return bytes
}
