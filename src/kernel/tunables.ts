/**
 * Every knob of the machine: its path, what it accepts, what it does, and the write itself. The one table that the
 * files under /proc and /sys, the list of knobs on the screens and the README are made of.
 *
 * Paths with {size}, {node}, {cpu} or {block} stand for one file each; `tunables` lists those that this machine has.
 */
import { EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import { cpuOffline, cpuOnline } from './calls/cpu_hotplug.ts'
import { HUGETLB_KNOBS } from './tunables_hugetlb.ts'
import { type At, type Knob, type KnobDoc, WORKS } from './tunables_knob.ts'
import { KSM_KNOBS } from './tunables_ksm.ts'
import { LRU_GEN_KNOBS } from './tunables_lru_gen.ts'
import { MEMORY_KNOBS } from './tunables_memory.ts'
import { NUMA_KNOBS } from './tunables_numa.ts'
import { kstrtobool } from './tunables_parse.ts'
import { RECLAIM_KNOBS } from './tunables_reclaim.ts'
import { THP_KNOBS } from './tunables_thp.ts'
import { VM_KNOBS } from './tunables_vm.ts'
import { ZRAM_KNOBS } from './tunables_zram.ts'
import { ZSWAP_KNOBS } from './tunables_zswap.ts'

const CPU_KNOBS: readonly Knob[] = [
  {
    path: '/sys/devices/system/cpu/cpu{cpu}/online',
    exists: (_, at) => at.cpu !== 0,
    type: 'integer',
    min: 0,
    max: 1,
    default: '1',
    meaning: 'Takes the CPU out of work or back: its page lists are emptied and those of the others resized',
    source: 'drivers/base/core.c online_store, mm/page_alloc.c page_alloc_cpu_dead',
    ...WORKS,
    read: (k, at) => `${Number(k.cpus[at.cpu].online)}\n`,
    write: (k, text, at) => {
      const online = kstrtobool(text)
      if (online === undefined) return -EINVAL
      if (online) cpuOnline(k, k.cpus[at.cpu])
      else cpuOffline(k, k.cpus[at.cpu])
      return text.length
    },
  },
]

export const KNOBS: readonly Knob[] = [
  ...VM_KNOBS,
  ...RECLAIM_KNOBS,
  ...LRU_GEN_KNOBS,
  ...HUGETLB_KNOBS,
  ...THP_KNOBS,
  ...KSM_KNOBS,
  ...NUMA_KNOBS,
  ...ZSWAP_KNOBS,
  ...ZRAM_KNOBS,
  ...CPU_KNOBS,
  ...MEMORY_KNOBS,
]

/** A knob as people see it; what the machine's users call a tunable. */
export interface Tunable extends KnobDoc {
  readonly path: string
}

/** What a path may have in braces. */
export type Placeholder = 'size' | 'node' | 'cpu' | 'block' | 'zram' | 'pid'
const PLACEHOLDERS: readonly Placeholder[] = ['size', 'node', 'cpu', 'block', 'zram', 'pid']

export const isPlaceholder = (word: string): word is Placeholder => PLACEHOLDERS.some(placeholder => placeholder === word)

/** The numbers that a placeholder stands for on this machine. */
export const STANDS_FOR: Readonly<Record<Placeholder, (k: Kernel) => readonly number[]>> = {
  size: k => k.hugetlb.hstates.map(h => h.sizeKb),
  node: k => k.nodes.map(node => node.id),
  cpu: k => k.cpus.map(cpu => cpu.id),
  block: k => [...k.memory.blocks.keys()],
  zram: k => k.zram.flatMap((device, number) => (device === undefined ? [] : [number])),
  pid: k => [...k.tasks.keys()],
}

/** The knobs of this machine, each path a file of its own. */
export function tunables(k: Kernel): Tunable[] {
  return KNOBS.flatMap(({ exists, effect, because, state, read, write, ...doc }) =>
    placesOf(k, doc.path)
      .filter(({ at }) => exists?.(k, at) ?? true)
      .map(({ path }) => ({ ...doc, path })),
  )
}

/** The concrete paths that a path with placeholders stands for. */
function placesOf(k: Kernel, path: string): { path: string; at: At }[] {
  let places: { path: string; at: At }[] = [
    { path, at: { size: 0, node: 0, cpu: 0, block: 0, zram: 0, pid: 0, cgroup: 1, writer: undefined } },
  ]
  for (const name of PLACEHOLDERS) {
    if (!path.includes(`{${name}}`)) continue
    places = places.flatMap(place =>
      STANDS_FOR[name](k).map(n => ({ path: place.path.replace(`{${name}}`, String(n)), at: { ...place.at, [name]: n } })),
    )
  }
  return places
}
