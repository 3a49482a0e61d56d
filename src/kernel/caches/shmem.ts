/**
 * Memory files without a place in a file system: shared anonymous memory, memfd.
 *
 * Source: mm/shmem.c (__shmem_file_setup, shmem_zero_setup), mm/memfd.c.
 */

import { must } from '../base/assert.ts'
import { EINVAL, ENOMEM } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile, SuperBlock } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { vmEnoughMemory } from '../calls/account.ts'
import { fileOpen } from './files.ts'
import { inodeCreate } from './inode.ts'
import { MAX_FILE_BYTES } from './shmem_range.ts'

/** The kernel's own mount of memory files. */
const shmemMount = (k: Kernel): SuperBlock =>
  must(
    k.fs.superBlocks.find(sb => sb.type === 'shmem'),
    'no mount for memory files',
  )

/**
 * A fresh object of `pages` pages, open for reading and writing.
 * @param noreserve its pages are promised one by one, not with its size.
 * @param name what /proc/PID/maps shows.
 * @returns the open file; -ENOMEM when overcommit does not allow it, -EINVAL when it is too large.
 */
export function shmemFileSetup(k: Kernel, task: Task, pages: number, noreserve: boolean, name: string): OpenFile | number {
  const sizeBytes = pages * PAGE_SIZE
  if (sizeBytes > MAX_FILE_BYTES) return -EINVAL
  if (!noreserve && vmEnoughMemory(k, task, task.mm, pages) < 0) return -ENOMEM
  return fileOpen(k, inodeCreate(k, shmemMount(k), name, { nlink: 0, sizeBytes, noreserve, mode: 0o777 }), { read: true, write: true })
}

/** memfd_create(2) for memory of single pages: an empty file that whoever has it may read and write; its pages are promised one by one. */
export const memfdCreate = (k: Kernel, task: Task, name: string): OpenFile | number => shmemFileSetup(k, task, 0, true, `/memfd:${name}`)
