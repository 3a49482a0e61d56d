/**
 * Files of /proc about the machine as a whole that say little of its memory: what it was booted with, how long it has
 * been up, what it can mount.
 *
 * Load averages, interrupts and CPU time by kind are not modelled and stand as on an idle machine, except that the CPU time
 * processes and kernel threads have used is known and is taken for the kernel's.
 *
 * Source: fs/proc/{cmdline,loadavg,uptime,stat,version}.c, fs/filesystems.c, kernel/sched/psi.c.
 */
import { now, sinceBoot } from '../kernel/base/cost.ts'
import type { Kernel } from '../kernel/base/state.ts'

/** What a kernel of the Debian build knows before modules; ext4 comes with the first disk. */
const FILESYSTEMS = [
  ...['sysfs', 'tmpfs', 'proc', 'cgroup', 'cgroup2', 'cpuset', 'devtmpfs', 'debugfs', 'tracefs', 'securityfs', 'sockfs', 'bpf', 'pipefs'],
  ...['ramfs', 'hugetlbfs', 'devpts', 'mqueue', 'pstore'],
]
const DISK_FILESYSTEMS = ['ext3', 'ext2', 'ext4']

export const filesystems = (k: Kernel): string =>
  [...FILESYSTEMS.map(name => `nodev\t${name}\n`), ...(k.machine.diskBytes > 0 ? DISK_FILESYSTEMS.map(name => `\t${name}\n`) : [])].join('')

export const cmdline = (k: Kernel): string => `${k.machine.cmdlineText}\n`

export const version = (): string => 'Linux version 6.1.0 (mmtop) #1 SMP PREEMPT_DYNAMIC\n'

const NS_PER_TICK = 1e7

/** Nanoseconds of CPU that those who still live have used. */
const busyNs = (k: Kernel): number => [...k.tasks.values()].reduce((sum, task) => sum + task.ranNs, 0)

const onlineCpus = (k: Kernel) => k.cpus.filter(cpu => cpu.online)

export function uptime(k: Kernel): string {
  const upNs = sinceBoot(now(k))
  const idle = Math.max(0, upNs * onlineCpus(k).length - busyNs(k))
  return `${(upNs / 1e9).toFixed(2)} ${(idle / 1e9).toFixed(2)}\n`
}

/** Processes that run now, out of all; and the one made last. */
export const loadavg = (k: Kernel): string => `0.00 0.00 0.00 ${k.current === undefined ? 0 : 1}/${k.tasks.size} ${k.nextPid - 1}\n`

export function stat(k: Kernel): string {
  const online = onlineCpus(k)
  const upNs = sinceBoot(now(k))
  const ticks = (ns: number) => Math.floor(ns / NS_PER_TICK)
  const cpuLine = (name: string, systemNs: number, idleNs: number) =>
    `${name} 0 0 ${ticks(systemNs)} ${ticks(Math.max(0, idleNs))} 0 0 0 0 0 0\n`
  const ran = (cpu: number) => [...k.tasks.values()].reduce((sum, task) => (task.cpu === cpu ? sum + task.ranNs : sum), 0)
  return [
    cpuLine('cpu ', busyNs(k), upNs * online.length - busyNs(k)),
    ...online.map(cpu => cpuLine(`cpu${cpu.id}`, ran(cpu.id), upNs - ran(cpu.id))),
    'intr 0\n',
    'ctxt 0\n',
    'btime 0\n',
    `processes ${k.nextPid - 1}\n`,
    `procs_running ${k.current === undefined ? 0 : 1}\n`,
    'procs_blocked 0\n',
    'softirq 0 0 0 0 0 0 0 0 0 0 0\n',
  ].join('')
}
