/**
 * Huge TLB pages as boot leaves them: the default size, the pools of the command line, the kernel's own mounts.
 *
 * Pages of 2 MiB come from the buddy allocator as when a pool grows later, from the nodes in turn or from those that were
 * named; then the pages of 1 GiB, which never were in it, join their pool, the last one taken first.
 *
 * Source: mm/hugetlb.c (hugetlb_init, hugetlb_init_hstates, hugetlb_hstate_alloc_pages, gather_bootmem_prealloc),
 * fs/hugetlbfs/inode.c init_hugetlbfs_fs.
 */
import { __GFP_THISNODE } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import { asNode, asPfn, NO_PAGE } from '../base/units.ts'
import { superBlockCreate } from '../caches/inode.ts'
import { allocFreshHugePage, allocPoolHugePage, htlbAllocMask, type NoRetry } from '../fault/hugetlb_alloc.ts'
import { vmemmapOptimize } from '../fault/hugetlb_vmemmap.ts'
import { freeHugePage, nextNodeToAlloc, persistentHugePages, prepNewHugePage } from '../frames/hugetlb_pool.ts'
import { memoryNodes } from '../frames/mempolicy.ts'
import { prepCompound } from '../frames/page.ts'
import { kstrtobool } from '../tunables_parse.ts'
import type { BootHugePage } from './memory_early.ts'
import { type BootPool, bootHugetlb } from './memory_hugetlb.ts'
import type { MemoryMap, ZoneMap } from './memory_map.ts'
import { byStart, type Run, without } from './memory_runs.ts'

/** Device numbers of the kernel's own mounts, the default size's first. */
const MOUNT_DEVS = ['00:0f', '00:10']

export function initHugetlb(k: Kernel, map: MemoryMap): void {
  const { gigantic } = map
  k.boot.reserved = map.nodes.flatMap(node => node.zones).flatMap(zone => neverFree(zone, gigantic))
  const { defaultKb, pools } = bootHugetlb(k.machine)
  for (const { section, start } of map.records) k.hugetlb.vmemmap.frames.set(section, start)
  if (freesVmemmap(k.machine.cmdline)) k.sysctl.hugetlb_optimize_vmemmap = 1
  const { hstates } = k.hugetlb
  k.hugetlb.defaultHstate = hstates.findIndex(h => h.sizeKb === defaultKb)
  for (const h of hstates.filter(each => !each.gigantic)) {
    const pool = pools.find(each => each.sizeKb === h.sizeKb)
    if (pool !== undefined) allocBootPool(k, h, pool)
  }
  for (const h of hstates.filter(each => each.gigantic)) {
    takeTurns(k, h, pools.find(each => each.sizeKb === h.sizeKb)?.anywhere ?? 0, gigantic.length)
    gatherGigantic(k, h, gigantic)
  }
  for (const h of hstates) h.maxHugePages = persistentHugePages(h)
  mountSizes(k)
}

/** What the last hugetlb_free_vmemmap= of the command line that makes sense says. */
const freesVmemmap = (cmdline: Kernel['machine']['cmdline']): boolean =>
  cmdline
    .filter(([key]) => key === 'hugetlb_free_vmemmap')
    .map(([, value = 'y']) => kstrtobool(value))
    .findLast(value => value !== undefined) ?? false

/** Pages of the zone that no allocator ever gets. */
function neverFree(zone: ZoneMap, gigantic: readonly BootHugePage[]): Run[] {
  const managed = [...zone.free, ...zone.freedLate, ...gigantic].sort(byStart)
  return without({ start: zone.startPfn, end: zone.startPfn + zone.spannedPages }, managed)
}

function allocBootPool(k: Kernel, h: Hstate, pool: BootPool): void {
  const mask = memoryNodes(k)
  const noRetry: NoRetry = { nodes: 0 }
  for (let left = pool.anywhere; left > 0; left--) if (!allocPoolHugePage(k, h, mask, noRetry)) break
  for (const { node, pages } of pool.byNode) allocOnNode(k, h, node, pages, mask)
}

function allocOnNode(k: Kernel, h: Hstate, node: number, pages: number, mask: number): void {
  for (let left = pages; left > 0; left--) {
    const head = allocFreshHugePage(k, h, htlbAllocMask(h) | __GFP_THISNODE, asNode(node), mask)
    if (head === NO_PAGE) return
    freeHugePage(k, head)
  }
}

/** The nodes had their turns while the pages were taken, the one that had none left too. */
function takeTurns(k: Kernel, h: Hstate, wanted: number, got: number): void {
  for (let turns = Math.min(wanted, got + 1); turns > 0; turns--) nextNodeToAlloc(h, memoryNodes(k))
}

/** @param taken in the order in which they were set aside. */
function gatherGigantic(k: Kernel, h: Hstate, taken: readonly BootHugePage[]): void {
  for (const { start } of taken.toReversed()) {
    const head = asPfn(start)
    prepCompound(k, head, h.order)
    vmemmapOptimize(k, h, head)
    prepNewHugePage(k, h, head)
    freeHugePage(k, head)
  }
}

function mountSizes(k: Kernel): void {
  const { hstates, defaultHstate, mounts } = k.hugetlb
  hstates.forEach((_, hstate) => {
    mounts.push(superBlockCreate(k, 'hugetlbfs', '', { hstate, dev: MOUNT_DEVS[hstate === defaultHstate ? 0 : 1], maxInodes: -1 }))
  })
}
