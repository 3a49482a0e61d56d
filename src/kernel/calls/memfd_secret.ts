/**
 * memfd_secret(2): a file of memory that nobody but those who map it can read, not even the kernel on behalf of a system call.
 *
 *     unless booted with secretmem.enable=1       ENOSYS
 *     unknown flags                               EINVAL
 *     its length set a second time                EINVAL     mapped private    EINVAL
 *     read, write, process_vm_readv, a pipe       refused: its pages are in no direct map
 *
 * Source: mm/secretmem.c (memfd_secret, secretmem_file_create, secretmem_mmap).
 */
import { COST, spend } from '../base/cost.ts'
import { EINVAL, ENOSYS } from '../base/errno.ts'
import { O_CLOEXEC } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile, SuperBlock } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { fileOpen } from '../caches/files.ts'
import { inodeCreate, superBlockCreate } from '../caches/inode.ts'

/** Device number of the kernel's own mount. */
const SECRETMEM_DEV = '00:0d'

/** memfd_secret(2). @returns the open file, empty, which the task holds; or a negative errno */
export function sysMemfdSecret(k: Kernel, task: Task, flags: number): OpenFile | number {
  spend(k, COST.syscall, 1)
  if (!k.secretmem.enabled) return -ENOSYS
  if ((flags & ~O_CLOEXEC) !== 0) return -EINVAL
  const inode = inodeCreate(k, secretMount(k), '/secretmem', { nlink: 0, uid: task.uid, gid: task.gid })
  const file = fileOpen(k, inode, { read: true, write: true })
  task.files.add(file)
  return file
}

const secretMount = (k: Kernel): SuperBlock =>
  k.fs.superBlocks.find(sb => sb.type === 'secretmem') ?? superBlockCreate(k, 'secretmem', '', { dev: SECRETMEM_DEV })
