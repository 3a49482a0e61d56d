/**
 * Sizes of the hugetlb pools: /proc/sys/vm for the default size, /sys/kernel/mm/hugepages for each size, and each node's
 * own files. nr_hugepages_mempolicy spreads pages over the nodes of the writer's memory policy, a node's file acts on that node.
 *
 * Source: mm/hugetlb.c (__nr_hugepages_store_common, hugetlb_sysctl_handler_common, nr_overcommit_hugepages_store, demote_store).
 */

import { must } from './base/assert.ts'
import { EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import type { Hstate } from './base/state_huge.ts'
import type { Task } from './base/state_mm.ts'
import { asNode, NO_NODE, type NodeId } from './base/units.ts'
import { storeDemote, storeNodeNrHugepages, storeNrHugepages, storeNrOvercommitHugepages } from './calls/hugetlb_sysfs.ts'
import { condResched } from './kernel.ts'
import { type At, type Knob, type KnobDoc, sysctlInt, WORKS } from './tunables_knob.ts'
import { kstrtoul, memparse, ulongText, ulongVector } from './tunables_parse.ts'

export const hstateOf = (k: Kernel, sizeKb: number): Hstate =>
  must(
    k.hugetlb.hstates.find(h => h.sizeKb === sizeKb),
    `no huge pages of ${sizeKb} kB`,
  )
const defaultHstate = (k: Kernel): Hstate => k.hugetlb.hstates[k.hugetlb.defaultHstate]

const COUNT: Pick<KnobDoc, 'type' | 'min' | 'unit'> = { type: 'integer', min: 0, unit: 'pages' }

const sysctlCount = (
  name: string,
  meaning: string,
  read: (h: Hstate) => number,
  write: (k: Kernel, h: Hstate, count: number, writer: Task | undefined) => number,
): Knob => ({
  ...COUNT,
  path: `/proc/sys/vm/${name}`,
  meaning,
  source: 'mm/hugetlb.c hugetlb_sysctl_handler_common',
  ...WORKS,
  read: k => `${ulongText(read(defaultHstate(k)))}\n`,
  write: (k, text, at) => {
    const { error, values, consumed } = ulongVector(text, 1)
    const done = error < 0 ? error : write(k, defaultHstate(k), values[0], at.writer)
    return done < 0 ? done : consumed
  },
})

const sysfsCount = (
  path: string,
  meaning: string,
  read: (h: Hstate, at: At) => number,
  write: (k: Kernel, h: Hstate, count: number, at: At) => number,
): Knob => ({
  ...COUNT,
  path,
  meaning,
  source: 'mm/hugetlb.c __nr_hugepages_store_common',
  ...WORKS,
  read: (k, at) => `${ulongText(read(hstateOf(k, at.size), at))}\n`,
  write: (k, text, at) => {
    const { error, value } = kstrtoul(text, 10)
    const done = error < 0 ? error : write(k, hstateOf(k, at.size), value, at)
    return done < 0 ? done : text.length
  },
})

const setOvercommit = (_: Kernel, h: Hstate, count: number): number => storeNrOvercommitHugepages(h, count)

const SIZE = '/sys/kernel/mm/hugepages/hugepages-{size}kB'
const NODE_SIZE = '/sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB'
const PERSISTENT = 'Persistent huge pages of this size: grows as far as free memory allows, shrinks as far as pages are free'
const BY_POLICY = `${PERSISTENT}, on the nodes of the writer's memory policy`
const OVERCOMMIT = 'Huge pages that may be made beyond the persistent ones while they are used'

/** Only sizes that are made of smaller ones can be cut. */
const demotable = (k: Kernel, at: At) => hstateOf(k, at.size).demoteOrder > 0
const demoteKb = (k: Kernel, at: At) => 4 * 2 ** hstateOf(k, at.size).demoteOrder

const demoteKnobs = (directory: string, nodeOf: (at: At) => NodeId): Knob[] => [
  {
    ...COUNT,
    type: 'trigger',
    path: `${directory}/demote`,
    exists: demotable,
    meaning: 'Cuts this many free huge pages into pages of demote_size',
    source: 'mm/hugetlb.c demote_store',
    ...WORKS,
    write: (k, text, at) => {
      const { error, value } = kstrtoul(text, 10)
      const done = error < 0 ? error : storeDemote(k, hstateOf(k, at.size), value, nodeOf(at))
      return done < 0 ? done : text.length
    },
  },
  {
    path: `${directory}/demote_size`,
    exists: demotable,
    type: 'integer',
    meaning: 'Size that demote cuts pages into',
    source: 'mm/hugetlb.c demote_size_store',
    effect: 'idle',
    because: 'there is only one smaller size',
    read: (k, at) => `${demoteKb(k, at)}kB\n`,
    write: (k, text, at) => (memparse(text) === demoteKb(k, at) * 1024 ? text.length : -EINVAL),
  },
]

export const HUGETLB_KNOBS: readonly Knob[] = [
  sysctlCount(
    'nr_hugepages',
    `${PERSISTENT} (default size)`,
    h => h.maxHugePages,
    (k, h, count) => storeNrHugepages(k, h, count, undefined, condResched),
  ),
  sysctlCount(
    'nr_hugepages_mempolicy',
    `${BY_POLICY} (default size)`,
    h => h.maxHugePages,
    (k, h, count, writer) => storeNrHugepages(k, h, count, writer, condResched),
  ),
  sysctlCount('nr_overcommit_hugepages', `${OVERCOMMIT} (default size)`, h => h.nrOvercommitHugePages, setOvercommit),
  sysctlInt(
    'hugetlb_shm_group',
    { reach: WORKS },
    {
      default: '0',
      meaning: 'Group whose members may use SHM_HUGETLB without being root',
      source: 'mm/hugetlb.c, fs/hugetlbfs/inode.c can_do_hugetlb_shm',
    },
  ),
  {
    path: '/proc/sys/vm/hugetlb_optimize_vmemmap',
    type: 'integer',
    default: '0',
    meaning: "Whether the page records of new huge pages' tails are given back",
    source: 'mm/hugetlb_vmemmap.c',
    ...WORKS,
    state: 'sysctl.hugetlb_optimize_vmemmap',
    read: k => `${k.sysctl.hugetlb_optimize_vmemmap}\n`,
    write: (k, text) => {
      const { error, values, consumed } = ulongVector(text.replace('-', ''), 1)
      if (error < 0) return error
      k.sysctl.hugetlb_optimize_vmemmap = values[0] === 0 ? 0 : 1
      return consumed
    },
  },
  sysfsCount(
    `${SIZE}/nr_hugepages`,
    PERSISTENT,
    h => h.nrHugePages,
    (k, h, count) => storeNrHugepages(k, h, count, undefined, condResched),
  ),
  sysfsCount(
    `${SIZE}/nr_hugepages_mempolicy`,
    BY_POLICY,
    h => h.nrHugePages,
    (k, h, count, at) => storeNrHugepages(k, h, count, at.writer, condResched),
  ),
  {
    ...sysfsCount(`${SIZE}/nr_overcommit_hugepages`, OVERCOMMIT, h => h.nrOvercommitHugePages, setOvercommit),
    write: (k, text, at) => {
      const h = hstateOf(k, at.size)
      if (h.gigantic) return -EINVAL
      const { error, value } = kstrtoul(text, 10)
      const done = error < 0 ? error : storeNrOvercommitHugepages(h, value)
      return done < 0 ? done : text.length
    },
  },
  ...demoteKnobs(SIZE, () => NO_NODE),
  sysfsCount(
    `${NODE_SIZE}/nr_hugepages`,
    `${PERSISTENT}, on this node`,
    (h, at) => h.nrByNode[at.node],
    (k, h, count, at) => storeNodeNrHugepages(k, h, count, asNode(at.node), condResched),
  ),
  ...demoteKnobs(NODE_SIZE, at => asNode(at.node)),
]
