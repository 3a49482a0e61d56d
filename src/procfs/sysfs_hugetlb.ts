/**
 * /sys/kernel/mm/hugepages and each node's hugepages: the pools by size. What can be written is among the knobs.
 *
 * Source: mm/hugetlb.c (free_hugepages_show, resv_hugepages_show, surplus_hugepages_show, hstate_attrs, per_node_hstate_attrs).
 */
import type { Hstate } from '../kernel/base/state_huge.ts'
import { hstateOf } from '../kernel/tunables_hugetlb.ts'
import type { At } from '../kernel/tunables_knob.ts'
import { type Directory, dir, type File, knobs, sysfs } from './file.ts'

const count = (of: (h: Hstate, at: At) => number): File => sysfs((k, at) => `${of(hstateOf(k, at.size), at)}\n`)

export const poolFiles: Directory = dir({
  ...knobs('/sys/kernel/mm/hugepages/hugepages-{size}kB'),
  free_hugepages: count(h => h.freeHugePages),
  resv_hugepages: count(h => h.resvHugePages),
  surplus_hugepages: count(h => h.surplusHugePages),
})

export const nodePoolFiles: Directory = dir({
  ...knobs('/sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB'),
  free_hugepages: count((h, at) => h.freeByNode[at.node]),
  surplus_hugepages: count((h, at) => h.surplusByNode[at.node]),
})
