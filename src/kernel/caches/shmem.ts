/** Memory files without a place in a file system: shared anonymous memory, memfd. */
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { ENOSYS } from '../base/errno.ts'

/** A fresh object of `pages` pages, open for reading and writing; a negative errno when it may not be had. */
export function shmemFileSetup(_k: Kernel, _task: Task, _pages: number, _noreserve: boolean, _name: string): OpenFile | number {
  return -ENOSYS
}
