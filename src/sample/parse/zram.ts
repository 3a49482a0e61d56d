/**
 * /sys/block/zramN/mm_stat: one line,
 *
 *   orig_data_size compr_data_size mem_used_total mem_limit mem_used_max same_pages pages_compacted huge_pages huge_pages_since
 */
import { toInteger, words } from '../text.ts'

export interface ZramDevice {
  /** "zram0" */
  readonly name: string
  readonly originalBytes: number
  readonly compressedBytes: number
  readonly usedBytes: number
  /** 0: no limit. */
  readonly limitBytes: number
  readonly samePages: number
  readonly incompressiblePages: number | undefined
}

/** undefined where the text is no such line (the device is not set up). */
export function parseZram(name: string, text: string): ZramDevice | undefined {
  const [original, compressed, used, limit, , same, , incompressible] = words(text).map(toInteger)
  if (original === undefined || compressed === undefined || used === undefined) return undefined
  return {
    name,
    originalBytes: original,
    compressedBytes: compressed,
    usedBytes: used,
    limitBytes: limit ?? 0,
    samePages: same ?? 0,
    incompressiblePages: incompressible,
  }
}
