/**
 * /sys/devices/system/cpu: which CPUs there are and work. Every CPU but the first has a file `online`.
 *
 * Source: drivers/base/cpu.c.
 */
import type { Cpu, Kernel } from '../kernel/base/state.ts'
import { type Directory, dir, type File, knobs, sysfs } from './file.ts'
import { listText } from './format.ts'

/** Highest CPU number the Debian kernel could have (NR_CPUS - 1). */
const KERNEL_MAX = 8191

const cpusWith = (holds: (cpu: Cpu) => boolean): File => sysfs((k: Kernel) => `${listText(k.cpus.filter(holds).map(cpu => cpu.id))}\n`)

export const cpuDirectory: Directory = dir({
  'cpu{cpu}': dir(knobs('/sys/devices/system/cpu/cpu{cpu}')),
  isolated: cpusWith(() => false),
  kernel_max: sysfs(() => `${KERNEL_MAX}\n`),
  offline: cpusWith(cpu => !cpu.online),
  online: cpusWith(cpu => cpu.online),
  possible: cpusWith(() => true),
  present: cpusWith(() => true),
})
