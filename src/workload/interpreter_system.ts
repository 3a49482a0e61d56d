/**
 * The controller's ops on the machine as a whole: files of /proc and /sys, CPUs, mounts, swap, control groups.
 */
import { COST, spend } from '../kernel/base/cost.ts'
import { ENOSYS } from '../kernel/base/errno.ts'
import { sysMkdir } from '../kernel/calls/files.ts'
import { sysSync } from '../kernel/calls/files_io.ts'
import { sysMount, sysUmount } from '../kernel/calls/mount.ts'
import { TOUCHES, touchOwn } from './interpreter_executor.ts'
import type { Outcome } from './interpreter_records.ts'
import type { Ports, Run } from './interpreter_state.ts'
import type { ControllerOp } from './program.ts'

type SystemOp = Exclude<ControllerOp, { readonly op: 'sleep' | 'wait' | 'spawn' | 'fork' | 'exit' | 'kill' | 'join' }>

const DIRECTORY_MODE = 0o755

export function systemOp(run: Run, ports: Ports, op: SystemOp): Outcome {
  const { k } = run
  const init = run.file.task
  spend(k, COST.syscall, 1)
  switch (op.op) {
    case 'write':
      return { ret: ports.write(k, op.path, op.value) }
    case 'read':
      return readOutcome(ports.read(k, op.path))
    case 'sample':
      touchOwn(k, init, TOUCHES.sample)
      if (!op.norefresh) ports.write(k, '/proc/sys/vm/stat_refresh', '1')
      return { ret: 0, sample: { name: op.name, slab: op.slab, light: op.light } }
    case 'cpu_online':
      return { ret: Math.min(0, ports.write(k, `/sys/devices/system/cpu/cpu${op.cpu}/online`, op.online ? '1' : '0')) }
    case 'mount':
      sysMkdir(k, init, op.dir, DIRECTORY_MODE)
      return { ret: sysMount(k, init, op.fstype, op.dir, op.options ?? '') }
    case 'umount':
      return { ret: sysUmount(k, init, op.dir) }
    case 'mkdir':
      return { ret: sysMkdir(k, init, op.dir, DIRECTORY_MODE) }
    case 'sync':
      return { ret: sysSync(k) }
    default:
      return { ret: -ENOSYS, fields: { text: `${op.op}: the simulated kernel does not have this yet` } }
  }
}

/** A file's text and length, or its errno. */
const readOutcome = (text: string | number): Outcome => (typeof text === 'number' ? { ret: text } : { ret: text.length, fields: { text } })
