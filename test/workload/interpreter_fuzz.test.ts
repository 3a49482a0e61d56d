/**
 * Random workloads: whatever a file asks for, the machine stays sound after every line, the run comes to an end, and it is the
 * same run again. A failure prints the program that repeats it.
 */
import { type Dice, describeRandom } from './random.ts'

const LINES = 60

const MACHINES = [
  'machine mem=192M cpus=2 disk=64M\ncmdline transparent_hugepage=always\nfile d 8M',
  'machine nodes=2 mem=128M,128M cpus=1,2 disk=64M\ncmdline transparent_hugepage=madvise hugepages=6\nfile d 8M',
  'machine nodes=3 mem=96M,64M,64M cpus=2,0,1\ncmdline transparent_hugepage=never',
]

function program({ below, one }: Dice): string[] {
  const bytes = () => `${one([1, 3, 4, 16, 60, 512, 1024, 2048, 3000, 6144]) * 4}K`
  const range = () => (below(3) === 0 ? '' : `${below(700) * 4}K ${bytes()}`)
  const worker = () => one(['A', 'A', 'A', 'B', 'B', 'C'])
  const region = () => one(['r', 'r', 's', 't'])
  const content = () => one(['', '', 'content=page', 'content=unique', 'content=const:3', 'content=zero'])
  const flags = () =>
    one([
      '',
      '',
      '',
      'flags=shared',
      'flags=populate',
      'flags=locked',
      'flags=hugetlb',
      'flags=noreserve',
      'prot=r',
      'memfd flags=shared',
      'file=/mnt/d',
      'file=/mnt/d flags=shared',
    ])
  const policy = () => one(['bind:0', 'bind:1', 'interleave:0-2', 'preferred:1', 'preferred_many:0,1', 'local', 'default'])
  const kinds: readonly (() => string)[] = [
    () => `spawn ${worker()} cpu=${one(['0', '1', 'any'])}`,
    () => `fork ${worker()} ${worker()}`,
    () => (below(3) === 0 ? `${one(['exit', 'kill'])} ${worker()}\nspawn A\nspawn B` : `fork A C`),
    () => `${worker()} mmap ${region()} ${bytes()} ${flags()} ${one(['', '', 'align=4K', 'align=none'])}`,
    () => `${worker()} mmap ${region()} ${bytes()} ${flags()}`,
    () => `${worker()} touch ${region()} ${one(['read', 'write'])} ${range()} ${content()}`,
    () => `${worker()} touch ${region()} write ${range()} ${content()}`,
    () => `${worker()} touch ${region()} write pattern=${one(['random', 'zipf', 'hot:10/90'])} count=${below(300)}`,
    () => `${worker()} check ${region()} ${content()}`,
    () =>
      `${worker()} madvise ${region()} ${one(['hugepage', 'nohugepage', 'dontneed', 'free', 'remove', 'populate_read', 'populate_write', 'cold', 'willneed', 'dontfork', 'dofork', 'wipeonfork', 'collapse'])} ${range()}`,
    () => `${worker()} munmap ${region()} ${range()}`,
    () => `${worker()} munmap ${region()} stride=64K span=8K`,
    () => `${worker()} mprotect ${region()} ${one(['ro', 'rw', 'none'])} ${range()}`,
    () => `${worker()} mremap ${region()} ${bytes()} ${one(['', 'nomove', 'to=new', 'to=new dontunmap'])}`,
    () => `${worker()} ${one(['mlock', 'munlock'])} ${region()} ${range()}`,
    () => `${worker()} ${one(['mlockall current', 'mlockall future,onfault', 'munlockall'])}`,
    () => `${worker()} mbind ${region()} ${policy()} ${range()} ${one(['', 'flags=move', 'flags=strict'])}`,
    () => `${worker()} set_mempolicy ${policy()}`,
    () => `${worker()} migrate_pages ${one(['0', '1', '0,1', '0-2'])} ${one(['0', '1', '1,0', '2', '1,2,0'])}`,
    () => `${worker()} move_pages ${region()} ${below(100) * 4}K 400K ${one(['0', '1', '2', 'query'])}`,
    () => `${worker()} touch ${region()} ${one(['read', 'write'])} for=${below(60)}`,
    () =>
      `write /sys/kernel/debug/sched/numa_balancing/${one(['scan_delay_ms 1', 'scan_period_min_ms 5', 'scan_size_mb 1', 'scan_period_max_ms 20'])}`,
    () =>
      `${worker()} ${one(['readfile /mnt/d', 'writefile /mnt/e 300K content=page', 'writefile /mnt/d 64K off=1M', 'fadvise /mnt/d dontneed', 'fsync /mnt/e', 'unlink /mnt/e', 'mkfiles /mnt/f 20'])}`,
    () =>
      `${worker()} ${one(['fallocate', 'ftruncate'])} ${region()} ${one(['punch 0 64K', 'alloc', '40K', '4M'])}`
        .replace(/ftruncate (\w) (punch 0 64K|alloc)/, 'ftruncate $1 1M')
        .replace(/fallocate (\w) (40K|4M)/, 'fallocate $1 punch'),
    () => `${worker()} cpu ${one(['0', '1', 'any'])}`,
    () => `bg ${worker()} touch ${region()} write repeat=2`,
    () => `join ${worker()}`,
    () => `sleep ${below(300)}`,
    () =>
      `write ${one(['/proc/sys/vm/drop_caches 3', '/proc/sys/vm/compact_memory 1', '/sys/kernel/mm/transparent_hugepage/enabled always', '/proc/sys/vm/nr_hugepages 3', '/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs 50', '/proc/sys/vm/overcommit_memory 2', '/proc/sys/vm/min_free_kbytes 4096'])}`,
    () => `cpu_online 1 ${below(2)}`,
  ]
  const lines = Array.from({ length: LINES }, () => one(kinds)())
  const begin = ['A', 'B'].flatMap(name => [`spawn ${name}`, ...['r', 's', 't'].map(area => `${name} mmap ${area} ${bytes()} ${flags()}`)])
  return [one(MACHINES), ...begin, ...lines]
}

describeRandom('random workloads', 'keeps the machine sound', { programs: 10, salt: 7919, program })
