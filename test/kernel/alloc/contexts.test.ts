import { describe, expect, it } from 'vitest'
import { allocPagesNode } from '../../../src/kernel/alloc/page_alloc.ts'
import { EV, ZS } from '../../../src/kernel/base/counters.ts'
import {
  __GFP_FS,
  __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NOFAIL,
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_THISNODE,
  GFP_ATOMIC,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  GFP_NOFS,
  GFP_NOWAIT,
} from '../../../src/kernel/base/flags.ts'
import { readLog } from '../../../src/kernel/base/log.ts'
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

describe('requests that must not fail', () => {
  it('go below the min mark where nobody may be killed for them, and others of their kind give up', () => {
    const k = machine()
    const left = exhaust(k, GFP_ATOMIC)
    expect(take(k, GFP_NOFS)).toBe(NO_PAGE)
    const pages = Array.from({ length: 16 }, () => take(k, GFP_NOFS | __GFP_NOFAIL))
    expect(pages).not.toContain(NO_PAGE)
    drainAllPages(k)
    expect(largest(k).stat[ZS.nr_free_pages]).toBeLessThan(left)
    expect([k.event[EV.oom_kill], GFP_NOFS & __GFP_FS]).toEqual([0, 0])
    expect(verify(k)).toEqual([])
  })
})

describe('a page that cannot be had', () => {
  const texts = (k: Kernel) =>
    readLog(k)
      .split('\n')
      .map(line => line.replace(/^\d+,\d+,\d+,-;/, ''))

  it('is told to the log with the request and how memory stands, and is an event', () => {
    const k = machine()
    exhaust(k, GFP_NOWAIT | __GFP_NOWARN)
    readLog(k)
    k.events.length = 0
    expect(take(k, GFP_NOWAIT)).toBe(NO_PAGE)
    const lines = texts(k)
    expect(lines[0]).toBe('init: page allocation failure: order:0, mode:0x800(GFP_NOWAIT), nodemask=(null),cpuset=/,mems_allowed=0')
    expect(lines[1]).toMatch(/^CPU: 0 PID: 1 Comm: init Not tainted 6\.1/)
    expect(lines).toContain('Mem-Info:')
    expect(lines.filter(line => /^Node 0 DMA(32)? free:/.test(line))).toHaveLength(2)
    expect(k.events.filter(({ kind }) => kind === 'allocfail').map(({ text }) => text)).toEqual([
      'init: page allocation failure: order:0, mode:0x800(GFP_NOWAIT)',
    ])
  })

  it('is not told again within ten seconds, but counted', () => {
    const k = machine()
    exhaust(k, GFP_NOWAIT | __GFP_NOWARN)
    for (let i = 0; i < 5; i++) take(k, GFP_NOWAIT)
    expect(texts(k).filter(line => line.includes('page allocation failure'))).toHaveLength(1)
    k.clock[0] += 11e9
    take(k, GFP_NOWAIT)
    expect(texts(k).slice(0, 2)).toEqual([
      'warn_alloc: 4 callbacks suppressed',
      expect.stringContaining('init: page allocation failure: order:0, mode:0x800(GFP_NOWAIT)'),
    ])
  })

  it('is not told where the caller can do without', () => {
    const k = machine()
    exhaust(k, GFP_NOWAIT | __GFP_NOWARN)
    readLog(k)
    take(k, GFP_NOWAIT | __GFP_NOWARN)
    expect(readLog(k)).toBe('')
  })

  it('shows the nodes that the request could have used only', () => {
    const k = bootSmall([96, 96])
    runInit(k)
    k.sysctl.watermark_boost_factor = 0
    const wanted = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE
    const from = () => allocPagesNode(k, wanted, 0, asNode(1), 2)
    while (from() !== NO_PAGE);
    const lines = texts(k)
    expect(lines[0]).toBe(
      'init: page allocation failure: order:0, mode:0x300cca(GFP_HIGHUSER_MOVABLE|__GFP_THISNODE), nodemask=1,cpuset=/,mems_allowed=0-1',
    )
    expect(lines.filter(line => /^Node \d active_anon:/.test(line)).map(line => line.slice(0, 6))).toEqual(['Node 1'])
  })
})
