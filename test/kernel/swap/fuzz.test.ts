/**
 * Random work on machines that swap: memory goes out and comes back, areas come and go, processes fork and die, and every byte is
 * what was written, every slot accounted for.
 */
import { expect } from 'vitest'
import { type Dice, describeRandom } from '../../workload/random.ts'

const LINES = 45

const ZRAM = 'write /sys/block/zram0/disksize 24M\nmkswap /dev/zram0\nswapon /dev/zram0 prio=5'
const MACHINES = [
  'machine mem=128M cpus=2 swap=40M\ncmdline transparent_hugepage=never',
  'machine nodes=2 mem=80M,80M cpus=1,2 swap=24M\ncmdline transparent_hugepage=always',
  `machine mem=128M cpus=2 swap=24M modules=zram\ncmdline transparent_hugepage=always\n${ZRAM}`,
]

/** Region k is filled with the same bytes whenever it is written, so that what is read can be checked at any time; z is anybody's. */
function program({ below, one }: Dice): string[] {
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
}

describeRandom('random work on a machine that swaps', 'loses nothing', {
  programs: 3,
  salt: 7919,
  program,
  check: ({ statement, fields }) => {
    if (statement.text.startsWith('A check')) expect(fields, `line ${statement.i}`).toMatchObject({ differ: 0, zero: 0 })
  },
})
