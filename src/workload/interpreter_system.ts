/**
 * The controller's ops on the machine as a whole: files of /proc and /sys, CPUs, mounts, swap, control groups.
 */
import { COST, COSTS, now, spend } from '../kernel/base/cost.ts'
import { EEXIST, ENOENT, ESRCH } from '../kernel/base/errno.ts'
import { SWAP_FLAG_PREFER } from '../kernel/base/flags.ts'
import { readLog } from '../kernel/base/log.ts'
import { normalizePath } from '../kernel/caches/inode.ts'
import { cgroupAt, cgroupMkdirAt, cgroupMount, cgroupRmdir } from '../kernel/calls/cgroup.ts'
import { sysMkdir } from '../kernel/calls/files.ts'
import { sysSync } from '../kernel/calls/files_io.ts'
import { sysMount, sysUmount } from '../kernel/calls/mount.ts'
import { sysSwapoff } from '../kernel/calls/swapoff.ts'
import { mkswap, sysSwapon } from '../kernel/calls/swapon.ts'
import { TOUCHES, touchOwn } from './interpreter_executor.ts'
import type { Outcome } from './interpreter_records.ts'
import type { Ports, Run, Sample, SampleOp } from './interpreter_state.ts'
import { setUffdMode } from './interpreter_uffd.ts'
import type { CgroupAction, ControllerOp } from './program.ts'

type SystemOp = Exclude<
  ControllerOp,
  { readonly op: 'sleep' | 'sample' | 'wait' | 'spawn' | 'fork' | 'exit' | 'kill' | 'join' | 'postcopy' | 'postcopy_join' }
>

const DIRECTORY_MODE = 0o755
const CGROUPS = '/sys/fs/cgroup'
/** Groups whose files samples hold, at most. */
const MAX_CGROUPS = 8
/** Files that a sample reads of the machine, of each node and of each process; how often the latter walk its pages (smaps, numa_maps). */
const LIGHT_FILES = 2
const MACHINE_FILES = 66
const NODE_FILES = 10
const PROCESS_FILES = 6
const PAGE_WALKS = 2
/** A thread on each CPU adds up what it counted, and the last one is waited for: 2.8 ms on recorded machines, which fault 15 times slower. */
const REFRESH_NS = 190_000

export function systemOp(run: Run, ports: Ports, op: SystemOp): Outcome {
  const { k } = run
  const init = run.file.task
  spend(k, COST.syscall, 1)
  switch (op.op) {
    case 'write':
      return { ret: ports.write(k, op.path, op.value) }
    case 'read':
      spend(k, COST.file_read, 1)
      return readOutcome(ports.read(k, op.path))
    case 'cpu_online':
      return { ret: Math.min(0, ports.write(k, `/sys/devices/system/cpu/cpu${op.cpu}/online`, op.online ? '1' : '0')) }
    case 'mount':
      sysMkdir(k, init, op.dir, DIRECTORY_MODE)
      return { ret: sysMount(k, init, op.fstype, op.dir, op.options ?? '') }
    case 'umount':
      return { ret: sysUmount(k, init, op.dir) }
    case 'mkdir':
      return { ret: makeDirectory(run, op.dir) }
    case 'cgroup':
      return cgroupOp(run, ports, op.group, op.action)
    case 'dmesg': {
      const text = readLog(k)
      return { ret: text.length, fields: { text } }
    }
    case 'sync':
      return { ret: sysSync(k) }
    case 'mkswap':
      return { ret: mkswap(k, init, op.device) }
    case 'swapon':
      return { ret: sysSwapon(k, init, op.device, op.priority === undefined ? 0 : SWAP_FLAG_PREFER | op.priority) }
    case 'swapoff':
      return { ret: sysSwapoff(k, init, op.device) }
    case 'uffd_mode': {
      const worker = run.workers.find(each => each?.name === op.worker)
      if (worker === undefined) return { ret: -ESRCH }
      setUffdMode(run, worker, op.mode)
      return { ret: 0 }
    }
  }
}

function makeDirectory({ k, file }: Run, dir: string): number {
  const path = normalizePath(dir)
  if (k.cgroup.mounted && path.startsWith(`${CGROUPS}/`)) return cgroupMkdirAt(k, path.slice(CGROUPS.length))
  return sysMkdir(k, file.task, dir, DIRECTORY_MODE)
}

/** `cgroup G ...`: the first such line mounts the hierarchy and gives its groups memory and cpusets, the first for G makes it. */
function cgroupOp(run: Run, ports: Ports, group: string, action: CgroupAction): Outcome {
  const { k } = run
  if (!run.cgroupsUsed) {
    run.cgroupsUsed = true
    cgroupMount(k)
    for (const controller of ['+memory', '+cpuset']) ports.write(k, `${CGROUPS}/cgroup.subtree_control`, controller)
  }
  const path = `${CGROUPS}/${group}`
  if (action.kind === 'remove') return { ret: removeGroup(run, group) }
  const made = cgroupMkdirAt(k, group)
  if (made < 0 && made !== -EEXIST) return { ret: made }
  if (!run.cgroups.includes(group) && run.cgroups.length < MAX_CGROUPS) run.cgroups.push(group)
  switch (action.kind) {
    case 'set':
      return { ret: Math.min(0, ports.write(k, `${path}/${action.file}`, action.value)) }
    case 'add': {
      const worker = run.workers.find(candidate => candidate?.name === action.worker)
      return { ret: Math.min(0, ports.write(k, `${path}/cgroup.procs`, String(worker?.task.pid ?? -1))) }
    }
    case 'read':
      spend(k, COST.file_read, 1)
      return readOutcome(ports.read(k, `${path}/${action.file}`))
  }
}

function removeGroup({ k, cgroups }: Run, group: string): number {
  const found = cgroupAt(k, group)
  const ret = found === undefined ? -ENOENT : cgroupRmdir(k, found)
  if (ret === 0 && cgroups.includes(group)) cgroups.splice(cgroups.indexOf(group), 1)
  return ret
}

/** Begins a sample: asks the CPUs for what they count. @returns how long the answer takes */
export function beginSample(run: Run, ports: Ports, { norefresh }: SampleOp): number {
  touchOwn(run.k, run.file.task, TOUCHES.sample)
  if (norefresh) return 0
  ports.write(run.k, '/proc/sys/vm/stat_refresh', '1')
  return REFRESH_NS
}

/** Takes a sample. @returns how long its files of the machine take to be read, whether somebody keeps them or not */
export function takeSample({ k, records }: Run, sample: Sample): number {
  const { slab, light } = sample
  records.push({ kind: 'sample', sample, ns: now(k) })
  const files = light ? LIGHT_FILES : MACHINE_FILES + k.nodes.length * NODE_FILES
  return (files + (slab ? 1 : 0)) * COSTS.file_read
}

/** Reads the files of the processes, and walks their pages. */
export function endSample(run: Run, sample: Sample): Outcome {
  const { k } = run
  for (const worker of run.workers) {
    const mm = worker?.task.mm
    if (mm === undefined || sample.light) continue
    spend(k, COST.file_read, PROCESS_FILES)
    spend(k, COST.pte_visit, PAGE_WALKS * (mm.rssAnon + mm.rssFile + mm.rssShmem))
  }
  return { ret: 0, sample }
}

/** A file's text and length, or its errno. */
const readOutcome = (text: string | number): Outcome => (typeof text === 'number' ? { ret: text } : { ret: text.length, fields: { text } })
