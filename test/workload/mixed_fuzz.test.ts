/**
 * Random workloads of everything at once on machines that are too small for them: all ops of the language, under limits, with swap
 * that comes and goes, broken memory, and knobs that are turned meanwhile. No run hangs or breaks, the machine is sound whenever it is
 * recounted, and no memory is lost when all processes have ended.
 */
import { type Dice, describeRandom } from './random.ts'

const LINES = 70

const FILES = 'file d 8M\nfile e 3M'
const MODULES = 'modules=zram,lz4,zstd,z3fold,zsmalloc'
const MACHINES = [
  `machine mem=160M cpus=2 disk=64M swap=24M ${MODULES}\ncmdline transparent_hugepage=always hugepages=3 zswap.enabled=1 secretmem.enable=1\n${FILES}`,
  `machine nodes=2 mem=96M,96M cpus=1,2 disk=64M swap=16M ${MODULES}\ncmdline transparent_hugepage=madvise hugepages=4 secretmem.enable=1\n${FILES}`,
  `machine nodes=3 mem=80M,64M,64M cpus=2,0,1 disk=64M swap=40M ${MODULES}\ncmdline transparent_hugepage=never zswap.enabled=1\n${FILES}`,
  `machine mem=128M cpus=1 disk=64M ${MODULES}\ncmdline transparent_hugepage=always\n${FILES}`,
]

const ADVICE =
  'hugepage nohugepage mergeable unmergeable dontneed dontneed_locked free remove populate_read populate_write cold pageout willneed dontfork dofork wipeonfork keeponfork collapse normal random sequential dontdump hwpoison soft_offline'.split(
    ' ',
  )
const MAPS =
  '|||flags=shared|flags=populate|flags=locked|flags=hugetlb|flags=shared,hugetlb|flags=noreserve|prot=r|prot=none|memfd|memfd flags=shared|memfd=hugetlb flags=shared|secret|file=/mnt/d|file=/mnt/d flags=shared|file=/mnt/e flags=shared notrunc|file=/t/x flags=shared'.split(
    '|',
  )
const KNOBS = [
  'vm/drop_caches 1',
  'vm/drop_caches 3',
  'vm/compact_memory 1',
  'vm/swappiness 0',
  'vm/swappiness 200',
  'vm/overcommit_memory 0',
  'vm/overcommit_memory 1',
  'vm/overcommit_memory 2',
  'vm/min_free_kbytes 6000',
  'vm/min_free_kbytes 1000',
  'vm/nr_hugepages 0',
  'vm/nr_hugepages 5',
  'vm/nr_overcommit_hugepages 4',
  'vm/oom_kill_allocating_task 1',
  'vm/page-cluster 0',
  'vm/page-cluster 5',
  'vm/dirty_bytes 1048576',
  'vm/dirty_ratio 20',
  'vm/vfs_cache_pressure 1000',
  'vm/watermark_scale_factor 500',
  'vm/zone_reclaim_mode 7',
  'vm/percpu_pagelist_high_fraction 8',
  'kernel/numa_balancing 1',
]
const SWITCHES = [
  '/sys/kernel/mm/transparent_hugepage/enabled always',
  '/sys/kernel/mm/transparent_hugepage/enabled never',
  '/sys/kernel/mm/transparent_hugepage/shmem_enabled always',
  '/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs 20',
  '/sys/kernel/mm/transparent_hugepage/defrag always',
  '/sys/kernel/mm/ksm/run 1',
  '/sys/kernel/mm/ksm/run 2',
  '/sys/kernel/mm/ksm/sleep_millisecs 5',
  '/sys/kernel/mm/lru_gen/enabled y',
  '/sys/kernel/mm/lru_gen/enabled n',
  '/sys/module/zswap/parameters/enabled Y',
  '/sys/module/zswap/parameters/enabled N',
  '/sys/module/zswap/parameters/zpool zsmalloc',
  '/sys/module/zswap/parameters/compressor lz4',
  '/sys/module/zswap/parameters/max_pool_percent 2',
  '/sys/devices/system/memory/memory1/state offline',
  '/sys/devices/system/memory/memory1/state online',
  '/sys/kernel/debug/sched/numa_balancing/scan_delay_ms 1',
]

interface Words {
  readonly bytes: () => string
  readonly range: () => string
  readonly worker: () => string
  readonly region: () => string
}

function wordsOf({ below, one }: Dice): Words {
  const bytes = () => `${one([1, 3, 4, 16, 60, 512, 1024, 2048, 3000, 6144]) * 4}K`
  return {
    bytes,
    range: () => (below(3) === 0 ? '' : `${below(700) * 4}K ${bytes()}`),
    worker: () => one(['A', 'A', 'B', 'C']),
    region: () => one(['r', 'r', 's', 't', 'u']),
  }
}

/** What processes do to their memory. */
function memoryOps({ below, one }: Dice, { bytes, range, worker, region }: Words): readonly (() => string)[] {
  const content = () => one(['', '', 'content=page', 'content=unique', 'content=const:3', 'content=zero', 'content=comp:40'])
  const policy = () => one(['bind:0', 'bind:1', 'interleave:0-2', 'preferred:1', 'preferred_many:0,1', 'local', 'default'])
  const op = (text: () => string) => () => `${worker()} ${text()}`
  return [
    op(() => `mmap ${region()} ${bytes()} ${one(MAPS)} ${one(['', '', 'align=4K', 'align=none'])}`),
    op(() => `touch ${region()} ${one(['read', 'write'])} ${range()}`),
    op(() => `touch ${region()} write ${range()} ${content()}`),
    op(() => `touch ${region()} write pattern=${one(['random', 'zipf', 'hot:10/90'])} count=${1 + below(300)}`),
    op(() => `touch ${region()} read for=${1 + below(20)}`),
    op(() => `check ${region()} ${content()}`),
    op(() => `madvise ${region()} ${one(ADVICE)} ${range()}`),
    op(() => `madvise ${region()} ${one(ADVICE)} ${range()}`),
    op(() => `munmap ${region()} ${one([range(), range(), 'stride=64K span=8K'])}`),
    op(() => `mprotect ${region()} ${one(['ro', 'rw', 'none'])} ${one([range(), 'stride=32K span=12K'])}`),
    op(() => `mremap ${region()} ${bytes()} ${one(['', 'nomove', 'to=new', 'to=new dontunmap'])}`),
    op(() => `${one(['mlock', 'munlock'])} ${region()} ${range()} ${one(['', 'stride=16K'])}`),
    op(() => one(['mlockall current', 'mlockall future', 'mlockall current,future,onfault', 'munlockall'])),
    op(() => `mbind ${region()} ${policy()} ${range()} ${one(['', 'flags=move', 'flags=strict', 'flags=move_all'])}`),
    op(() => `set_mempolicy ${policy()}`),
    op(() => `migrate_pages ${one(['0', '1', '0,1', '0-2'])} ${one(['0', '1', '1,0', '2', '1,2,0'])}`),
    op(() => `move_pages ${region()} ${below(100) * 4}K 400K ${one(['0', '1', '2', 'query'])}`),
    op(() => `${one(['mincore', 'msync', 'pagemap'])} ${region()}`),
    op(() => `fallocate ${region()} ${one(['punch', 'punch 0 64K', 'alloc', 'alloc 1M 2M'])}`),
    op(() => `ftruncate ${region()} ${one(['0', '40K', '1M', '6M'])}`),
    op(() => `clear_refs ${one([1, 2, 3, 4])}`),
    op(() => one(['oom_score_adj 0', 'oom_score_adj 500', 'oom_score_adj -1000', 'rlimit memlock 1M', 'rlimit data 64M', 'rlimit as 4G'])),
    op(() => `thp_disable ${below(2)}`),
    op(() => `cpu ${one(['0', '1', 'any'])}`),
    op(() => one(['uffd_open', 'uffd_handler zeropage', 'uffd_handler copy', 'uffd_events'])),
    op(() => `uffd_register ${region()} ${one(['missing', 'wp', 'missing,wp', 'minor'])} ${range()}`),
    op(() => `uffd_writeprotect ${region()} ${one(['on', 'off'])} ${range()}`),
    op(() =>
      `${one(['uffd_unregister', 'uffd_copy', 'uffd_zeropage', 'uffd_wake'])} ${region()}`.replace(/(copy|page|wake) (\w)$/, '$1 $2 0 64K'),
    ),
  ]
}

/** What they do to files, and what is done to the machine. */
function otherOps({ below, one }: Dice, { worker, region }: Words): readonly (() => string)[] {
  const group = () => one(['P', 'P/x', 'Q'])
  const size = () => one(['max', '0', '1M', '4M', '12M', '30M'])
  const device = () => one(['/dev/vda', '/dev/zram0'])
  return [
    () => `${worker()} readfile ${one(['/mnt/d', '/mnt/e', '/mnt/n', '/t/x'])} ${one(['', 'random', 'direct', 'repeat=2'])}`,
    () =>
      `${worker()} writefile ${one(['/mnt/d', '/mnt/n', '/t/x', '/t/y'])} ${one(['64K', '3M', '9M'])} ${one(['', 'append', 'off=1M', 'sync'])}`,
    () => `${worker()} fadvise /mnt/d ${one(['dontneed', 'willneed', 'random', 'sequential'])}`,
    () =>
      `${worker()} ${one(['fsync /mnt/n', 'unlink /mnt/n', 'unlink /t/x', 'mkfiles /mnt/f 60', 'statfiles /mnt/f 60 negative', 'rmfiles /mnt/f 30'])}`,
    () => `spawn ${worker()} ${one(['', 'cpu=any', 'cpu=1', 'policy=bind:0'])}`,
    () => `fork ${worker()} ${worker()}`,
    () => `${one(['exit', 'kill'])} ${worker()}\nspawn A\nspawn B`,
    () => `bg ${worker()} touch ${region()} write repeat=2`,
    () => `join ${worker()} timeout=2000`,
    () => `cgroup ${group()} add ${worker()}`,
    () => `cgroup ${group()} set memory.${one(['max', 'high', 'low', 'min', 'swap.max', 'swap.high', 'zswap.max'])} ${size()}`,
    () => `cgroup ${group()} set memory.reclaim ${one(['64K', '1M', '20M'])}`,
    () =>
      `cgroup ${group()} set ${one(['memory.oom.group 1', 'cpuset.mems 0', 'cpuset.mems 0-1', 'cpuset.cpus 0', 'cgroup.freeze 1', 'cgroup.freeze 0', 'cgroup.kill 1'])}`,
    () => `cgroup ${group()} remove`,
    () => `write /proc/sys/${one(KNOBS)}`,
    () => `write /proc/sys/${one(KNOBS)}`,
    () => `write ${one(SWITCHES)}`,
    () => `write ${one(SWITCHES)}`,
    () => `${one(['swapoff', 'swapon', 'swapon'])} ${device()}`,
    () => one(['mount tmpfs /t size=6M', 'mount tmpfs /t huge=always', 'umount /t', 'sync']),
    () => `cpu_online 1 ${below(2)}`,
    () => `sleep ${below(200)}`,
    () => `uffd_mode ${worker()} ${one(['copy', 'zeropage'])}`,
  ]
}

function program(dice: Dice): string[] {
  const { one } = dice
  const words = wordsOf(dice)
  const memory = memoryOps(dice, words)
  const other = otherOps(dice, words)
  const lines = Array.from({ length: LINES }, () => one(one([memory, memory, other]))())
  const begin = ['mount tmpfs /t size=12M', 'write /sys/block/zram0/disksize 16M', 'mkswap /dev/zram0', 'swapon /dev/zram0 prio=5']
  begin.push('cgroup P set cgroup.subtree_control +memory', 'cgroup P/x set memory.max 24M', 'cgroup Q set memory.high 16M')
  for (const name of ['A', 'B'])
    begin.push(`spawn ${name}`, ...['r', 's', 't'].map(area => `${name} mmap ${area} ${words.bytes()} ${one(MAPS)}`))
  begin.push(`cgroup ${one(['P/x', 'Q'])} add B`)
  return [one(MACHINES), ...begin, ...lines, 'kill A', 'kill B', 'kill C']
}

describeRandom('random workloads of everything', 'keeps the machine sound', { programs: 6, salt: 15485863, every: 10, program })
