/**
 * A range of a process' pages, counted by what pagemap, kpageflags and kpagecount say of them: what a workload's `pagemap` op records.
 * In the same words as the recorder of the real kernel, so that the two can be compared.
 */
import type { Kernel } from '../kernel/base/state.ts'
import type { Mm } from '../kernel/base/state_mm.ts'
import { asPfn } from '../kernel/base/units.ts'
import { pageNode, pfnValid } from '../kernel/frames/page.ts'
import {
  KPF_NAMES,
  kpagecount,
  kpageflags,
  PM_FILE,
  PM_MMAP_EXCLUSIVE,
  PM_PRESENT,
  PM_SOFT_DIRTY,
  PM_SWAP,
  PM_UFFD_WP,
  pagemapFrame,
  pagemapRead,
} from './pagemap.ts'

/** Counts by name; the last three are counts by flag, by number of mappings ("64+" and above in one), and by node. */
export interface PagemapCounts {
  readonly [name: string]: number | { readonly [key: string]: number }
}

/** Pages looked at in one go. */
const WINDOW = 4096
const MAPCOUNT_MAX = 64

const ENTRY_BITS: readonly (readonly [name: string, bit: number])[] = [
  ['swapped', PM_SWAP],
  ['softdirty', PM_SOFT_DIRTY],
  ['exclusive', PM_MMAP_EXCLUSIVE],
  ['file', PM_FILE],
  ['uffd_wp', PM_UFFD_WP],
]

/** Of the pages that are in memory. */
interface FrameCounts {
  present: number
  readonly flags: number[]
  readonly mapcounts: number[]
  readonly nodes: number[]
  /** Room for the flags of one page. */
  readonly word: Uint32Array
}

/** Counts virtual pages [first, first + pages). */
export function pagemapCounts(k: Kernel, mm: Mm, first: number, pages: number): PagemapCounts {
  const bits = ENTRY_BITS.map(() => 0)
  const frames: FrameCounts = {
    present: 0,
    flags: KPF_NAMES.map(() => 0),
    mapcounts: new Array(MAPCOUNT_MAX + 1).fill(0),
    nodes: k.nodes.map(() => 0),
    word: new Uint32Array(2),
  }
  let none = 0
  for (let at = 0; at < pages; at += WINDOW) {
    const words = new Uint32Array(2 * Math.min(WINDOW, pages - at))
    pagemapRead(k, mm, first + at, words, true)
    for (let i = 0; i < words.length; i += 2) {
      const high = words[i + 1]
      ENTRY_BITS.forEach(([, bit], n) => {
        if ((high & bit) !== 0) bits[n]++
      })
      if ((high & PM_PRESENT) !== 0) countFrame(k, pagemapFrame(words[i], high), frames)
      else if ((high & PM_SWAP) === 0) none++
    }
  }
  return {
    pages,
    none,
    present: frames.present,
    ...Object.fromEntries(ENTRY_BITS.map(([name], n) => [name, bits[n]])),
    flags: byName(frames.flags, bit => KPF_NAMES[bit]),
    mapcount: byName(frames.mapcounts, n => (n === MAPCOUNT_MAX ? `${n}+` : String(n))),
    nodes: byName(frames.nodes, String),
  }
}

function countFrame(k: Kernel, pfn: number, counts: FrameCounts): void {
  const { word } = counts
  counts.present++
  kpageflags(k, pfn, word)
  for (let bit = 0; bit < KPF_NAMES.length; bit++) if ((word[bit >>> 5] & (1 << (bit & 31))) !== 0) counts.flags[bit]++
  counts.mapcounts[Math.min(MAPCOUNT_MAX, kpagecount(k, pfn))]++
  if (pfnValid(k, pfn)) counts.nodes[pageNode(k, asPfn(pfn))]++
}

/** The counts that are not zero. */
const byName = (counts: readonly number[], name: (i: number) => string): { readonly [key: string]: number } =>
  Object.fromEntries(counts.map((n, i): [string, number] => [name(i), n]).filter(([, n]) => n > 0))
