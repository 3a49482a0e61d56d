/**
 * Knobs of memory hotplug: each block's `state` and `online`, and how blocks that come back are dealt with.
 *
 * A block that is in the state asked for already: EINVAL from `state`, no matter to `online`.
 *
 * Source: drivers/base/memory.c, drivers/base/core.c online_store, mm/memory_hotplug.c.
 */
import { must } from './base/assert.ts'
import { EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import type { MemoryBlock, OnlineType } from './base/state_memory.ts'
import { hardOfflineAddress, softOfflineAddress } from './calls/memory_failure.ts'
import { offlineMemoryBlock, onlineMemoryBlock } from './calls/memory_hotplug.ts'
import { type At, type Knob, WORKS } from './tunables_knob.ts'
import { kstrtobool, kstrtouint, kstrtoul, sysfsStreq } from './tunables_parse.ts'

const MEMORY = '/sys/devices/system/memory'
const PARAMETERS = '/sys/module/memory_hotplug/parameters'

const ONLINE_TYPES: readonly ('offline' | OnlineType)[] = ['offline', 'online', 'online_kernel', 'online_movable']
const POLICIES: readonly ('contig-zones' | 'auto-movable')[] = ['contig-zones', 'auto-movable']

export const blockAt = (k: Kernel, at: At): MemoryBlock => must(k.memory.blocks.get(at.block), `there is no memory block ${at.block}`)

const BLOCK_KNOBS: readonly Knob[] = [
  {
    path: `${MEMORY}/memory{block}/state`,
    type: 'choice',
    choices: ONLINE_TYPES,
    default: 'online',
    meaning: 'Takes the block of memory away, its pages moved elsewhere, or puts it back, into a kernel zone or the movable one',
    source: 'drivers/base/memory.c state_store',
    ...WORKS,
    read: (k, at) => `${blockAt(k, at).online ? 'online' : 'offline'}\n`,
    write: (k, text, at) => {
      const block = blockAt(k, at)
      const word = ONLINE_TYPES.find(type => sysfsStreq(text, type))
      if (word === undefined || (word !== 'offline') === block.online) return -EINVAL
      return set(k, block, word, text)
    },
  },
  {
    path: `${MEMORY}/memory{block}/online`,
    type: 'integer',
    min: 0,
    max: 1,
    default: '1',
    meaning: 'Takes the block of memory away or puts it back, as state does with offline and online',
    source: 'drivers/base/core.c online_store',
    ...WORKS,
    read: (k, at) => `${Number(blockAt(k, at).online)}\n`,
    write: (k, text, at) => {
      const online = kstrtobool(text)
      if (online === undefined) return -EINVAL
      const block = blockAt(k, at)
      return online === block.online ? text.length : set(k, block, online ? 'online' : 'offline', text)
    },
  },
]

function set(k: Kernel, block: MemoryBlock, word: 'offline' | OnlineType, text: string): number {
  if (word !== 'offline') onlineMemoryBlock(k, block, word)
  const error = word === 'offline' ? offlineMemoryBlock(k, block) : 0
  return error < 0 ? error : text.length
}

const POLICY_KNOBS: readonly Knob[] = [
  {
    path: `${MEMORY}/auto_online_blocks`,
    type: 'choice',
    choices: ONLINE_TYPES,
    default: 'offline',
    meaning: 'What becomes of memory that is added while the machine runs',
    source: 'drivers/base/memory.c auto_online_blocks_store',
    effect: 'idle',
    because: 'no memory is ever added to this machine',
    read: k => `${k.memory.autoOnline}\n`,
    write: (k, text) => {
      const word = ONLINE_TYPES.find(type => sysfsStreq(text, type))
      if (word === undefined) return -EINVAL
      k.memory.autoOnline = word
      return text.length
    },
  },
  {
    path: `${PARAMETERS}/online_policy`,
    type: 'choice',
    choices: POLICIES,
    default: 'contig-zones',
    meaning: 'How online chooses a zone: the one around the block, or the movable one while a ratio allows it',
    source: 'mm/memory_hotplug.c set_online_policy',
    ...WORKS,
    state: 'memory.onlinePolicy',
    read: k => `${k.memory.onlinePolicy}\n`,
    write: (k, text) => {
      const word = POLICIES.find(policy => sysfsStreq(text, policy))
      if (word === undefined) return -EINVAL
      k.memory.onlinePolicy = word
      return text.length
    },
  },
  {
    path: `${PARAMETERS}/auto_movable_ratio`,
    type: 'integer',
    min: 0,
    default: '301',
    unit: '%',
    meaning: 'Most movable memory, against kernel memory, that the policy auto-movable makes',
    source: 'mm/memory_hotplug.c auto_movable_ratio',
    ...WORKS,
    state: 'memory.autoMovableRatio',
    read: k => `${k.memory.autoMovableRatio}\n`,
    write: (k, text) => {
      const { error, value } = kstrtouint(text, 0)
      if (error < 0) return error
      k.memory.autoMovableRatio = value
      return text.length
    },
  },
  {
    path: `${PARAMETERS}/auto_movable_numa_aware`,
    type: 'choice',
    choices: ['Y', 'N'],
    default: 'Y',
    meaning: 'Whether the policy auto-movable keeps its ratio on each node too',
    source: 'mm/memory_hotplug.c auto_movable_numa_aware',
    ...WORKS,
    state: 'memory.autoMovableNumaAware',
    read: k => `${k.memory.autoMovableNumaAware ? 'Y' : 'N'}\n`,
    write: (k, text) => {
      const aware = kstrtobool(text)
      if (aware === undefined) return -EINVAL
      k.memory.autoMovableNumaAware = aware
      return text.length
    },
  },
]

/** A file to which the address of a page is written. */
const offlineKnob = (name: string, meaning: string, source: string, offline: (k: Kernel, address: number) => number): Knob => ({
  path: `${MEMORY}/${name}`,
  type: 'trigger',
  meaning,
  source,
  ...WORKS,
  write: (k, text) => {
    const { error, value } = kstrtoul(text, 0)
    if (error < 0) return -EINVAL
    const ret = offline(k, value)
    return ret < 0 ? ret : text.length
  },
})

const OFFLINE_KNOBS: readonly Knob[] = [
  offlineKnob(
    'soft_offline_page',
    'Takes the page at the physical address written out of use, after its contents were moved elsewhere',
    'drivers/base/memory.c soft_offline_page_store, mm/memory-failure.c soft_offline_page',
    softOfflineAddress,
  ),
  offlineKnob(
    'hard_offline_page',
    'Treats the page at the physical address written as broken: it goes out of use, and who has its only copy is killed when he touches it',
    'drivers/base/memory.c hard_offline_page_store, mm/memory-failure.c memory_failure',
    hardOfflineAddress,
  ),
]

export const MEMORY_KNOBS: readonly Knob[] = [...BLOCK_KNOBS, ...POLICY_KNOBS, ...OFFLINE_KNOBS]
