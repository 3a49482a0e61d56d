/**
 * How fast the simulator is, as ratios of one run: `npm run bench [-- --json] [NAME ...]`; and how near its virtual time is to published
 * measurements: `npm run bench -- populate [--json]` (bench_populate.ts).
 *
 * Each measure runs in a process of its own, so that none warms another's code or fills another's memory. A workload is timed through
 * the whole simulator, not through its parts.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { must } from '../kernel/base/assert.ts'
import { EV, ZS } from '../kernel/base/counters.ts'
import { eachVma } from '../kernel/spaces/vma.ts'
import { READ_MAX } from '../procfs/binary.ts'
import { procReadBytes } from '../procfs/tree.ts'
import { feed, newTracker } from '../sample/model.ts'
import type { Frame, Source } from '../sample/source.ts'
import { openDirect } from '../sim/direct.ts'
import { createSimulation, runOp, type Simulation } from '../sim/simulation.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { parseWorkload } from '../workload/parse.ts'
import { populateText, runPopulate } from './bench_populate.ts'
import { busyKeyMs, firstFrameMs, hostCost, keyToPaintMs, pausedCpuPercent, tuiCpuPercent } from './bench_tui.ts'
import { bundledWorkload } from './workload.ts'

const MIB = 2 ** 20
const GIB_PAGES = 2 ** 18

interface Measure {
  readonly name: string
  /** What is asked of it, for the table; "pace" where it is the real kernel's pace by the cost model, which the run finds out. */
  readonly target: string
  readonly run: () => Measured | Promise<Measured>
}

/** A figure; with the pace by the cost model, which it is to be above. */
type Measured = number | { readonly value: number; readonly pace: number }

/** How long a line took, and how long it was for the simulated machine. */
interface Taken {
  readonly wallMs: number
  readonly virtualMs: number
}

const start = (lines: string): Simulation => createSimulation(parseWorkload(lines, 'bench'))

/** Executes the next lines. */
function skip(sim: Simulation, lines: number): void {
  for (let i = 0; i < lines; i++) runOp(sim, () => undefined)
}

/** The next lines, together. */
function timed(sim: Simulation, lines = 1): Taken {
  const [startMs, startNs] = [performance.now(), sim.k.clock[0]]
  skip(sim, lines)
  return { wallMs: performance.now() - startMs, virtualMs: (sim.k.clock[0] - startNs) / 1e6 }
}

const perSecond = (things: number, ms: number) => (things / ms) * 1000

/** Things a second, beside the real kernel's pace. */
const paced = (things: number, { wallMs, virtualMs }: Taken): Measured => ({
  value: perSecond(things, wallMs),
  pace: perSecond(things, virtualMs),
})

/** A machine whose code has been compiled by use, before what is measured. */
function warm(gib: number, lines: string): Simulation {
  const warming = 'spawn A\nloop 4\nA mmap W 512M\nA touch W write\nA munmap W\nend\n'
  const sim = start(`machine mem=${gib}G\ncmdline transparent_hugepage=never\n${warming}${lines}`)
  skip(sim, 13)
  return sim
}

/** Rounds that are not counted: the code is compiled by use, and the simulator's own memory touched for the first time. */
const WARMING = 2

/** Memory written and unmapped again and again, as on a machine that has been up for a while: the median of each. */
function rounds(gib: number, mib: number, count: number): { readonly touch: Taken; readonly munmap: Taken } {
  const sim = start(
    `machine mem=${gib}G\ncmdline transparent_hugepage=never\nspawn A\nloop ${count + WARMING}\nA mmap R ${mib}M\nA touch R write\nA munmap R\nend\n`,
  )
  const touches: Taken[] = []
  const munmaps: Taken[] = []
  skip(sim, 1)
  for (let i = 0; i < count + WARMING; i++) {
    skip(sim, 1)
    touches.push(timed(sim))
    munmaps.push(timed(sim))
  }
  return { touch: middle(touches.slice(WARMING)), munmap: middle(munmaps.slice(WARMING)) }
}

const middle = (taken: readonly Taken[]): Taken => [...taken].sort((a, b) => a.wallMs - b.wallMs)[taken.length >> 1]
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]

/** Pages a second of the second of two like lines that take a GiB each. */
function again(lines: string, first: string, second: string): Measured {
  const sim = start(`${lines}${first}\n${second}\n`)
  skip(sim, lines.split('\n').filter(line => /^(spawn|cgroup|[A-Z]) /.test(line)).length + 1)
  return paced(GIB_PAGES, timed(sim))
}

/** Pages moved a second, of a machine that has every second page of 3 GiB free; the second time. */
function compaction(): Measured {
  const holes = 'spawn A\nA mmap R 3G\nA touch R write\nA madvise R dontneed 0 3G stride=8K span=4K\n'
  const compact = 'write /proc/sys/vm/compact_memory 1\n'
  const sim = start(`machine mem=4G\ncmdline transparent_hugepage=never\n${holes}${compact}exit A\n${holes}${compact}`)
  skip(sim, 10)
  const before = sim.k.event[EV.pgmigrate_success]
  const taken = timed(sim)
  return paced(sim.k.event[EV.pgmigrate_success] - before, taken)
}

/** Wall time a fault, on a machine of which three quarters are written: the small one more often, so that both have warmed up. */
const faultMs = (gib: number, count: number): number => rounds(gib, gib * 768, count).touch.wallMs / gib

const MEASURES: readonly Measure[] = [
  { name: 'anon_write_4k_faults_per_s', target: '>= 6000000', run: () => perSecond(4 * GIB_PAGES, rounds(5, 4096, 7).touch.wallMs) },
  {
    name: 'anon_write_2m_faults_per_s',
    target: '> 5700 (the real kernel)',
    run: () => {
      const sim = start('machine mem=5G\ncmdline transparent_hugepage=always\nspawn A\nA mmap R 4G\nA touch R write stride=2M\n')
      skip(sim, 2)
      return perSecond(2048, timed(sim).wallMs)
    },
  },
  {
    name: 'populate_4g_ms',
    target: '< 572 (the real kernel)',
    run: () => timed(warm(5, 'A mmap R 4G flags=populate\n')).wallMs,
  },
  { name: 'munmap_pages_per_s', target: 'pace', run: () => paced(4 * GIB_PAGES, rounds(5, 4096, 7).munmap) },
  {
    name: 'fork_cow_pages_per_s',
    target: 'pace',
    run: () => {
      const sim = start(
        'machine mem=5G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 2G\nA touch R write\nfork A B\nB touch R write\n',
      )
      skip(sim, 3)
      return paced(2 * GIB_PAGES, timed(sim, 2))
    },
  },
  {
    name: 'ksm_scan_pages_per_s',
    target: '>= 2000000 where nothing is compared',
    run: () => perSecond(GIB_PAGES, ksmScan('merged').wallMs),
  },
  {
    name: 'ksm_compare_pages_per_s',
    target: 'pace, a million pages in the tree',
    run: () => paced(4 * GIB_PAGES, ksmScan('unshared')),
  },
  {
    name: 'swap_out_pages_per_s',
    target: 'pace',
    run: () =>
      again(
        'machine mem=3G swap=8G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 2G\nA touch R write\n',
        'A madvise R pageout 0 1G',
        'A madvise R pageout 1G 1G',
      ),
  },
  {
    name: 'reclaim_scan_pages_per_s',
    target: 'pace',
    run: () =>
      again(
        'machine mem=4G disk=4G\ncmdline transparent_hugepage=never\nfile f 3G\nspawn A\ncgroup G add A\nA readfile /mnt/f\n',
        'cgroup G set memory.reclaim 1G',
        'cgroup G set memory.reclaim 1G',
      ),
  },
  { name: 'compaction_pages_per_s', target: 'pace', run: compaction },
  { name: 'pagemap_read_mib_per_s', target: '>= 100', run: pagemapMibPerS },
  { name: 'bytes_per_page', target: '<= 32', run: () => bytesPerPage().record },
  {
    name: 'bytes_per_mapped_page',
    target: 'all that a page in use takes: with 8 bytes of page table, as in Linux',
    run: () => bytesPerPage().all,
  },
  {
    name: 'boot_1t_ms',
    target: '< 1000',
    run: () => {
      const startMs = performance.now()
      start('machine nodes=4 mem=256G,256G,256G,256G\n')
      return performance.now() - startMs
    },
  },
  {
    name: 'boot_1t_rss_mib',
    target: '< 300',
    run: () => {
      start('machine nodes=4 mem=256G,256G,256G,256G\n')
      return process.memoryUsage.rss() / MIB
    },
  },
  { name: 'fault_cost_ratio_64x_machine', target: '<= 1.25', run: () => faultMs(64, 2) / faultMs(1, 127) },
  { name: 'numa_interleave_pace', target: '>= 1', run: () => workloadPace('numa-interleave', 20) },
  { name: 'sample_ms', target: '< 2', run: sampleMs },
  { name: 'first_frame_ms', target: '< 300', run: () => firstFrameMs() },
  { name: 'key_to_paint_ms', target: '< 50', run: async () => keyToPaintMs(await aFrame()) },
  { name: 'tui_cpu_percent_1hz', target: '<= 2', run: async () => tuiCpuPercent(await aFrame(), 1) },
  { name: 'tui_cpu_percent_4hz', target: '<= 5', run: async () => tuiCpuPercent(await aFrame(), 4) },
  { name: 'host_cpu_percent_1hz', target: '<= 2', run: async () => (await hostCost(1)).percent },
  { name: 'host_cpu_percent_4hz', target: '<= 5', run: async () => (await hostCost(0.25)).percent },
  { name: 'host_rss_mib', target: '<= 150', run: async () => (await hostCost(0.05, 60)).rssMib },
  { name: 'paused_cpu_percent', target: '<= 1', run: () => pausedCpuPercent() },
  { name: 'busy_key_ms', target: '<= 50', run: () => busyKeyMs() },
]

/**
 * A scan over memory that KSM knows: a GiB of merged pages, which it only passes, or 4 GiB of pages without doubles, each of which
 * it looks for among those before it.
 */
function ksmScan(pages: 'merged' | 'unshared'): Taken {
  const [content, size] = pages === 'merged' ? ['const:1', '1G'] : ['unique', '4G']
  const knobs = ['pages_to_scan 4294967295', 'sleep_millisecs 0', 'run 1'].map(knob => `write /sys/kernel/mm/ksm/${knob}\n`).join('')
  const waits = 'wait /sys/kernel/mm/ksm/full_scans ge +1 timeout=1000000\n'.repeat(4)
  const sim = start(
    `machine mem=6G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R ${size}\nA touch R write content=${content}\nA madvise R mergeable\n${knobs}${waits}`,
  )
  skip(sim, 10)
  return timed(sim)
}

/** The words of a GiB of pages, read as /proc/PID/pagemap gives them. */
function pagemapMibPerS(): number {
  const sim = start('machine mem=2G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 1G\nA touch R write\n')
  skip(sim, 3)
  const task = [...sim.k.tasks.values()].pop()
  const area = [...eachVma(must(task?.mm, 'no process'))].reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a))
  const read = () => {
    let bytes = 0
    for (let at = area.start; at < area.end; at += READ_MAX / 8) {
      const words = procReadBytes(sim.k, undefined, `/proc/${task?.pid}/pagemap`, 8 * at, READ_MAX)
      bytes += typeof words === 'number' ? 0 : words.length
    }
    return bytes
  }
  for (let i = 0; i < 3; i++) read()
  const startMs = performance.now()
  const bytes = read()
  return perSecond(bytes / MIB, performance.now() - startMs)
}

/**
 * What the simulator holds for one more page in use: its record, as the part of the records' memory that has become resident says; and all
 * by which the process has grown, but for the collector's heap, where no page is.
 */
function bytesPerPage(): { readonly record: number; readonly all: number } {
  const sim = start(
    'machine mem=64G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 4G\nA mmap S 56G\nA touch R write\nA touch S write\n',
  )
  skip(sim, 4)
  const free = () => sim.k.zones.reduce((sum, zone) => sum + zone.stat[ZS.nr_free_pages], 0)
  const [before, freeBefore] = [residentBytes(sim.k.page.byteLength), free()]
  skip(sim, 1)
  const after = residentBytes(sim.k.page.byteLength)
  const pages = freeBefore - free()
  return { record: (after.records - before.records) / pages, all: (after.all - before.all) / pages }
}

/** Resident memory of this process: of the mapping that is as large as the page records, and of all but the heap. */
function residentBytes(recordBytes: number): { readonly records: number; readonly all: number } {
  const { rss, heapTotal } = process.memoryUsage()
  const areas = readFileSync('/proc/self/smaps', 'utf8').matchAll(/^Size: +(\d+) kB[\s\S]*?^Rss: +(\d+) kB/gm)
  const records = [...areas].filter(([, kb]) => Number(kb) * 1024 >= recordBytes).reduce((sum, [, , kb]) => sum + Number(kb) * 1024, 0)
  return { records, all: rss - heapTotal }
}

/** Seconds of the machine in one of ours, for the first ones of a workload that comes with this, with the frames that screens ask for. */
async function workloadPace(name: string, seconds: number): Promise<number> {
  const source = openDirect(parseWorkload(readFileSync(bundledWorkload(name), 'utf8'), name), {}, { intervalNs: 1e9 })
  const tracker = newTracker(source)
  await source.next()
  const startMs = performance.now()
  for (let i = 0; i < seconds; i++) {
    const frame = await source.next()
    if (frame !== undefined) feed(tracker, frame, source.pace())
  }
  return perSecond(seconds, performance.now() - startMs)
}

/** A two-node machine with a few processes. */
function fewProcesses(): Source {
  const lines = [
    'machine nodes=2 mem=1G,1G',
    ...'ABCD'.split('').flatMap(name => [`spawn ${name}`, `${name} mmap R 64M`, `${name} touch R write`]),
    'sleep 1000s',
  ]
  return openDirect(parseWorkload(lines.join('\n'), 'bench'), {}, { intervalNs: 1e9 })
}

/** One of its frames, with its processes. */
async function aFrame(): Promise<Frame> {
  const source = fewProcesses()
  await source.next()
  const frame = await source.next()
  if (frame === undefined) throw new Error('no frame')
  return frame
}

/** A frame read, parsed and derived. */
async function sampleMs(): Promise<number> {
  const source = fewProcesses()
  const tracker = newTracker(source)
  const times: number[] = []
  for (let i = 0; i < 200; i++) {
    const startMs = performance.now()
    const frame = await source.next()
    if (frame !== undefined) feed(tracker, frame, source.pace())
    times.push(performance.now() - startMs)
  }
  return median(times)
}

function measured(name: string): Measured {
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--one', name], { encoding: 'utf8', maxBuffer: MIB })
  if (child.status !== 0) throw new Error(`${name}: ${child.stderr}`)
  return JSON.parse(child.stdout)
}

function chosen(words: readonly string[]): readonly Measure[] {
  const names = MEASURES.map(({ name }) => name)
  for (const word of words) {
    if (names.includes(word)) continue
    const near = nearestWord(word, names)
    throw new UserError(`no measure "${word}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
  }
  return words.length === 0 ? MEASURES : MEASURES.filter(({ name }) => words.includes(name))
}

const rounded = (n: number) => (n >= 1000 ? Math.round(n) : Number(n.toPrecision(4)))

/** Each cell beside what was published, and where the orderings hold. */
function tellPopulate(json: boolean): void {
  const result = runPopulate()
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else process.stdout.write(populateText(result))
}

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('populate')) return tellPopulate(argv.includes('--json'))
  if (argv[0] === '--one') {
    const measure = MEASURES.find(({ name }) => name === argv[1])
    process.stdout.write(JSON.stringify(await measure?.run()))
    return
  }
  const json = argv.includes('--json')
  const figures: Record<string, number> = {}
  for (const { name, target } of chosen(argv.filter(word => word !== '--json'))) {
    const result = measured(name)
    const value = rounded(typeof result === 'number' ? result : result.value)
    const asked = typeof result === 'number' ? target : target.replace('pace', `> ${rounded(result.pace)} (by the cost model)`)
    figures[name] = value
    if (!json) process.stdout.write(`${name.padEnd(32)} ${String(value).padStart(12)}   ${asked}\n`)
  }
  if (json) process.stdout.write(`${JSON.stringify(figures)}\n`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof UserError ? error.oneLine : error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = error instanceof UserError ? 2 : 1
})
