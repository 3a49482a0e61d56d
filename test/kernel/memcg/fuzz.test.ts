/**
 * Random work in control groups under tight limits: every op ends, the machine stays sound, and the run is the same again.
 */
import { describe, expect, it } from 'vitest'
import { type Rng, rngBelow } from '../../../src/kernel/base/rng.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

const PROGRAMS = Number(process.env['FUZZ_PROGRAMS'] ?? 3)
const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1)
const LINES = 45

const MACHINES = [
  'machine mem=160M cpus=2 disk=64M swap=32M\ncmdline transparent_hugepage=always\nfile d 12M',
  'machine nodes=2 mem=96M,96M cpus=1,2 disk=64M swap=16M\ncmdline transparent_hugepage=never\nfile d 12M',
  'machine nodes=2 mem=96M,96M cpus=2,1 disk=64M\ncmdline transparent_hugepage=always\nfile d 12M',
]

function program(seed: number): string {
  const rng: Rng = { state: seed * 6151 }
  const below = (n: number) => rngBelow(rng, n)
  const one = <T>(of: readonly T[]): T => of[below(of.length)]
  const bytes = () => `${one([1, 4, 16, 60, 512, 1024, 2048, 3000, 4096]) * 4}K`
  const range = () => (below(3) === 0 ? '' : `${below(700) * 4}K ${bytes()}`)
  const worker = () => one(['A', 'A', 'B', 'C'])
  const region = () => one(['r', 's', 't'])
  const group = () => one(['P', 'P/x', 'P/y', 'Q'])
  const size = () => one(['max', '0', '1M', '3M', '8M', '16M', '40M'])
  const kinds: readonly (() => string)[] = [
    () => `spawn ${worker()}`,
    () => `fork ${worker()} ${worker()}`,
    () => `${one(['exit', 'kill'])} ${worker()}\nspawn A\ncgroup ${group()} add A`,
    () => `cgroup ${group()} add ${worker()}`,
    () => `cgroup ${group()} add ${worker()}`,
    () => `cgroup ${group()} set memory.${one(['max', 'high', 'low', 'min', 'swap.max', 'swap.high'])} ${size()}`,
    () => `cgroup ${group()} set memory.max ${size()}`,
    () => `cgroup ${group()} set memory.reclaim ${one(['64K', '1M', '20M'])}`,
    () => `cgroup ${group()} set memory.oom.group ${below(2)}`,
    () =>
      `cgroup ${one(['P', 'P', 'Q'])} set cgroup.subtree_control ${one(['+memory', '-memory', '+cpuset', '-cpuset', '+memory +cpuset'])}`,
    () => `cgroup ${group()} set cpuset.mems ${one(['0', '1', '0-1'])}`,
    () => `cgroup ${group()} set cpuset.cpus ${one(['0', '1', '0-1'])}`,
    () => `cgroup ${group()} set cpuset.cpus.partition ${one(['root', 'member'])}`,
    () => `cgroup ${group()} remove`,
    () => `${worker()} mmap ${region()} ${bytes()} ${one(['', '', '', 'flags=shared', 'flags=locked', 'file=/mnt/d'])}`,
    () => `${worker()} touch ${region()} ${one(['read', 'write'])} ${range()}`,
    () => `${worker()} touch ${region()} write ${range()} content=unique`,
    () => `${worker()} touch ${region()} write ${range()} content=unique`,
    () =>
      `${worker()} madvise ${region()} ${one(['hugepage', 'dontneed', 'free', 'populate_write', 'cold', 'pageout', 'collapse'])} ${range()}`,
    () => `${worker()} munmap ${region()} ${range()}`,
    () =>
      `${worker()} ${one(['readfile /mnt/d', 'readfile /mnt/d', 'writefile /mnt/e 3M content=page', 'unlink /mnt/e', 'mkfiles /mnt/g 20'])}`,
    () => `${worker()} migrate_pages ${one(['0 1', '1 0'])}`,
    () => `sleep ${below(300)}`,
    () =>
      `write ${one(['/proc/sys/vm/drop_caches 3', '/proc/sys/vm/swappiness 100', '/proc/sys/vm/swappiness 0', '/proc/sys/vm/compact_memory 1'])}`,
    () => `cpu_online 1 ${below(2)}`,
  ]
  const lines = Array.from({ length: LINES }, () => one(kinds)().replace(/ +/g, ' ').trim())
  const begin = ['cgroup P set cgroup.subtree_control +memory', 'cgroup P/x set memory.max 24M', `cgroup Q set memory.max ${size()}`]
  for (const name of ['A', 'B'])
    begin.push(
      `spawn ${name}`,
      `cgroup ${one(['P/x', 'P/y', 'Q'])} add ${name}`,
      ...['r', 's', 't'].map(area => `${name} mmap ${area} ${bytes()}`),
    )
  return [one(MACHINES), ...begin, ...lines].map(line => line.trim()).join('\n')
}

/** Runs it, and says what happened: results and counters. */
function outcome(text: string, afterEach: boolean): string {
  const sim = createSimulation(parseWorkload(text, 'fuzz'))
  const results: string[] = []
  runToEnd(sim, record => {
    if (record.kind !== 'op') return
    results.push(`${record.statement.i} ${record.ret} ${record.err ?? ''}`)
    if (afterEach) expect(verify(sim.k), `after line ${record.statement.i}: ${record.statement.text}\n${text}`).toEqual([])
  })
  return `${results.join('\n')}\n${sim.k.event.join()}`
}

describe('random work in control groups', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + PROGRAMS; seed++) {
    it(`keeps the machine sound: seed ${seed}`, () => {
      const text = program(seed)
      try {
        const first = outcome(text, true)
        expect(outcome(text, false)).toBe(first)
      } catch (error) {
        if (error instanceof Error) error.message += `\n${text}`
        throw error
      }
    })
  }
})
