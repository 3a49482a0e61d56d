import { describe, expect, it } from 'vitest'
import { allocPagesNode } from '../../../src/kernel/alloc/page_alloc.ts'
import { EV, ZS } from '../../../src/kernel/base/counters.ts'
import {
  __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_NOWARN,
  GFP_ATOMIC,
  GFP_KERNEL,
  GFP_NOWAIT,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel, Zone } from '../../../src/kernel/base/state.ts'
import { asNode, MIGRATE_HIGHATOMIC, NO_PAGE, PAGEBLOCK_PAGES } from '../../../src/kernel/base/units.ts'
import { blockType } from '../../../src/kernel/frames/buddy.ts'
import { drainAllPages } from '../../../src/kernel/frames/pcp.ts'
import { ALL_NODES } from '../../../src/kernel/frames/rmqueue.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { bootSmall, runInit } from '../machine.ts'

const NODE = asNode(0)
const take = (k: Kernel, gfp: number, order = 0) => allocPagesNode(k, gfp, order, NODE, ALL_NODES)

/** Takes pages until the kind of request gets no more; the free pages of the largest zone then. */
function exhaust(k: Kernel, gfp: number): number {
  for (let i = 0; i < 3; i++) {
    drainAllPages(k)
    while (take(k, gfp) !== NO_PAGE);
  }
  return largest(k).stat[ZS.nr_free_pages]
}

const largest = (k: Kernel): Zone => k.zones.reduce((a, b) => (b.managedPages > a.managedPages ? b : a))

function machine(): Kernel {
  const k = bootSmall([128])
  k.sysctl.watermark_boost_factor = 0
  runInit(k)
  return k
}

describe('requests that may not wait', () => {
  it('stop at the min mark, wake kswapd and reclaim nothing themselves', () => {
    const k = machine()
    const left = exhaust(k, GFP_NOWAIT)
    expect(Math.abs(left - largest(k).wmarkMin)).toBeLessThan(64)
    expect(k.nodes[0].kswapd.wakeNs).toBeLessThanOrEqual(k.clock[0])
    expect([k.event[EV.allocstall_normal], k.event[EV.oom_kill]]).toEqual([0, 0])
    expect(verify(k)).toEqual([])
  })

  it('leave kswapd asleep if they are not to wake it', () => {
    const k = machine()
    exhaust(k, 0)
    expect(k.nodes[0].kswapd.wakeNs).toBe(Number.POSITIVE_INFINITY)
  })

  it('go to three eighths of the min mark when they are urgent, to half when they could have waited', () => {
    const [atomic, high] = [machine(), machine()]
    const { wmarkMin } = largest(atomic)
    expect(Math.abs(exhaust(atomic, GFP_ATOMIC) - (wmarkMin - Math.floor(wmarkMin / 2)) * 0.75)).toBeLessThan(64)
    const left = exhaust(high, GFP_NOWAIT | __GFP_HIGH | __GFP_NOMEMALLOC)
    expect(Math.abs(left - wmarkMin / 2)).toBeLessThan(64)
  })

  it('have a page block reserved when they are urgent and large, which ordinary ones cannot use', () => {
    const k = machine()
    exhaust(k, GFP_NOWAIT)
    const page = take(k, GFP_ATOMIC, 1)
    expect(page).not.toBe(NO_PAGE)
    expect(blockType(k, page)).toBe(MIGRATE_HIGHATOMIC)
    const zone = largest(k)
    expect(k.zones.reduce((sum, each) => sum + each.nrReservedHighatomic, 0)).toBe(PAGEBLOCK_PAGES)
    expect(zone.nrReservedHighatomic).toBeLessThanOrEqual(Math.floor(zone.managedPages / 100) + PAGEBLOCK_PAGES)
    expect(take(k, GFP_KERNEL & ~__GFP_KSWAPD_RECLAIM & ~0x400)).toBe(NO_PAGE)
    expect(verify(k)).toEqual([])
  })

  it('that may wait, but not try again, reclaim once and give up', () => {
    const k = machine()
    exhaust(k, GFP_NOWAIT)
    const stalls = k.event[EV.allocstall_normal] + k.event[EV.allocstall_dma32]
    take(k, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)
    expect(k.event[EV.allocstall_normal] + k.event[EV.allocstall_dma32]).toBe(stalls + 1)
    expect(k.event[EV.oom_kill]).toBe(0)
  })
})
