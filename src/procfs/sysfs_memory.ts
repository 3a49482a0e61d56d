/**
 * /sys/devices/system/memory: the blocks in which memory can be taken away, what zone each belongs to or could, and how large they are.
 *
 * Source: drivers/base/memory.c.
 */
import type { Kernel } from '../kernel/base/state.ts'
import type { MemoryBlock } from '../kernel/base/state_memory.ts'
import { PAGE_SIZE, ZONE_NAMES } from '../kernel/base/units.ts'
import { zoneForBlock } from '../kernel/calls/memory_hotplug.ts'
import { blockAt } from '../kernel/tunables_memory.ts'
import { type Directory, dir, knobs, sysfs } from './file.ts'

/** The block's zone, or, while it is offline, those it could come back to, the one for `online` first. */
function validZones(k: Kernel, block: MemoryBlock): string {
  if (block.online) return block.zone < 0 ? 'none' : ZONE_NAMES[k.zones[block.zone].type]
  const first = zoneForBlock(k, block, 'online')
  const others = [zoneForBlock(k, block, 'online_kernel'), zoneForBlock(k, block, 'online_movable')].filter(zone => zone !== first)
  return [first, ...others].map(zone => ZONE_NAMES[zone.type]).join(' ')
}

const blockFiles: Directory = dir({
  ...knobs('/sys/devices/system/memory/memory{block}'),
  phys_device: sysfs(() => '0\n'),
  phys_index: sysfs((_, at) => `${at.block.toString(16).padStart(8, '0')}\n`),
  removable: sysfs(() => '1\n'),
  uevent: sysfs(() => ''),
  valid_zones: sysfs((k, at) => `${validZones(k, blockAt(k, at))}\n`),
})

/** A node's links to the blocks that hold memory of it. */
export const nodeBlocks: Directory = { ...blockFiles, exists: (k, at) => blockAt(k, at).nodes.some(node => node === at.node) }

export const memoryDirectory: Directory = dir({
  'memory{block}': blockFiles,
  ...knobs('/sys/devices/system/memory'),
  block_size_bytes: sysfs(k => `${(k.memory.blockPages * PAGE_SIZE).toString(16)}\n`),
  uevent: sysfs(() => ''),
})

/** Parameters of the hotplug code; the last one cannot be set on a running machine. */
export const hotplugParameters: Directory = dir({
  ...knobs('/sys/module/memory_hotplug/parameters'),
  memmap_on_memory: sysfs(() => 'N\n'),
})
