/**
 * Open files: who holds them, and what happens when nobody does.
 *
 * Source: fs/file_table.c (fget, fput).
 */
import { assert } from '../base/assert.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'

/** One more holder of the open file: a descriptor, or an area that maps it. */
export function fget(file: OpenFile): OpenFile {
  file.refs++
  return file
}

/** One holder less. */
export function fput(_k: Kernel, file: OpenFile): void {
  assert(file.refs > 0, 'an open file is released more often than it was held')
  file.refs--
}
