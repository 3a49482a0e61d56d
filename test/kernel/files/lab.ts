/** A small machine with a disk at /mnt, a process, and system calls on paths in one line each. */
import { must } from '../../../src/kernel/base/assert.ts'
import { EV, NS } from '../../../src/kernel/base/counters.ts'
import { MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from '../../../src/kernel/base/flags.ts'
import type { Kernel, Machine } from '../../../src/kernel/base/state.ts'
import type { OpenFile } from '../../../src/kernel/base/state_fs.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { type FileAdvice, sysFadvise } from '../../../src/kernel/calls/fadvise.ts'
import { type OpenWanted, sysClose, sysMkdir, sysOpen } from '../../../src/kernel/calls/files.ts'
import { sysLseek, sysRead, sysWrite } from '../../../src/kernel/calls/files_io.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMount } from '../../../src/kernel/calls/mount.ts'
import { runDaemons } from '../../../src/kernel/kernel.ts'
import { bootSmall, runInit } from '../machine.ts'

export const MIB = 2 ** 20
export const CALL = 16384
/** Where tests map things. */
export const BASE = 0x200000000000

export interface Lab {
  readonly k: Kernel
  readonly task: Task
}

/** @param files names and MiB of the disk's image */
export function labOf(mib: readonly number[], files: Readonly<Record<string, number>> = {}, change: Partial<Machine> = {}): Lab {
  const list = Object.entries(files).map(([name, size]) => ({ path: `/mnt/${name}`, bytes: size * MIB }))
  const k = bootSmall(mib, { diskBytes: 1024 * MIB, files: list, ...change })
  return { k, task: runInit(k) }
}

export const stat = (k: Kernel, name: keyof typeof NS): number => k.nodes.reduce((sum, node) => sum + node.stat[NS[name]], 0)
export const event = (k: Kernel, name: keyof typeof EV): number => k.event[EV[name]]

export const ZEROS = { content: 0, indexed: false, index: 0 }

export function open(lab: Lab, path: string, wanted: Partial<OpenWanted> = {}): OpenFile {
  const file = sysOpen(lab.k, lab.task, path, { read: true, write: false, ...wanted })
  if (typeof file === 'number') throw new Error(`open ${path}: errno ${-file}`)
  return file
}

/** Lets kernel threads that are due run. */
export const settle = ({ k }: Lab) => runDaemons(k, k.clock[0])

export function sleepMs(lab: Lab, ms: number): void {
  lab.k.clock[0] += ms * 1e6
  settle(lab)
}

/** Reads bytes [offset, offset + bytes) in calls of 16 KiB through an open of its own; returns the bytes read. */
export function readFile(lab: Lab, path: string, bytes: number, offset = 0, wanted: Partial<OpenWanted> = {}): number {
  const file = open(lab, path, wanted)
  sysLseek(lab.k, lab.task, file, offset)
  let done = 0
  for (let n = 1; n > 0 && done < bytes; done += n) {
    n = must(sysRead(lab.k, lab.task, file, Math.min(CALL, bytes - done)), 'no answer')
    settle(lab)
  }
  sysClose(lab.k, lab.task, file)
  return done
}

/** Writes `bytes` from offset on in calls of 16 KiB; returns the bytes written, or the errno of the call that failed. */
export function writeFile(lab: Lab, path: string, bytes: number, offset = 0): number {
  const file = sysOpen(lab.k, lab.task, path, { read: false, write: true, create: 0o600 })
  if (typeof file === 'number') return file
  sysLseek(lab.k, lab.task, file, offset)
  let done = 0
  while (done < bytes) {
    const n = sysWrite(lab.k, lab.task, file, Math.min(CALL, bytes - done), ZEROS)
    if (n < 0) {
      sysClose(lab.k, lab.task, file)
      return n
    }
    done += n
    settle(lab)
  }
  sysClose(lab.k, lab.task, file)
  return done
}

export function fadvise(lab: Lab, path: string, advice: FileAdvice, offset = 0, bytes = 0): number {
  const file = open(lab, path)
  const ret = sysFadvise(lab.k, lab.task, file, offset, bytes, advice)
  sysClose(lab.k, lab.task, file)
  return ret
}

/** Maps an open file at a fixed place; returns the address or the errno. */
export const mapFile = (
  { k, task }: Lab,
  file: OpenFile,
  address: number,
  bytes: number,
  kind: 'shared' | 'private',
  prot = PROT_READ | PROT_WRITE,
): number => sysMmap(k, task, { address, bytes, prot, flags: MAP_FIXED | (kind === 'shared' ? MAP_SHARED : MAP_PRIVATE), file, pgoff: 0 })

export function mount(lab: Lab, type: string, dir: string, options = ''): number {
  sysMkdir(lab.k, lab.task, dir, 0o755)
  return sysMount(lab.k, lab.task, type, dir, options)
}
