/** How pools of huge pages grow, shrink and move between nodes. */
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EV } from '../../../src/kernel/base/counters.ts'
import { EINVAL } from '../../../src/kernel/base/errno.ts'
import { MAP_NORESERVE, MPOL_BIND } from '../../../src/kernel/base/flags.ts'
import { asNode, asPfn, NO_NODE } from '../../../src/kernel/base/units.ts'
import { storeDemote, storeNodeNrHugepages, storeNrHugepages, storeNrOvercommitHugepages } from '../../../src/kernel/calls/hugetlb_sysfs.ts'
import { sysSetMempolicy } from '../../../src/kernel/calls/mempolicy.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { accessPage } from '../../../src/kernel/fault/touch.ts'
import { pageContent } from '../../../src/kernel/frames/page.ts'
import { lruAddDrainAll } from '../../../src/kernel/reclaim/zap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { mapAnon, touch } from '../machine.ts'
import { HUGE, type Lab, labOf, map, pool, unmap, write } from './lab.ts'

const byNode = ({ h, k }: Lab) => k.nodes.map(node => h.nrByNode[node.id])

describe('nr_hugepages', () => {
  it('spreads pages over the nodes in turn, and takes them back in turn', () => {
    const lab = labOf(5, [128, 128, 128])
    expect(byNode(lab)).toEqual([2, 2, 1])
    storeNrHugepages(lab.k, lab.h, 7, undefined)
    expect(byNode(lab)).toEqual([3, 2, 2])
    storeNrHugepages(lab.k, lab.h, 3, undefined)
    expect(byNode(lab)).toEqual([1, 1, 1])
    expect(verify(lab.k)).toEqual([])
  })

  it('goes on with the other nodes when one has no more memory', () => {
    const lab = labOf(60, [96, 192])
    expect(lab.h.nrHugePages).toBe(60)
    expect(byNode(lab)[1]).toBeGreaterThan(byNode(lab)[0])
  })

  it('gets as many pages as there is memory for', () => {
    const lab = labOf(4000)
    expect(lab.h.nrHugePages).toBeGreaterThan(30)
    expect(lab.h.nrHugePages).toBeLessThan(80)
    expect(verify(lab.k)).toEqual([])
  })

  it('below what is in use or promised leaves surplus pages, which growing makes its own again', () => {
    const lab = labOf(8)
    map(lab, 0, 6)
    write(lab, 0, 3)
    storeNrHugepages(lab.k, lab.h, 2, undefined)
    expect(pool(lab)).toEqual({ total: 6, free: 3, rsvd: 3, surp: 4 })
    storeNrHugepages(lab.k, lab.h, 5, undefined)
    expect(pool(lab)).toEqual({ total: 6, free: 3, rsvd: 3, surp: 1 })
    unmap(lab, 0, 6)
    expect(pool(lab)).toEqual({ total: 5, free: 5, rsvd: 0, surp: 0 })
    expect(verify(lab.k)).toEqual([])
  })

  it('of a node changes that node alone', () => {
    const lab = labOf(4, [128, 128])
    storeNodeNrHugepages(lab.k, lab.h, 5, asNode(1))
    expect(byNode(lab)).toEqual([2, 5])
    storeNodeNrHugepages(lab.k, lab.h, 0, asNode(0))
    expect(byNode(lab)).toEqual([0, 5])
  })

  it('in nr_hugepages_mempolicy is of the nodes that the policy of who writes names', () => {
    const lab = labOf(0, [128, 128])
    sysSetMempolicy(lab.k, lab.task, { mode: MPOL_BIND, flags: 0, nodes: [1], maxnode: 64 })
    storeNrHugepages(lab.k, lab.h, 4, lab.task)
    expect(byNode(lab)).toEqual([0, 4])
    storeNrHugepages(lab.k, lab.h, 8, undefined)
    expect(byNode(lab)).toEqual([2, 6])
  })
})

describe('pages of 1 GiB', () => {
  it('are cut into pages of 2 MiB where demote says so', () => {
    const lab = labOf(0, [6144])
    const [huge, giant] = lab.k.hugetlb.hstates
    storeNrHugepages(lab.k, giant, 2, undefined)
    expect(giant.nrHugePages).toBe(2)
    expect(storeDemote(lab.k, giant, 1, asNode(NO_NODE))).toBe(0)
    expect([giant.nrHugePages, huge.nrHugePages]).toEqual([1, 512])
    storeNrHugepages(lab.k, huge, 0, undefined)
    storeNrHugepages(lab.k, giant, 2, undefined)
    expect([giant.nrHugePages, huge.nrHugePages]).toEqual([2, 0])
    expect(verify(lab.k)).toEqual([])
  })

  it('are made where pages can be moved away, whose contents stay', () => {
    const lab = labOf(0, [3328], { lowmemBytes: 768 * 2 ** 20 })
    const { k, task } = lab
    const small = 0x300000000000
    // Page tables do not move: these leave room for those of the pages that shall.
    mapAnon(k, task, small, 2 ** 31, MAP_NORESERVE)
    for (let at = 0; at < 2 ** 31; at += HUGE) touch(k, task, small + at, 4096, false)
    sysMunmap(k, task, small, 2 ** 31)
    mapAnon(k, task, small, 2 ** 30)
    touch(k, task, small, 2 ** 30, true)
    lruAddDrainAll(k)
    const at = (page: number) => {
      const to = { pfn: asPfn(0), fault: 0 }
      k.vmf.vpn[0] = small / 4096 + page
      accessPage(k, must(task.mm, 'no memory'), false, to)
      return to.pfn
    }
    const look = () => Array.from({ length: 256 }, (_, i) => at(i * 1024))
    const frames = look()
    const contents = frames.map(pfn => pageContent(k, pfn))
    storeNrHugepages(k, k.hugetlb.hstates[1], 1, undefined)
    expect(k.hugetlb.hstates[1].nrHugePages).toBe(1)
    expect(k.event[EV.pgmigrate_success]).toBeGreaterThan(1000)
    expect(look()).not.toEqual(frames)
    expect(look().map(pfn => pageContent(k, pfn))).toEqual(contents)
    expect(verify(k)).toEqual([])
  })

  it('are never surplus', () => {
    const lab = labOf(0)
    expect(storeNrOvercommitHugepages(lab.k.hugetlb.hstates[1], 1)).toBe(-EINVAL)
  })
})

describe('the command line', () => {
  const boot = (cmdline: readonly (readonly [string, string])[], mib: readonly number[] = [256, 256]) => {
    const lab = labOf(0, mib, { cmdline: [['transparent_hugepage', 'never'], ...cmdline] })
    const { hstates, defaultHstate } = lab.k.hugetlb
    return { byNode: byNode(lab), giant: hstates[1].nrHugePages, defaultKb: hstates[defaultHstate].sizeKb }
  }

  it('fills the pool at boot, of all nodes in turn or of those it names', () => {
    expect(boot([['hugepages', '7']])).toEqual({ byNode: [4, 3], giant: 0, defaultKb: 2048 })
    expect(boot([['hugepages', '0:2,1:5']])).toEqual({ byNode: [2, 5], giant: 0, defaultKb: 2048 })
  })

  it('counts for the size that came before', () => {
    const giant = [
      ['hugepagesz', '1G'],
      ['hugepages', '2'],
    ] as const
    expect(boot([...giant, ['hugepagesz', '2M'], ['hugepages', '4']], [6144])).toEqual({ byNode: [4], giant: 2, defaultKb: 2048 })
    expect(
      boot(
        [
          ['default_hugepagesz', '1G'],
          ['hugepages', '2'],
        ],
        [6144],
      ),
    ).toEqual({ byNode: [0], giant: 2, defaultKb: 1048576 })
  })

  it('is passed over where a size makes no sense or a count comes twice', () => {
    expect(
      boot([
        ['hugepagesz', '3M'],
        ['hugepages', '4'],
      ]),
    ).toEqual({ byNode: [0, 0], giant: 0, defaultKb: 2048 })
    expect(
      boot([
        ['hugepages', '4'],
        ['hugepages', '6'],
      ]),
    ).toEqual({ byNode: [2, 2], giant: 0, defaultKb: 2048 })
    expect(boot([['default_hugepagesz', '5G']])).toEqual({ byNode: [0, 0], giant: 0, defaultKb: 2048 })
  })
})
