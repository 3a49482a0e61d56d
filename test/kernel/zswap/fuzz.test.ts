/**
 * Random work on machines whose swap is compressed: pools, compressors and limits change while pages come and go; every byte is what was
 * written, every pool adds up, and the same run happens again.
 */
import { expect } from 'vitest'
import { type Dice, describeRandom } from '../../workload/random.ts'

const LINES = 30

const MODULES = 'modules=zram,lz4,zstd,z3fold'
const ZRAM = 'write /sys/block/zram0/disksize 16M\nmkswap /dev/zram0\nswapon /dev/zram0 prio=5'
const MACHINES = [
  `machine mem=128M cpus=2 swap=32M ${MODULES}\ncmdline transparent_hugepage=never zswap.enabled=1`,
  `machine mem=128M cpus=2 swap=16M ${MODULES}\ncmdline transparent_hugepage=always zswap.enabled=1\n${ZRAM}`,
  `machine nodes=2 mem=80M,80M cpus=1,1 swap=16M ${MODULES}\n${ZRAM}`,
]

function program({ below, one }: Dice): string[] {
  const range = () => one(['', `${below(5)}M 1M`, `${below(1000) * 4}K 256K`])
  const zswap = (file: string, values: readonly string[]) => `write /sys/module/zswap/parameters/${file} ${one(values)}`
  const zram = (file: string, values: readonly string[]) => `write /sys/block/zram0/${file} ${one(values)}`
  const kinds: readonly (() => string)[] = [
    () => `A madvise ${one(['k', 'z'])} pageout ${range()}`,
    () => `A madvise ${one(['k', 'z'])} pageout ${range()}`,
    () => `A touch z write ${range()} content=${one(['comp:10', 'comp:35', 'comp:60', 'comp:95', 'unique', 'zero', 'const:3', 'page'])}`,
    () => `A touch z write ${range()}`,
    () => `A touch ${one(['k', 'z'])} read ${range()}`,
    () => `A madvise z dontneed ${range()}`,
    () => zswap('compressor', ['lzo', 'lz4', 'zstd', 'deflate', 'none']),
    () => zswap('zpool', ['zbud', 'zsmalloc', 'z3fold']),
    () => zswap('max_pool_percent', ['0', '1', '3', '20']),
    () => zswap('enabled', ['Y', 'Y', 'N']),
    () => zswap('same_filled_pages_enabled', ['Y', 'N']),
    () => zram('compact', ['1']),
    () => zram('mem_limit', ['0', '1M', '4M']),
    () => zram('idle', ['all']),
    () => `B mmap p ${one(['40M', '90M'])}\nB touch p write content=comp:50\nB munmap p`,
    () => `swapoff ${one(['/dev/vda', '/dev/zram0'])}`,
    () => `swapon ${one(['/dev/vda', '/dev/zram0'])}`,
    () => 'write /proc/sys/vm/drop_caches 2',
    () => 'write /proc/sys/vm/compact_memory 1',
    () => `sleep ${below(20)}`,
  ]
  const begin = ['spawn A', 'spawn B', 'A mmap k 5M', 'A touch k write content=comp:45', 'A mmap z 6M', 'A oom_score_adj -1000']
  const lines = Array.from({ length: LINES }, () => one(kinds)())
  return [one(MACHINES), ...begin, ...lines, 'A check k content=comp:45']
}

describeRandom('random work on compressed swap', 'loses nothing', {
  programs: 2,
  salt: 104729,
  every: 6,
  program,
  check: ({ statement, fields }) => {
    if (statement.text.startsWith('A check')) expect(fields, statement.text).toMatchObject({ differ: 0 })
  },
})
