/**
 * Recounts compressed memory: the pools of zswap and zram, what is in them, and the pages they are made of.
 */
import { ZS } from './base/counters.ts'
import type { Kernel } from './base/state.ts'
import { asPfn } from './base/units.ts'
import { verifyZram } from './caches/zram.ts'
import { verifyZswap } from './caches/zswap.ts'
import { pageZone } from './frames/page.ts'

/** What does not add up, in words; `claim` is called with each page that a pool has. */
export function verifyCompressed(k: Kernel, claim: (pfn: number) => void): string[] {
  const byZone = new Int32Array(k.zones.length)
  const claimZspage = (pfn: number) => {
    claim(pfn)
    byZone[pageZone(k, asPfn(pfn)).index]++
  }
  const wrong = verifyZswap(k, (pfn, kind) => (kind === 'zsmalloc' ? claimZspage(pfn) : claim(pfn)))
  for (const device of k.zram) if (device !== undefined) wrong.push(...verifyZram(device, claimZspage))
  for (const zone of k.zones) {
    const counted = zone.stat[ZS.nr_zspages]
    if (counted !== byZone[zone.index]) wrong.push(`zone ${zone.index} has ${byZone[zone.index]} pages of zsmalloc, counted ${counted}`)
  }
  return wrong
}
