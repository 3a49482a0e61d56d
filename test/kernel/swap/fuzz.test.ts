/**
 * Random work on machines that swap: memory goes out and comes back, areas come and go, processes fork and die, and every byte is
 * what was written, every slot accounted for.
 */
import { describe, expect, it } from 'vitest'
import { type Rng, rngBelow } from '../../../src/kernel/base/rng.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

const PROGRAMS = Number(process.env['FUZZ_PROGRAMS'] ?? 3)
const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1)
const LINES = 45

const ZRAM = 'write /sys/block/zram0/disksize 24M\nmkswap /dev/zram0\nswapon /dev/zram0 prio=5'
const MACHINES = [
  'machine mem=128M cpus=2 swap=40M\ncmdline transparent_hugepage=never',
  'machine nodes=2 mem=80M,80M cpus=1,2 swap=24M\ncmdline transparent_hugepage=always',
  `machine mem=128M cpus=2 swap=24M modules=zram\ncmdline transparent_hugepage=always\n${ZRAM}`,
]

/** Region k is filled with the same bytes whenever it is written, so that what is read can be checked at any time; z is anybody's. */
function program(seed: number): string {
  const rng: Rng = { state: seed * 7919 }
  const below = (n: number) => rngBelow(rng, n)
  const one = <T>(of: readonly T[]): T => of[below(of.length)]
  const range = () => (below(3) === 0 ? '' : `${below(1500) * 4}K ${one([4, 16, 64, 256, 1024, 2048, 4096])}K`)
  const worker = () => one(['A', 'A', 'B', 'C'])
  const region = () => one(['k', 'k', 's', 'z'])
  const kinds: readonly (() => string)[] = [
    () => `${worker()} madvise ${region()} pageout ${range()}`,
    () => `${worker()} madvise ${region()} pageout ${range()}`,
    () => `${worker()} madvise ${region()} ${one(['willneed', 'cold', 'populate_read', 'populate_write', 'collapse'])} ${range()}`,
    () => `${worker()} madvise z ${one(['free', 'dontneed', 'remove'])} ${range()}`,
    () => `${worker()} touch ${one(['k', 's'])} read ${range()}`,
    () => `A touch ${one(['k', 's'])} write ${range()} content=unique`,
    () => `${one(['B', 'C'])} touch z write ${range()} content=${one(['unique', 'zero', 'comp:30', 'const:7'])}`,
    () => `${worker()} ${one(['mlock', 'munlock'])} z ${range()}`,
    () => `${worker()} mprotect z ${one(['ro', 'rw', 'none'])} ${range()}`,
    () => `${worker()} munmap z ${range()}`,
    () => `${worker()} mremap k 6M to=new`,
    () => {
      const child = one(['B', 'C'])
      return `fork A ${child}\n${child} oom_score_adj 0`
    },
    () => `exit ${one(['B', 'C'])}\nspawn ${one(['B', 'C'])}\n${one(['B', 'C'])} mmap z 6M`,
    () => `B mmap p ${one([24, 60, 90])}M\nB touch p write\nB munmap p`,
    () =>
      `write /proc/sys/vm/${one(['swappiness 0', 'swappiness 100', 'swappiness 200', 'page-cluster 0', 'page-cluster 5', 'drop_caches 3', 'compact_memory 1'])}`,
    () => `write /sys/kernel/mm/swap/vma_ra_enabled ${one(['true', 'false'])}`,
    () => `${worker()} madvise ${one(['k', 'z'])} ${one(['mergeable', 'unmergeable'])}`,
    () => `write /sys/kernel/mm/ksm/${one(['run 1', 'run 1', 'run 0', 'run 2'])}\nsleep 60`,
    () => `${worker()} migrate_pages ${one(['0 1', '1 0'])}`,
    () => `${worker()} mbind k bind:0 ${range()} flags=move`,
    () => `A clear_refs ${one([1, 4])}`,
    () => `A mincore ${one(['k', 's'])}`,
    () => `swapoff ${one(['/dev/vda', '/dev/zram0'])}`,
    () => `swapon ${one(['/dev/vda', '/dev/zram0'])} ${one(['', 'prio=5', 'prio=0'])}`,
    () => `cpu_online 1 ${below(2)}`,
    () => `sleep ${below(50)}`,
  ]
  const lines = Array.from({ length: LINES }, () => one(kinds)())
  const begin = ['spawn A', 'spawn B', 'A mmap k 6M', 'A mmap s 4M flags=shared', 'A mmap z 6M']
  begin.push('A touch k write content=unique', 'A touch s write content=unique', 'A oom_score_adj -1000', 'B mmap z 6M')
  const checked = lines.flatMap((line, i) => (i % 9 === 8 ? [line, 'A check k content=unique', 'A check s content=unique'] : [line]))
  return [one(MACHINES), ...begin, ...checked]
    .join('\n')
    .split('\n')
    .map(line => line.replace(/ +/g, ' ').trim())
    .join('\n')
}

/** Runs it, and says what happened: results and counters. */
function outcome(text: string, afterEach: boolean): string {
  const sim = createSimulation(parseWorkload(text, 'fuzz'))
  const results: string[] = []
  runToEnd(sim, record => {
    if (record.kind !== 'op') return
    const { i, text: line } = record.statement
    results.push(`${i} ${record.ret} ${record.err ?? ''}`)
    if (line.startsWith('A check')) expect(record.fields, `line ${i}`).toMatchObject({ differ: 0, zero: 0 })
    if (afterEach) expect(verify(sim.k), `after line ${i}: ${line}`).toEqual([])
  })
  return `${results.join('\n')}\n${sim.k.event.join()}`
}

describe('random work on a machine that swaps', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + PROGRAMS; seed++) {
    it(`loses nothing: seed ${seed}`, () => {
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
