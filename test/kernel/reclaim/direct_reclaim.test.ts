import { describe, expect, it } from 'vitest'
import { allocPagesNode } from '../../../src/kernel/alloc/page_alloc.ts'
import { GFP_KERNEL, __GFP_HIGH as HIGH, __GFP_MEMALLOC as MEMALLOC } from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { asNode, NO_PAGE } from '../../../src/kernel/base/units.ts'
import { allocPageNowait } from '../../../src/kernel/frames/nowait.ts'
import { drainAllPages } from '../../../src/kernel/frames/pcp.ts'
import { ALL_NODES } from '../../../src/kernel/frames/rmqueue.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { event, labOf, MIB, readFile } from '../files/lab.ts'

/** A machine full of page cache, of whose free pages those who free memory themselves have taken nearly all. */
function starved(): Kernel {
  const { k, task } = labOf([128], { f: 100 })
  readFile({ k, task }, '/mnt/f', 100 * MIB)
  k.current = undefined
  drainAllPages(k)
  for (let free = 1000; free > 0; free--) if (allocPageNowait(k, HIGH | MEMALLOC, 0) === NO_PAGE) break
  k.current = task
  k.event.fill(0)
  return k
}

describe('who reclaims himself', () => {
  it('waits for kswapd when reclaim itself could starve, and then gets his page', () => {
    const k = starved()
    expect(allocPagesNode(k, GFP_KERNEL, 0, asNode(0), ALL_NODES)).not.toBe(NO_PAGE)
    expect(event(k, 'pgscan_direct_throttle')).toBe(1)
    expect(event(k, 'pgsteal_kswapd')).toBeGreaterThan(0)
    expect(verify(k)).toEqual([])
  })

  it('does not wait for a kswapd that has given up, and revives it with what he reclaims', () => {
    const k = starved()
    k.nodes[0].kswapd.failures = 16
    expect(allocPagesNode(k, GFP_KERNEL, 0, asNode(0), ALL_NODES)).not.toBe(NO_PAGE)
    expect(event(k, 'pgsteal_direct')).toBeGreaterThan(0)
    expect(k.nodes[0].kswapd.failures).toBe(0)
  })

  it('does not wait when he is a kernel thread', () => {
    const k = starved()
    k.current = undefined
    allocPagesNode(k, GFP_KERNEL, 0, asNode(0), ALL_NODES)
    expect(event(k, 'pgscan_direct_throttle')).toBe(0)
  })
})
