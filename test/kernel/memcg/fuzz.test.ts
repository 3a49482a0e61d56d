/**
 * Random work in control groups under tight limits: every op ends, the machine stays sound, and the run is the same again.
 */
import { type Dice, describeRandom } from '../../workload/random.ts'

const LINES = 45

const MACHINES = [
  'machine mem=160M cpus=2 disk=64M swap=32M\ncmdline transparent_hugepage=always\nfile d 12M',
  'machine nodes=2 mem=96M,96M cpus=1,2 disk=64M swap=16M\ncmdline transparent_hugepage=never\nfile d 12M',
  'machine nodes=2 mem=96M,96M cpus=2,1 disk=64M\ncmdline transparent_hugepage=always\nfile d 12M',
]

function program({ below, one }: Dice): string[] {
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
  const lines = Array.from({ length: LINES }, () => one(kinds)())
  const begin = ['cgroup P set cgroup.subtree_control +memory', 'cgroup P/x set memory.max 24M', `cgroup Q set memory.max ${size()}`]
  for (const name of ['A', 'B'])
    begin.push(
      `spawn ${name}`,
      `cgroup ${one(['P/x', 'P/y', 'Q'])} add ${name}`,
      ...['r', 's', 't'].map(area => `${name} mmap ${area} ${bytes()}`),
    )
  return [one(MACHINES), ...begin, ...lines]
}

describeRandom('random work in control groups', 'keeps the machine sound', { programs: 3, salt: 6151, program })

/** Groups are filled, left and removed, and then memory runs short: for the machine, for the group above, for one that gets a removed one's number. */
function comingAndGoing({ below, one }: Dice): string[] {
  const name = () => one(['P/x', 'P/y', 'Q', 'R'])
  const fills = [
    (area: string) =>
      `A mmap ${area} ${one([1, 3, 6])}M ${one(['', 'flags=shared', 'memfd flags=shared'])}\nA touch ${area} write content=unique`,
    (area: string) => `A mmap ${area} 2M file=/mnt/d\nA touch ${area} ${one(['read', 'write'])}`,
    (area: string) =>
      `A mmap ${area} 4M\nA touch ${area} write content=${one(['const:3', 'comp:30'])}\nA madvise ${area} ${one(['pageout', 'cold', 'free'])}`,
    () => `A readfile /mnt/d ${one([1, 4])}M`,
    () => `A writefile /mnt/e 2M content=page\nA mkfiles /mnt/g 30`,
    () => 'fork A F',
  ]
  const shortages = [
    () => 'C touch big write content=unique',
    () => `cgroup P set memory.max ${one(['max', '4M', '24M'])}`,
    () => `cgroup P set memory.reclaim ${one(['1M', '16M'])}`,
    () => `write /proc/sys/vm/drop_caches ${one([1, 2, 3])}`,
    () => `write /proc/sys/vm/compact_memory 1`,
    () => `sleep ${one([1, 2500])}`,
    () => 'C madvise big dontneed',
    () => 'read /sys/fs/cgroup/memory.stat\ncgroup P read memory.stat\ncgroup P read cgroup.stat',
  ]
  const lines = Array.from({ length: 4 }, (_, round) => {
    const group = name()
    const filled = Array.from({ length: 3 }, (__, i) => one(fills)(`r${round}${i}`))
    const leave = one([
      ['exit A', 'spawn A'],
      ['kill A', 'spawn A'],
      [`cgroup ${name()} add A`, `cgroup ${name()} add F`],
      ['cgroup S add A', 'cgroup S add F'],
    ])
    const limit = below(2) === 0 ? `cgroup ${group} set memory.max ${one(['3M', '8M'])}` : ''
    const short = Array.from({ length: 3 }, () => one(shortages)())
    return [`cgroup ${group} add A`, limit, ...filled, ...leave, 'exit F', `cgroup ${group} remove`, ...short]
  }).flat()
  return [
    one(MACHINES),
    one(['', 'write /sys/kernel/mm/lru_gen/enabled y', 'write /sys/module/zswap/parameters/enabled Y']),
    'cgroup P set cgroup.subtree_control +memory',
    'spawn A',
    'spawn C',
    'C mmap big 110M',
    ...lines.flatMap(line => line.split('\n')).filter(line => line !== ''),
  ]
}

describeRandom('groups that come and go', 'keep the machine sound when memory is short', {
  programs: 3,
  salt: 7877,
  program: comingAndGoing,
})
