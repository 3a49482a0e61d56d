/**
 * The oracle's recording format, as the simulator writes it: what test/oracle/compare.mjs lays beside the real kernel's.
 *
 *     {"event":"header","format":1,"uname","version","machine","tunables":{PATH: TEXT}}
 *     {"i","t_ns","op","ret","err","elapsed_ns", ...}                                     one line an op
 *     {"i","t_ns","op","ret","sample","sampled_ns","files":{PATH: TEXT},"workers":{...}}
 *     {"i","t_ns","event":"death","worker","signal"|"exit", ...}
 *     {"event":"end","t_ns"}
 *
 * Which files a sample holds, in which order, and that smaps, numa_maps and maps keep only the mappings that overlap a
 * named region, is what the reference executor does.
 *
 * Source: test/oracle/README.md, test/oracle/mmexec.c (main, do_sample, emit_filtered, report_deaths).
 */

import { filesBelow } from '../procfs/tree.ts'
import type { OpRecord, RunRecord, Sample, SampleRecord, Worker } from '../workload/interpreter.ts'
import type { Program } from '../workload/program.ts'
import { createSimulation, runToEnd, type Simulation, type SimulationOptions } from './simulation.ts'

const FORMAT = 1
/** The executor's buffer: longer texts of a process are cut before they are filtered. */
const TEXT_MAX = 768 * 1024 - 1

const HEADER_FILES = [
  ...['/proc/cmdline', '/proc/iomem', '/proc/filesystems'],
  ...['/sys/devices/system/node/node0/distance', '/sys/devices/system/node/node0/cpulist'],
  ...['/sys/devices/system/node/node1/distance', '/sys/devices/system/node/node1/cpulist'],
  ...['/proc/sys/kernel/numa_balancing', '/proc/sys/kernel/sched_child_runs_first'],
]
/** Files that do something when they are read or written, and hold nothing. */
const TRIGGERS = /stat_refresh|drop_caches|compact_memory/

const CGROUP_FILES = [
  'memory.current',
  'memory.swap.current',
  'memory.events',
  'memory.stat',
  'memory.numa_stat',
  'memory.max',
  'memory.high',
]

/**
 * Runs a workload from boot to its last line and writes its recording, a line at a time (with its newline).
 * @returns the simulation at its end, for what its expects said
 */
export function recordRaw(program: Program, options: SimulationOptions, write: (line: string) => void): Simulation {
  const sim = createSimulation(program, options)
  write(rawHeader(sim))
  let files: Sampled = { sampled_ns: 0, files: {} }
  runToEnd(sim, record => {
    if (record.kind === 'sample') files = sampleMachine(sim, record)
    else write(rawLine(sim, record, files))
  })
  return sim
}

/** The first line of a recording; the machine as it is before line 1. */
function rawHeader(sim: Simulation): string {
  const paths = [
    ...HEADER_FILES,
    ...filesBelow(sim.k, '/proc/sys/vm', 0),
    ...filesBelow(sim.k, '/sys/kernel/mm', 4),
    ...zswapParameters(sim),
  ]
  const tunables = readFiles(
    sim,
    paths.filter(path => !TRIGGERS.test(path)),
  )
  const identity = { uname: '6.1', version: 'simulated', machine: sim.program.machineText ?? null }
  return line({ event: 'header', format: FORMAT, ...identity, tunables })
}

/** What a sample read of the machine. */
interface Sampled {
  readonly sampled_ns: number
  readonly files: Readonly<Record<string, string>>
}

/** What a record is in the recording; of a sample's processes the texts are read from the machine as it stands. */
function rawLine(sim: Simulation, record: Exclude<RunRecord, SampleRecord>, sampled: Sampled): string {
  const since = (ns: number) => Math.round(ns - sim.run.startNs)
  switch (record.kind) {
    case 'end':
      return line({ event: 'end', t_ns: since(record.ns) })
    case 'death': {
      const during = record.during === undefined ? {} : { during: record.during.text, progress: record.during.progress }
      return line({ i: record.i, t_ns: since(record.ns), event: 'death', worker: record.worker, died: true, ...record.death, ...during })
    }
    default: {
      const { i, text } = record.statement
      const head = { i, t_ns: since(record.startNs), op: text, ret: record.ret }
      const sample =
        record.sample === undefined ? {} : { sample: record.sample.name, ...sampled, workers: sampleWorkers(sim, record.sample) }
      return line({ ...head, ...(record.err === undefined ? {} : { err: record.err }), ...sample, ...rounded(record) })
    }
  }
}

const line = (value: object) => JSON.stringify(value) + '\n'

/** The record's own fields; times in whole nanoseconds. */
function rounded({ fields }: OpRecord): object {
  const elapsed = fields['elapsed_ns']
  return typeof elapsed === 'number' ? { ...fields, elapsed_ns: Math.round(elapsed) } : fields
}

const zswapParameters = (sim: Simulation) => filesBelow(sim.k, '/sys/module/zswap/parameters', 0)

function readFiles(sim: Simulation, paths: readonly string[]): Record<string, string> {
  const files: Record<string, string> = {}
  for (const path of paths) {
    const text = sim.ports.read(sim.k, path)
    if (typeof text === 'string') files[path] = text
  }
  return files
}

function sampleMachine(sim: Simulation, { sample, ns }: SampleRecord): Sampled {
  const paths = ['/proc/vmstat', '/proc/meminfo', ...(sample.light ? [] : fullPaths(sim)), ...(sample.slab ? ['/proc/slabinfo'] : [])]
  return { sampled_ns: Math.round(ns - sim.run.startNs), files: readFiles(sim, paths) }
}

function sampleWorkers(sim: Simulation, { light }: Sample): object {
  const live = sim.run.workers.flatMap(worker => (worker === undefined || worker.death !== undefined ? [] : [worker]))
  return Object.fromEntries(live.map(worker => [worker.name, workerOf(sim, worker, light)]))
}

function fullPaths(sim: Simulation): string[] {
  const { k } = sim
  const node = (id: number) => {
    const directory = `/sys/devices/system/node/node${id}`
    return [`${directory}/meminfo`, `${directory}/numastat`, `${directory}/vmstat`, ...filesBelow(k, `${directory}/hugepages`, 1)]
  }
  return [
    ...['/proc/zoneinfo', '/proc/buddyinfo', '/proc/pagetypeinfo', '/proc/swaps'],
    ...k.nodes.flatMap(({ id }) => node(id)),
    ...filesBelow(k, '/sys/kernel/mm/ksm', 0),
    ...filesBelow(k, '/sys/kernel/mm/hugepages', 1),
    ...filesBelow(k, '/sys/kernel/mm/transparent_hugepage', 1),
    ...filesBelow(k, '/sys/kernel/debug/zswap', 0),
    ...zswapParameters(sim),
    ...['/proc/sys/vm/min_free_kbytes', '/proc/sys/vm/swappiness'],
    ...sim.run.cgroups.flatMap(group => [...CGROUP_FILES, 'cpuset.mems.effective'].map(file => `/sys/fs/cgroup/${group}/${file}`)),
  ]
}

function workerOf(sim: Simulation, worker: Worker, light: boolean): object {
  const { pid, minflt, majflt } = worker.task
  const regions = worker.regions.flatMap(region => (region === undefined ? [] : [region]))
  const named = Object.fromEntries(regions.map(({ name, address, bytes }) => [name, { addr: `0x${address.toString(16)}`, len: bytes }]))
  const base = { pid, minflt, majflt, regions: named }
  if (light) return base
  const read = (file: string) => {
    const text = sim.ports.read(sim.k, `/proc/${pid}/${file}`)
    return typeof text === 'string' ? text.slice(0, TEXT_MAX) : undefined
  }
  const kept = (file: string) => {
    const text = read(file)
    return text === undefined ? undefined : keepRegions(text, regions)
  }
  const score = read('oom_score')
  return {
    ...base,
    status: read('status'),
    smaps: kept('smaps'),
    numa_maps: kept('numa_maps'),
    maps: kept('maps'),
    oom_score: score === undefined ? undefined : Number(score),
  }
}

interface Span {
  readonly address: number
  readonly bytes: number
}

/** The lines about mappings that overlap a region: a line that begins with an address range (numa_maps: an address) heads each. */
export function keepRegions(text: string, regions: readonly Span[]): string {
  let kept = ''
  let keep = false
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const next = newline < 0 ? text.length : newline + 1
    const head = /^([0-9a-f]{6,})(?:-([0-9a-f]+)| )/.exec(text.slice(at, Math.min(next, at + 40)))
    if (head !== null) {
      const start = Number.parseInt(head[1], 16)
      const end = head[2] === undefined ? start + 1 : Number.parseInt(head[2], 16)
      keep = regions.some(({ address, bytes }) => start < address + bytes && end > address)
    }
    if (keep) kept += text.slice(at, next)
    at = next
  }
  return kept
}
