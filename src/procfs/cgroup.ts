/**
 * /sys/fs/cgroup: the directories of control groups and their files.
 *
 * A file is there when its controller is on for the group; the root has fewer, for it has no limits. What can only be read
 * refuses to be written, and the other way round, with EINVAL, once it is open.
 *
 * Source: kernel/cgroup/cgroup.c cgroup_base_files, kernel/cgroup/cpuset.c dfl_files.
 */

import { EINVAL, ERANGE } from '../kernel/base/errno.ts'
import { psiText } from '../kernel/base/psi.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Cgroup } from '../kernel/base/state_cgroup.ts'
import {
  CGROUP_ROOT,
  CONTROLLER_CPUSET,
  CONTROLLER_MEMORY,
  cgroupAttach,
  cgroupChild,
  cgroupControl,
  cgroupEnableThreaded,
  cgroupFreeze,
  cgroupKill,
  cgroupOf,
  cgroupSetSubtreeControl,
  cgroupTasks,
  cgroupTree,
  cgroupType,
  controllersText,
  isFrozen,
  isPopulated,
  NO_MAXIMUM,
} from '../kernel/calls/cgroup.ts'
import { cpusetOf, cpusetSetCpus, cpusetSetMems, cpusetSetPartition, partitionText } from '../kernel/calls/cpuset.ts'
import { maskNodes } from '../kernel/frames/mempolicy.ts'
import { condResched } from '../kernel/kernel.ts'
import type { At } from '../kernel/tunables_knob.ts'
import { kstrtoint } from '../kernel/tunables_parse.ts'
import { memcgFiles } from './cgroup_memory.ts'
import type { Directory, Entry, File } from './file.ts'
import { listText } from './format.ts'
import { writePressure } from './pressure.ts'

interface Parts {
  readonly read?: (k: Kernel, group: Cgroup) => string | number
  /** Takes the text without blanks around it; returns 0 or a negative errno. */
  readonly write?: (k: Kernel, group: Cgroup, text: string, at: At) => number
  readonly on?: 'all' | 'below root'
  readonly controller?: number
}

/** A file of a group, as the table of all files wants it. */
function groupFile({ read, write, on, controller }: Parts): File {
  return {
    ...(read === undefined ? {} : { read: (k: Kernel, at: At) => read(k, cgroupOf(k, at.cgroup)) }),
    ...(write === undefined
      ? {}
      : {
          write: (k: Kernel, text: string, at: At) => {
            const ret = write(k, cgroupOf(k, at.cgroup), text.trim(), at)
            return ret < 0 ? ret : text.length
          },
        }),
    refuses: EINVAL,
    exists: (k: Kernel, at: At) => {
      const group = cgroupOf(k, at.cgroup)
      if (!k.cgroup.mounted || (on === 'below root' && group.id === CGROUP_ROOT)) return false
      return controller === undefined || (cgroupControl(k, group) & controller) !== 0
    },
  }
}

const below = (parts: Parts): File => groupFile({ ...parts, on: 'below root' })

/** A whole number in a range, for a setter; else its errno. */
function withInt(text: string, least: number, most: number, set: (value: number) => void): number {
  const { error, value } = kstrtoint(text, 0)
  if (error < 0) return error
  if (value < least || value > most) return -ERANGE
  set(value)
  return 0
}

const withMaximum = (text: string, set: (value: number) => void): number => {
  if (text !== 'max') return withInt(text, 0, NO_MAXIMUM, set)
  set(NO_MAXIMUM)
  return 0
}

const maximumText = (value: number) => (value === NO_MAXIMUM ? 'max\n' : `${value}\n`)

function attach(k: Kernel, group: Cgroup, text: string, at: At, whole: boolean): number {
  const { error, value } = kstrtoint(text, 0)
  return error < 0 || value < 0 ? -EINVAL : cgroupAttach(k, group, value, at.writer, whole)
}

const pids = (k: Kernel, group: Cgroup) =>
  cgroupTasks(k, group.id)
    .map(({ pid }) => `${pid}\n`)
    .join('')

/** Groups without a directory that pages still name, below a group. */
function dying(k: Kernel, group: Cgroup): number {
  const within = new Set(cgroupTree(k, group.id).map(({ memcg }) => memcg))
  return k.memcg.groups.filter(memcg => memcg !== undefined && !memcg.online && within.has(livingAbove(k, memcg.parent))).length
}

function livingAbove(k: Kernel, id: number): number {
  const memcg = k.memcg.groups[id]
  return memcg === undefined || memcg.online ? id : livingAbove(k, memcg.parent)
}

const usage = (k: Kernel, group: Cgroup): string => {
  const ns = cgroupTree(k, group.id).reduce((sum, { id }) => sum + cgroupTasks(k, id).reduce((ran, task) => ran + task.ranNs, 0), 0)
  const usec = Math.floor(ns / 1000)
  return `usage_usec ${usec}\nuser_usec 0\nsystem_usec ${usec}\n`
}

const CORE_FILES: Readonly<Record<string, File>> = {
  'cgroup.controllers': groupFile({ read: (k, group) => controllersText(cgroupControl(k, group)).replace(/^\n$/, '') }),
  'cgroup.events': below({ read: (k, group) => `populated ${Number(isPopulated(k, group.id))}\nfrozen ${Number(isFrozen(k, group))}\n` }),
  'cgroup.freeze': below({
    read: (_, group) => `${Number(group.frozen)}\n`,
    write: (k, group, text) => withInt(text, 0, 1, value => cgroupFreeze(k, group, value === 1)),
  }),
  'cgroup.kill': below({
    write: (k, group, text) => {
      const wrong = withInt(text, 1, 1, () => undefined)
      return wrong < 0 ? wrong : cgroupKill(k, group)
    },
  }),
  'cgroup.max.depth': groupFile({
    read: (_, group) => maximumText(group.maxDepth),
    write: (_, group, text) =>
      withMaximum(text, value => {
        group.maxDepth = value
      }),
  }),
  'cgroup.max.descendants': groupFile({
    read: (_, group) => maximumText(group.maxDescendants),
    write: (_, group, text) =>
      withMaximum(text, value => {
        group.maxDescendants = value
      }),
  }),
  'cgroup.pressure': below({
    read: (_, group) => `${Number(group.pressure)}\n`,
    write: (_, group, text) =>
      withInt(text, 0, 1, value => {
        group.pressure = value === 1
      }),
  }),
  'cgroup.procs': groupFile({ read: pids, write: (k, group, text, at) => attach(k, group, text, at, true) }),
  'cgroup.stat': groupFile({
    read: (k, group) => `nr_descendants ${cgroupTree(k, group.id).length - 1}\nnr_dying_descendants ${dying(k, group)}\n`,
  }),
  'cgroup.subtree_control': groupFile({
    read: (_, group) => controllersText(group.subtreeControl).replace(/^\n$/, ''),
    write: (k, group, text) => cgroupSetSubtreeControl(k, group, text),
  }),
  'cgroup.threads': groupFile({ read: pids, write: (k, group, text, at) => attach(k, group, text, at, false) }),
  'cgroup.type': below({
    read: (k, group) => `${cgroupType(k, group)}\n`,
    write: (k, group, text) => (text === 'threaded' ? cgroupEnableThreaded(k, group) : -EINVAL),
  }),
  'cpu.pressure': groupFile({ read: (k, group) => psiText(k, group.id, 'cpu'), write: (_, __, text) => writePressure(text) }),
  'cpu.stat': groupFile({ read: usage }),
  'io.pressure': groupFile({ read: (k, group) => psiText(k, group.id, 'io'), write: (_, __, text) => writePressure(text) }),
  'memory.pressure': groupFile({ read: (k, group) => psiText(k, group.id, 'memory'), write: (_, __, text) => writePressure(text) }),
}

const cpuset = (parts: Parts): File => groupFile({ ...parts, controller: CONTROLLER_CPUSET })
const ownCpuset = (parts: Parts): File => cpuset({ ...parts, on: 'below root' })

const CPUSET_FILES: Readonly<Record<string, File>> = {
  'cpuset.cpus': ownCpuset({
    read: (k, group) => `${listText(cpusetOf(k, group).cpus)}\n`,
    write: (k, group, text) => cpusetSetCpus(k, group, text),
  }),
  'cpuset.cpus.effective': cpuset({ read: (k, group) => `${listText(cpusetOf(k, group).effectiveCpus)}\n` }),
  'cpuset.cpus.partition': ownCpuset({
    read: (k, group) => partitionText(cpusetOf(k, group)),
    write: (k, group, text) => cpusetSetPartition(k, group, text),
  }),
  'cpuset.mems': ownCpuset({
    read: (k, group) => `${listText(maskNodes(cpusetOf(k, group).mems))}\n`,
    write: (k, group, text) => cpusetSetMems(k, group, text, condResched),
  }),
  'cpuset.mems.effective': cpuset({ read: (k, group) => `${listText(maskNodes(cpusetOf(k, group).effectiveMems))}\n` }),
}

const files: readonly (readonly [string, Entry])[] = Object.entries(memcgFiles).map(([name, { root, read, write }]) => [
  name,
  groupFile({
    ...(read === undefined ? {} : { read: (k: Kernel, group: Cgroup) => read(k, group.memcg) }),
    ...(write === undefined ? {} : { write: (k: Kernel, group: Cgroup, text: string) => write(k, group.memcg, text) }),
    on: root === true ? 'all' : 'below root',
    controller: CONTROLLER_MEMORY,
  }),
])

/** A group's directory: its files, and the groups below it. Before the hierarchy is mounted there is nothing in it. */
export const cgroupDirectory: Directory = {
  entries: new Map<string, Entry>([...Object.entries(CORE_FILES), ...Object.entries(CPUSET_FILES), ...files]),
  families: [],
  members: {
    list: (k, at) => cgroupOf(k, at.cgroup).children.map(id => [cgroupOf(k, id).name, { ...at, cgroup: id }]),
    find: (k, at, name) => {
      const child = cgroupChild(k, cgroupOf(k, at.cgroup), name)
      return child === undefined ? undefined : { ...at, cgroup: child.id }
    },
  },
}
