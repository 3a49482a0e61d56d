/**
 * How fast the simulator is, as ratios of one run: `npm run bench [-- --json] [NAME ...]`; and how near its virtual time is to published
 * measurements: `npm run bench -- populate [--json]` (bench_populate.ts).
 *
 * Each measure runs in a process of its own, so that none warms another's code or fills another's memory. A workload is timed through
 * the whole simulator, not through its parts.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { must } from '../kernel/base/assert.ts'
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

const MIB = 2 ** 20
const GIB_PAGES = 2 ** 18

interface Measure {
  readonly name: string
  /** What is asked of it, for the table. */
  readonly target: string
  readonly run: () => number | Promise<number>
}

const start = (lines: string): Simulation => createSimulation(parseWorkload(lines, 'bench'))

/** Executes the next lines. */
function skip(sim: Simulation, lines: number): void {
  for (let i = 0; i < lines; i++) runOp(sim, () => undefined)
}

/** Wall milliseconds of the next line. */
function timed(sim: Simulation): number {
  const startMs = performance.now()
  skip(sim, 1)
  return performance.now() - startMs
}

const perSecond = (things: number, ms: number) => (things / ms) * 1000

/** A machine whose code has been compiled by use, before what is measured. */
function warm(gib: number, lines: string): Simulation {
  const warming = 'spawn A\nloop 4\nA mmap W 512M\nA touch W write\nA munmap W\nend\n'
  const sim = start(`machine mem=${gib}G\ncmdline transparent_hugepage=never\n${warming}${lines}`)
  skip(sim, 13)
  return sim
}

const ROUNDS = 7

/** 4 GiB written and unmapped again and again, as on a machine that has been up for a while. */
function rounds(): { readonly touchMs: number[]; readonly munmapMs: number[] } {
  const sim = start(
    `machine mem=5G\ncmdline transparent_hugepage=never\nspawn A\nloop ${ROUNDS + 2}\nA mmap R 4G\nA touch R write\nA munmap R\nend\n`,
  )
  const touchMs: number[] = []
  const munmapMs: number[] = []
  skip(sim, 1)
  for (let i = 0; i < ROUNDS + 2; i++) {
    skip(sim, 1)
    touchMs.push(timed(sim))
    munmapMs.push(timed(sim))
  }
  return { touchMs: touchMs.slice(2), munmapMs: munmapMs.slice(2) }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]

/** Pages a second of the second of two like lines that take a GiB each. */
function again(lines: string, first: string, second: string): number {
  const sim = start(`${lines}${first}\n${second}\n`)
  skip(sim, lines.split('\n').filter(line => /^(spawn|cgroup|[A-Z]) /.test(line)).length + 1)
  return perSecond(GIB_PAGES, timed(sim))
}

/** Nanoseconds of wall time a fault, on a machine of which three quarters are written. */
function faultNs(gib: number): number {
  const sim = warm(gib, `A mmap R ${gib * 768}M\nA touch R write\n`)
  skip(sim, 1)
  return (timed(sim) * 1e6) / (gib * 0.75 * GIB_PAGES)
}

const MEASURES: readonly Measure[] = [
  { name: 'anon_write_4k_faults_per_s', target: '>= 6000000', run: () => perSecond(4 * GIB_PAGES, median(rounds().touchMs)) },
  {
    name: 'anon_write_2m_faults_per_s',
    target: '> 5700 (the real kernel)',
    run: () => {
      const sim = start('machine mem=5G\ncmdline transparent_hugepage=always\nspawn A\nA mmap R 4G\nA touch R write stride=2M\n')
      skip(sim, 2)
      return perSecond(2048, timed(sim))
    },
  },
  {
    name: 'populate_4g_ms',
    target: '< 572 (the real kernel)',
    run: () => timed(warm(5, 'A mmap R 4G flags=populate\n')),
  },
  {
    name: 'munmap_pages_per_s',
    target: '> 14000000 (by the cost model)',
    run: () => perSecond(4 * GIB_PAGES, median(rounds().munmapMs)),
  },
  {
    name: 'fork_cow_pages_per_s',
    target: '> 1100000 (by the cost model)',
    run: () => {
      const sim = start(
        'machine mem=5G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 2G\nA touch R write\nfork A B\nB touch R write\n',
      )
      skip(sim, 3)
      return perSecond(2 * GIB_PAGES, timed(sim) + timed(sim))
    },
  },
  { name: 'ksm_scan_pages_per_s', target: '>= 2000000 where nothing is compared', run: () => perSecond(GIB_PAGES, ksmScanMs('merged')) },
  {
    name: 'ksm_compare_pages_per_s',
    target: '> 260000 (by the cost model), a million pages in the tree',
    run: () => perSecond(4 * GIB_PAGES, ksmScanMs('unshared')),
  },
  {
    name: 'swap_out_pages_per_s',
    target: '> 380000 (by the cost model)',
    run: () =>
      again(
        'machine mem=3G swap=8G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 2G\nA touch R write\n',
        'A madvise R pageout 0 1G',
        'A madvise R pageout 1G 1G',
      ),
  },
  {
    name: 'reclaim_scan_pages_per_s',
    target: '> 2700000 (by the cost model)',
    run: () =>
      again(
        'machine mem=4G disk=4G\ncmdline transparent_hugepage=never\nfile f 3G\nspawn A\ncgroup G add A\nA readfile /mnt/f\n',
        'cgroup G set memory.reclaim 1G',
        'cgroup G set memory.reclaim 1G',
      ),
  },
  { name: 'pagemap_read_mib_per_s', target: '>= 100', run: pagemapMibPerS },
  { name: 'bytes_per_page', target: '<= 32, page tables apart: 8 more for each page mapped', run: bytesPerPage },
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
      const sim = start('machine nodes=4 mem=256G,256G,256G,256G\n')
      return process.memoryUsage.rss() / MIB + Math.min(0, sim.ns)
    },
  },
  { name: 'fault_cost_ratio_64x_machine', target: '<= 1.25', run: () => faultNs(64) / faultNs(1) },
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
function ksmScanMs(pages: 'merged' | 'unshared'): number {
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
 * What the simulator holds for one more page in use: its page tables apart, whose entries take the 8 bytes they take in Linux, and
 * without the collector's heap, where no page is. To the byte: what the engine takes for its code is a few tenths.
 */
function bytesPerPage(): number {
  const sim = start(
    'machine mem=64G\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 4G\nA mmap S 56G\nA touch R write\nA touch S write\n',
  )
  skip(sim, 4)
  const before = residentBytes()
  skip(sim, 1)
  return Math.round((residentBytes() - before) / (56 * GIB_PAGES) - 8 * (1 + 1 / 512))
}

function residentBytes(): number {
  const { rss, heapTotal } = process.memoryUsage()
  return rss - heapTotal
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

function measured(name: string): number {
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--one', name], { encoding: 'utf8', maxBuffer: MIB })
  if (child.status !== 0) throw new Error(`${name}: ${child.stderr}`)
  return Number(child.stdout)
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
    process.stdout.write(String(await measure?.run()))
    return
  }
  const results = chosen(argv.filter(word => word !== '--json')).map(({ name, target }) => ({
    name,
    target,
    value: rounded(measured(name)),
  }))
  if (argv.includes('--json'))
    process.stdout.write(`${JSON.stringify(Object.fromEntries(results.map(({ name, value }) => [name, value])))}\n`)
  else for (const { name, value, target } of results) process.stdout.write(`${name.padEnd(32)} ${String(value).padStart(12)}   ${target}\n`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof UserError ? error.oneLine : error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = error instanceof UserError ? 2 : 1
})
