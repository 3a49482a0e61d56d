/**
 * What the tree of /proc and /sys is made of: files and directories, and how each kind of file takes what it cannot do.
 *
 *     kind     written though it only reports     read though it is only written
 *     sysfs    EACCES (open fails)                EACCES
 *     sysctl   EACCES                             EACCES
 *     proc     EIO (the file has no write)
 *     PID      EINVAL                             EINVAL
 *     debugfs  EACCES for a counter, EINVAL for a table
 *
 * Source: fs/kernfs/file.c kernfs_fop_open, fs/proc/proc_sysctl.c test_perm, fs/proc/inode.c pde_write, fs/read_write.c,
 * fs/libfs.c simple_attr_write.
 */

import { assert } from '../kernel/base/assert.ts'
import { EACCES, EINVAL, EIO } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { isPlaceholder, KNOBS, type Placeholder } from '../kernel/tunables.ts'
import type { At, Knob } from '../kernel/tunables_knob.ts'
import type { Binary } from './binary.ts'
import type { Living } from './pid/living.ts'

export interface File {
  /** For a file of numbers, which is read and written by position, and has no text. */
  readonly binary?: Binary
  readonly read?: (k: Kernel, at: At) => string | number
  readonly write?: (k: Kernel, text: string, at: At) => number
  /** Errno where there is no read, or no write. */
  readonly refuses: number
  /** Where not every CPU or size has this file. */
  readonly exists?: (k: Kernel, at: At) => boolean
  /** Reading it does something: it is left out of listings, which are there to read everything. */
  readonly unlisted?: true
}

export interface Directory {
  readonly entries: ReadonlyMap<string, Entry>
  /** Entries of which there is one for each node, CPU, memory block, size or process. */
  readonly families: readonly Family[]
  /** Directories like this one in it, by names that are given as the machine runs; each differs in where it is. */
  readonly members?: {
    readonly list: (k: Kernel, at: At) => readonly (readonly [name: string, at: At])[]
    readonly find: (k: Kernel, at: At, name: string) => At | undefined
  }
  /** Where not every place has this directory. */
  readonly exists?: (k: Kernel, at: At) => boolean
}

/** The entry that a name with a placeholder stands for: "node{node}" is before "node", after "". */
export interface Family {
  readonly before: string
  readonly what: Placeholder
  readonly after: string
  readonly entry: Entry
}

export type Entry = File | Directory

export const isDirectory = (entry: Entry): entry is Directory => 'entries' in entry

/** A directory from its table of names. */
export function dir(table: Readonly<Record<string, Entry>>): Directory {
  const entries = new Map<string, Entry>()
  const families: Family[] = []
  for (const [name, entry] of Object.entries(table)) {
    const [, before, what, after] = /^(.*)\{(\w+)\}(.*)$/.exec(name) ?? [name]
    if (what === undefined) entries.set(name, entry)
    else {
      assert(isPlaceholder(what), `a table of files has an unknown placeholder ${what}`)
      families.push({ before, what, after, entry })
    }
  }
  return { entries, families }
}

/** A file of /proc that reports. */
export const proc = (read: (k: Kernel) => string): File => ({ read, refuses: EIO })

/** A file of /sys that reports. */
export const sysfs = (read: (k: Kernel, at: At) => string): File => ({ read, refuses: EACCES })

/** A file of debugfs that reports a table. */
export const debugTable = (read: (k: Kernel) => string): File => ({ read, refuses: EINVAL })

/** A file of numbers; its text cannot be asked for. */
export const numbers = (binary: Binary): File => ({ binary, refuses: EINVAL })

type PidRead = (living: Living) => string
type PidWrite = (living: Living, text: string, writer: At['writer']) => number

/** A file of a process; the process is there, or the path would not have been found. */
export function pid(read: PidRead | undefined, write?: PidWrite): File {
  const living = (k: Kernel, at: At): Living | undefined => {
    const task = k.tasks.get(at.pid)
    return task === undefined ? undefined : { k, task, mm: task.mm }
  }
  const readFile = (k: Kernel, at: At) => {
    const who = living(k, at)
    return who === undefined || read === undefined ? -EINVAL : read(who)
  }
  const writeFile = (k: Kernel, text: string, at: At) => {
    const who = living(k, at)
    return who === undefined || write === undefined ? -EINVAL : write(who, text, at.writer)
  }
  return { ...(read === undefined ? {} : { read: readFile }), ...(write === undefined ? {} : { write: writeFile }), refuses: EINVAL }
}

const knobFile = ({ read, write, exists }: Knob): File => ({
  ...(read === undefined ? {} : { read }),
  ...(exists === undefined ? {} : { exists }),
  write,
  refuses: EACCES,
})

/** The files of all knobs whose paths lie directly in a directory. */
export function knobs(directory: string): Readonly<Record<string, File>> {
  const inside = KNOBS.filter(knob => knob.path.startsWith(`${directory}/`) && !knob.path.slice(directory.length + 1).includes('/'))
  return Object.fromEntries(inside.map(knob => [knob.path.slice(directory.length + 1), knobFile(knob)]))
}
