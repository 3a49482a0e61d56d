/**
 * /sys/kernel/mm/lru_gen: the multi-generational LRU, which is built in but off. Bits that the kernel does not know are ignored.
 *
 * Source: mm/vmscan.c (store_enabled, store_min_ttl).
 */
import { EINVAL } from './base/errno.ts'
import { JIFFY_MS, millisecsToJiffies } from './base/jiffies.ts'
import { lruGenChangeState } from './calls/lru_gen.ts'
import { type Knob, WORKS } from './tunables_knob.ts'
import { INT_MAX, kstrtouint } from './tunables_parse.ts'

const CORE = 1
const MM_WALK = 2
const NONLEAF_YOUNG = 4
/** What is shown for longer than the kernel can count (jiffies_to_msecs of MAX_JIFFY_OFFSET). */
const LONGEST_MS = 4_294_967_288

/** The bits of a text: "n" and "y" stand for none and all, otherwise it is a number; undefined for neither. */
function bitsOf(text: string): number | undefined {
  if (/^n/i.test(text)) return 0
  if (/^y/i.test(text)) return CORE | MM_WALK | NONLEAF_YOUNG
  const { error, value } = kstrtouint(text, 0)
  return error < 0 ? undefined : value % 8
}

export const LRU_GEN_KNOBS: readonly Knob[] = [
  {
    path: '/sys/kernel/mm/lru_gen/enabled',
    type: 'integer',
    default: '0x0000',
    meaning:
      'Whether reclaim goes by generations of pages: bits 1 at all, 2 aging by walking page tables, 4 passing over tables whose entry was not accessed',
    source: 'mm/vmscan.c store_enabled',
    ...WORKS,
    state: 'lruGen.enabled',
    read: ({ lruGen }) => {
      const bits = (lruGen.enabled ? CORE : 0) | (lruGen.mmWalk ? MM_WALK : 0) | (lruGen.nonleafYoung ? NONLEAF_YOUNG : 0)
      return `0x${bits.toString(16).padStart(4, '0')}\n`
    },
    write: (k, text) => {
      const bits = bitsOf(text)
      if (bits === undefined) return -EINVAL
      lruGenChangeState(k, (bits & CORE) !== 0)
      k.lruGen.mmWalk = (bits & MM_WALK) !== 0
      k.lruGen.nonleafYoung = (bits & NONLEAF_YOUNG) !== 0
      return text.length
    },
  },
  {
    path: '/sys/kernel/mm/lru_gen/min_ttl_ms',
    type: 'integer',
    default: '0',
    min: 0,
    unit: 'ms',
    meaning: 'While generations are on: pages younger than this are not reclaimed by kswapd; when all are, the OOM killer comes instead',
    source: 'mm/vmscan.c store_min_ttl',
    ...WORKS,
    state: 'lruGen.minTtlTicks',
    read: ({ lruGen }) => `${Math.min(lruGen.minTtlTicks * JIFFY_MS, LONGEST_MS)}\n`,
    write: (k, text) => {
      const { error, value } = kstrtouint(text, 0)
      if (error < 0) return -EINVAL
      k.lruGen.minTtlTicks = value > INT_MAX ? Number.POSITIVE_INFINITY : millisecsToJiffies(value)
      return text.length
    },
  },
]
