/**
 * Random workloads of what turns pages into others: huge pages of both kinds, merging, compaction, swap, broken memory, blocks that
 * go offline. The machine stays sound after every line, and the run is the same again.
 */
import { type Dice, describeRandom } from './random.ts'

const LINES = 60
const THP = '/sys/kernel/mm/transparent_hugepage'
const KSM = '/sys/kernel/mm/ksm'

const MACHINES = [
  'machine mem=256M cpus=2 swap=48M',
  'machine nodes=2 mem=256M,128M cpus=1,1 swap=32M disk=64M\ncmdline hugepages=6\nfile d 8M',
  'machine nodes=2 mem=384M,256M cpus=1,2 swap=64M\ncmdline hugepages=4',
]

const BEGIN = [
  `write ${THP}/enabled always`,
  `write ${THP}/shmem_enabled advise`,
  `write ${THP}/khugepaged/scan_sleep_millisecs 20`,
  `write ${KSM}/sleep_millisecs 5`,
  `write ${KSM}/run 1`,
]

const ADVICE = [
  'hugepage',
  'nohugepage',
  'collapse',
  'mergeable',
  'unmergeable',
  'pageout',
  'cold',
  'free',
  'dontneed',
  'remove',
  'populate_write',
  'willneed',
  'wipeonfork',
  'dontfork',
  'soft_offline',
]

const KNOBS = [
  `${THP}/enabled madvise`,
  `${THP}/enabled always`,
  `${THP}/enabled never`,
  `${THP}/defrag always`,
  `${THP}/defrag defer+madvise`,
  `${THP}/use_zero_page 0`,
  `${THP}/shmem_enabled always`,
  `${THP}/shmem_enabled within_size`,
  `${THP}/shmem_enabled force`,
  `${THP}/khugepaged/max_ptes_none 511`,
  `${THP}/khugepaged/max_ptes_none 0`,
  `${THP}/khugepaged/max_ptes_shared 0`,
  `${THP}/khugepaged/max_ptes_swap 0`,
  `${THP}/khugepaged/pages_to_scan 100000`,
  `${KSM}/run 0`,
  `${KSM}/run 1`,
  `${KSM}/run 2`,
  `${KSM}/use_zero_pages 1`,
  `${KSM}/max_page_sharing 4`,
  `${KSM}/merge_across_nodes 0`,
  '/proc/sys/vm/nr_hugepages 0',
  '/proc/sys/vm/nr_hugepages 12',
  '/proc/sys/vm/nr_overcommit_hugepages 4',
  '/proc/sys/vm/compact_memory 1',
  '/proc/sys/vm/compaction_proactiveness 100',
  '/proc/sys/vm/drop_caches 2',
  '/proc/sys/vm/swappiness 200',
  '/proc/sys/vm/min_free_kbytes 16384',
]

function program({ below, one }: Dice): string[] {
  const bytes = () => `${one([4, 64, 1024, 2048, 4096, 6144, 9216])}K`
  const range = () => (below(3) === 0 ? '' : `${one([0, 4, 512, 1024, 2044, 2048, 4096])}K ${bytes()}`)
  const worker = () => one(['A', 'A', 'A', 'B', 'B', 'C'])
  const region = () => one(['r', 'r', 's', 't'])
  const content = () => one(['', '', 'content=page', 'content=unique', 'content=const:3', 'content=zero', 'content=comp:40'])
  const area = () =>
    one([
      '',
      '',
      '',
      '',
      'flags=shared',
      'memfd flags=shared',
      'memfd',
      'flags=hugetlb',
      'flags=hugetlb,shared',
      'memfd=hugetlb',
      'flags=locked',
    ])
  const block = () => `/sys/devices/system/memory/memory${below(5)}/state`
  const kinds: readonly (() => string)[] = [
    () => `fork ${worker()} ${worker()}`,
    () => (below(2) === 0 ? `${one(['exit', 'kill'])} ${worker()}\nspawn A\nspawn B` : 'fork A C'),
    () => `${worker()} mmap ${region()} ${bytes()} ${area()} ${one(['', '', 'align=4K'])}`,
    () => `${worker()} mmap ${region()} ${bytes()} ${area()}`,
    () => `${worker()} touch ${region()} ${one(['read', 'write'])} ${range()} ${content()}`,
    () => `${worker()} touch ${region()} write ${range()} ${content()}`,
    () => `${worker()} touch ${region()} write ${range()} stride=${one(['64K', '512K', '2M'])}`,
    () => `${worker()} check ${region()} ${content()}`,
    () => `${worker()} madvise ${region()} ${one(ADVICE)} ${range()}`,
    () => `${worker()} madvise ${region()} ${one(ADVICE)} ${range()}`,
    () =>
      `${worker()} madvise ${region()} ${one(['dontneed', 'pageout', 'free', 'mergeable'])} 0 9M stride=128K span=${one(['4K', '64K'])}`,
    () => (below(4) === 0 ? `${worker()} madvise ${region()} hwpoison ${one([0, 1024, 2048])}K 4K` : `${worker()} pagemap ${region()}`),
    () => `${worker()} munmap ${region()} ${range()}`,
    () => `${worker()} mprotect ${region()} ${one(['ro', 'rw', 'none'])} ${range()}`,
    () => `${worker()} mremap ${region()} ${bytes()} ${one(['', 'nomove', 'to=new', 'to=new dontunmap'])}`,
    () => `${worker()} ${one(['mlock', 'munlock'])} ${region()} ${range()}`,
    () => `${worker()} ${one(['clear_refs 1', 'clear_refs 4', 'thp_disable 1', 'thp_disable 0', 'mlockall current', 'munlockall'])}`,
    () => `${worker()} ${one(['migrate_pages 0 1', 'migrate_pages 1 0'])}`,
    () => `${worker()} move_pages ${region()} ${one([0, 4, 2048])}K ${bytes()} ${one(['0', '1', 'query'])}`,
    () => `${worker()} mbind ${region()} ${one(['bind:0', 'bind:1', 'interleave:0-1', 'default'])} ${range()} ${one(['', 'flags=move'])}`,
    () => `${worker()} fallocate ${region()} ${one(['punch', 'alloc'])} ${range()}`,
    () => `${worker()} ftruncate ${region()} ${bytes()}`,
    () => `write ${one(KNOBS)}`,
    () => `write ${one(KNOBS)}`,
    () => `write ${block()} ${one(['offline', 'online', 'online_movable', 'online_kernel'])}`,
    () => one(['swapoff /dev/vda', 'swapon /dev/vda', 'sample all', 'sample some light']),
    () => `sleep ${one([5, 50, 300])}`,
  ]
  const begin = ['A', 'B'].flatMap(name => [`spawn ${name}`, ...['r', 's', 't'].map(each => `${name} mmap ${each} ${bytes()} ${area()}`)])
  return [one(MACHINES), ...BEGIN, ...begin, ...Array.from({ length: LINES }, () => one(kinds)())]
}

describeRandom('random workloads of pages that become others', 'leave the machine sound, and run alike again', {
  programs: 5,
  salt: 15485863,
  every: 4,
  program,
})
