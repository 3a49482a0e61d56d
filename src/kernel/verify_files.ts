/** Recounts what files cost: page caches, dirty pages, requests under way, memory files' charges, kernel objects. */
import type { Kernel } from './base/state.ts'
import { verifyBlock } from './caches/block.ts'
import { isShmem, verifyFilemap } from './caches/filemap.ts'
import { verifySlab } from './caches/slab.ts'
import { verifyWriteback } from './reclaim/writeback.ts'

/** Everything about files that does not add up, in words; empty when all is sound. */
export const verifyFiles = (k: Kernel): string[] => [
  ...verifyFilemap(k),
  ...verifyWriteback(k),
  ...verifyBlock(k),
  ...verifyShmem(k),
  ...verifyOpen(k),
  ...verifySlab(k),
]

/** Memory files are charged at least for the pages they have, and their mounts for what all of them are charged. */
function verifyShmem(k: Kernel): string[] {
  const wrong: string[] = []
  const charged = new Map(k.fs.superBlocks.map(sb => [sb, 0]))
  for (const inode of k.fs.inodes.values()) {
    if (!isShmem(inode.sb)) continue
    if (inode.alloced - inode.swapped < inode.mapping.nrPages)
      wrong.push(`${inode.path} has ${inode.mapping.nrPages} pages but is charged for ${inode.alloced}`)
    charged.set(inode.sb, (charged.get(inode.sb) ?? 0) + inode.alloced)
  }
  for (const [sb, pages] of charged) {
    if (isShmem(sb) && sb.maxBlocks > 0 && sb.usedBlocks !== pages)
      wrong.push(`${sb.mountPoint}: files are charged for ${pages} pages, the mount for ${sb.usedBlocks}`)
  }
  return wrong
}

/** A file is open as often as tasks and areas hold open files of it. */
function verifyOpen(k: Kernel): string[] {
  const wrong: string[] = []
  const files = new Set([...k.tasks.values()].flatMap(task => [...task.files]))
  for (const mapping of k.fs.mappings.values())
    if (!k.fs.inodes.has(mapping.inode.id)) wrong.push(`${mapping.inode.path} is gone but its page cache is not`)
  for (const file of files)
    if (file.refs <= 0 || file.inode.openCount <= 0) wrong.push(`${file.inode.path} is held open by a process but counts no holder`)
  return wrong
}
