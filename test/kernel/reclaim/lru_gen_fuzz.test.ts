/**
 * Random memory under pressure while generations are switched on and off, aged and evicted by command, within groups and with huge
 * pages: every page stays in one place, of the generation it says, and every size is what is counted.
 */
import { type Dice, describeRandom } from '../../workload/random.ts'

const MACHINES = [
  'machine mem=128M cpus=2 swap=128M disk=64M\ncmdline transparent_hugepage=always\nfile d 24M',
  'machine nodes=2 mem=96M,64M cpus=1,1 swap=64M disk=64M\ncmdline transparent_hugepage=madvise\nfile d 24M',
  'machine mem=128M cpus=1 disk=64M\ncmdline transparent_hugepage=never\nfile d 24M',
]
const LRU_GEN = '/sys/kernel/mm/lru_gen'
const COMMANDS = '/sys/kernel/debug/lru_gen'

function program({ below, one }: Dice): string[] {
  const range = () => (below(3) === 0 ? '' : `${below(20)}M ${one(['60K', '1M', '6M', '20M'])}`)
  const worker = () => one(['A', 'A', 'B'])
  const region = () => one(['r', 's', 't'])
  const group = () => one([1, 1, 2])
  const kinds: readonly (() => string)[] = [
    () => `write ${LRU_GEN}/enabled ${one(['y', 'n', '1', '3', '5', '7'])}`,
    () => `write ${COMMANDS} + ${group()} 0 ${3 + below(8)} ${one(['', '1', '0 0', '1 1', '60 0'])}`,
    () => `write ${COMMANDS} - ${group()} 0 ${below(9)} ${one(['', '0', '1', '60', '200', '100 500'])}`,
    () => `read ${COMMANDS}_full`,
    () => `write /proc/sys/vm/swappiness ${one([0, 1, 60, 100, 200])}`,
    () => `fork ${worker()} C\nexit C`,
    () => `cgroup G add ${worker()}`,
    () => `cgroup G set ${one(['memory.max 24M', 'memory.max max', 'memory.reclaim 4M', 'memory.high 30M', 'memory.low 8M'])}`,
    () => `${worker()} mmap ${region()} ${one([4, 20, 40, 70])}M ${one(['', '', 'flags=shared', 'file=/mnt/d', 'memfd flags=shared'])}`,
    () => `${worker()} touch ${region()} ${one(['read', 'write'])} ${range()} content=unique`,
    () => `${worker()} touch ${region()} write ${range()} content=unique`,
    () => `${worker()} touch ${region()} write pattern=${one(['random', 'zipf', 'hot:10/90'])} count=${below(3000)}`,
    () => `${worker()} readfile /mnt/d ${one(['', 'repeat=3', '4M repeat=5'])}`,
    () => `${worker()} writefile /mnt/w ${one(['1M', '8M'])}`,
    () =>
      `${worker()} madvise ${region()} ${one(['hugepage', 'dontneed', 'free', 'cold', 'pageout', 'collapse', 'random', 'sequential'])} ${range()}`,
    () => `${worker()} ${one(['mlock', 'munlock'])} ${region()} ${range()}`,
    () => `${worker()} munmap ${region()} ${range()}`,
    () => `${worker()} move_pages ${region()} 0 4M ${one(['0', '1'])}`,
    () => `write /proc/sys/vm/${one(['drop_caches 1', 'compact_memory 1'])}`,
  ]
  return [
    one(MACHINES),
    `write ${LRU_GEN}/enabled ${one(['7', '7', '3', '1', '0'])}`,
    'spawn A\nspawn B',
    'A mmap r 40M\nA touch r write content=unique\nB mmap s 40M\nB touch s write content=unique',
    ...Array.from({ length: 30 }, () => one(kinds)()),
  ]
}

describeRandom('pages of generations', 'are sound', { programs: 2, salt: 7919, every: 10, program })
