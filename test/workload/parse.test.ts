import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseLine, parseWorkload, resolvePids } from '../../src/workload/parse.ts'
import type { ControllerOp, Statement, WorkerOp } from '../../src/workload/program.ts'

const program = (...lines: string[]) => parseWorkload(lines.join('\n'), 'w')
const first = (text: string): Statement => program(text).statements[0]

/** What a worker line says. */
function own(text: string): WorkerOp {
  const statement = first(`A ${text}`)
  if (statement.kind !== 'worker') throw new Error(`${text} is a ${statement.kind}`)
  return statement.op
}

/** What a controller line says. */
function op(text: string): ControllerOp {
  const statement = first(text)
  if (statement.kind !== 'controller') throw new Error(`${text} is a ${statement.kind}`)
  return statement.op
}

const whole = { offset: 0, length: undefined }
const once = { passes: 1, forNs: undefined, checkEvery: 'pass', count: undefined, rateBytesPerS: undefined, pattern: { kind: 'seq' } }

describe('lines', () => {
  it('are numbered from 1, with comments and blank lines counted, and keep their text for recordings', () => {
    const { statements } = program('# head', '', '  sync   # now', '\tsleep 5\t')
    expect(statements.map(({ i, column, text }) => [i, column, text])).toEqual([
      [3, 3, 'sync'],
      [4, 2, 'sleep 5'],
    ])
  })

  it('begin a comment only at the start or after a blank', () => {
    expect(op('write /p a#b')).toEqual({ op: 'write', path: '/p', value: 'a#b' })
    expect(op('write /p a #b')).toEqual({ op: 'write', path: '/p', value: 'a' })
  })

  it('keep the blanks inside the rest of a line', () => {
    expect(op('write /p  64 64  8\t0 ')).toEqual({ op: 'write', path: '/p', value: '64 64  8\t0' })
    expect(own('write /p max  1')).toEqual({ op: 'write', path: '/p', value: 'max  1' })
    expect(op('cgroup G set cpuset.mems 0  1')).toEqual({
      op: 'cgroup',
      group: 'G',
      action: { kind: 'set', file: 'cpuset.mems', value: '0  1' },
    })
  })

  it('may end in CRLF and begin with a byte order mark', () => {
    expect(parseWorkload('\ufeffsync\r\ndmesg\r\n', 'w').statements.map(({ text }) => text)).toEqual(['sync', 'dmesg'])
  })

  it('are all read, also when there are none', () => {
    expect(parseWorkload('', 'w').statements).toEqual([])
    expect(parseWorkload('# nothing', 'w').statements).toEqual([])
  })
})

describe('$A', () => {
  it('is left until its turn, and then is the pid, anywhere in the line', () => {
    const [cat, write, seed] = program('read /proc/$A/smaps', 'write /x $A,$B', 'A touch R read seed=$A').statements
    const pids = (name: string) => (name === 'A' ? 41 : undefined)
    const resolved = [cat, write, seed].map(statement => (statement.kind === 'deferred' ? resolvePids(statement, pids) : undefined))
    expect(resolved[0]).toMatchObject({ i: 1, text: 'read /proc/$A/smaps', kind: 'controller', op: { op: 'read', path: '/proc/41/smaps' } })
    expect(resolved[1]).toMatchObject({ i: 2, op: { value: '41,0' } })
    expect(resolved[2]).toMatchObject({ kind: 'worker', worker: 'A', op: { seed: 41 } })
  })

  it('is checked like any other line when the file is read', () => {
    expect(() => program('raed /proc/$A/smaps')).toThrow('unknown op "raed"')
  })

  it('means nothing in a header', () => {
    expect(program('title costs $5').title).toBe('costs $5')
  })

  it('stands in a block for the block of its process', () => {
    const [block] = program('bg A', 'write /x $A', 'end').statements
    const line = block.kind === 'bg-block' ? block.body[0] : undefined
    expect(line).toMatchObject({ kind: 'deferred', block: 'A' })
    expect(line?.kind === 'deferred' && resolvePids(line, () => 7)).toMatchObject({
      kind: 'worker',
      worker: 'A',
      op: { op: 'write', value: '7' },
    })
  })
})

describe('a mapping', () => {
  it('is private, anonymous, readable and writable at the next place unless told', () => {
    expect(own('mmap R 4M')).toEqual({
      op: 'mmap',
      region: 'R',
      bytes: 4 << 20,
      prot: { read: true, write: true, exec: false },
      shared: false,
      hugetlbBytes: 0,
      locked: false,
      populate: false,
      nonblock: false,
      noreserve: false,
      fixed: false,
      place: { kind: 'next', alignBytes: undefined },
      backing: { kind: 'anonymous' },
      fileOffset: 0,
    })
  })

  it('takes its options in any order', () => {
    expect(own('mmap R 0x1000 notrunc fileoff=64K flags=shared,populate file=/mnt/f=1 prot=rx')).toMatchObject({
      bytes: 4096,
      prot: { read: true, write: false, exec: true },
      shared: true,
      populate: true,
      backing: { kind: 'file', path: '/mnt/f=1', grow: false },
      fileOffset: 65536,
    })
  })

  it.each([
    ['flags=private,anonymous,hugetlb', { hugetlbBytes: 2 << 20, shared: false }],
    ['flags=private,anonymous,hugetlb,huge_1gb', { hugetlbBytes: 1 << 30 }],
    ['flags=hugetlb,noreserve,locked,nonblock', { noreserve: true, locked: true, nonblock: true }],
    ['memfd', { backing: { kind: 'memfd', hugetlbBytes: 0 }, shared: false }],
    ['memfd=hugetlb', { backing: { kind: 'memfd', hugetlbBytes: 2 << 20 } }],
    ['memfd=hugetlb-1g flags=shared', { backing: { kind: 'memfd', hugetlbBytes: 1 << 30 }, shared: true }],
    ['secret', { backing: { kind: 'secret' }, shared: true }],
    ['shm=hugetlb', { backing: { kind: 'shm', hugetlbBytes: 2 << 20 }, shared: true }],
    ['prot=none', { prot: { read: false, write: false, exec: false } }],
    ['align=4K', { place: { kind: 'next', alignBytes: 4096 } }],
    ['align=none', { place: { kind: 'anywhere' } }],
    ['at=0x200000000000', { place: { kind: 'address', address: 0x200000000000 }, fixed: false }],
    ['at=S+1M flags=fixed', { place: { kind: 'region', region: 'S', offset: 1 << 20 }, fixed: true }],
    ['flags=fixed', { fixed: false }],
  ])('with %s', (words, meaning) => {
    expect(own(`mmap R 2M ${words}`)).toMatchObject(meaning)
  })
})

describe('the ops of a process', () => {
  const ranged = { region: 'R', range: whole, pieces: undefined }
  it.each<[string, WorkerOp | object]>([
    [
      'touch R read',
      { op: 'touch', region: 'R', write: false, range: whole, strideBytes: 4096, content: undefined, seed: undefined, pace: once },
    ],
    [
      'touch R write 4K 8188K stride=8K content=comp:25 seed=0',
      { range: { offset: 4096, length: 8188 << 10 }, strideBytes: 8192, content: { kind: 'comp', arg: 25 }, seed: 0 },
    ],
    ['touch R write 1M repeat=2K', { range: { offset: 1 << 20, length: undefined }, pace: { ...once, passes: 2048 } }],
    ['touch R read for=3000', { pace: { ...once, passes: undefined, forNs: 3e9 } }],
    ['check R 0 1M content=const:0x10', { op: 'check', range: { offset: 0, length: 1 << 20 }, content: { kind: 'const', arg: 16 } }],
    [
      'madvise R dontneed 0 360M stride=16K span=8K',
      { ...ranged, advice: 'dontneed', range: { offset: 0, length: 360 << 20 }, pieces: { strideBytes: 16384, spanBytes: 8192 } },
    ],
    ['madvise R free stride=1M', { ...ranged, op: 'madvise', advice: 'free', pieces: { strideBytes: 1 << 20, spanBytes: 4096 } }],
    ['munmap R', { op: 'munmap', ...ranged }],
    ['mprotect R none', { op: 'mprotect', access: 'none', ...ranged }],
    ['mremap R 8M', { op: 'mremap', region: 'R', bytes: 8 << 20, mayMove: true, to: undefined, dontunmap: false }],
    ['mremap R 4M to=new dontunmap', { to: 'new', dontunmap: true, mayMove: true }],
    ['mremap R 4M nomove to=0x300000000000', { to: 0x300000000000, mayMove: false }],
    ['mlock R 0 2M onfault', { op: 'mlock', region: 'R', range: { offset: 0, length: 2 << 20 }, onfault: true, pieces: undefined }],
    ['munlock R', { op: 'munlock', ...ranged }],
    ['mlockall current,future', { op: 'mlockall', flags: ['current', 'future'] }],
    ['munlockall', { op: 'munlockall' }],
    [
      'mbind R bind:0 0 4M flags=move,strict static',
      {
        op: 'mbind',
        region: 'R',
        policy: { mode: 'bind', nodes: [0], flags: ['static'] },
        range: { offset: 0, length: 4 << 20 },
        flags: ['move', 'strict'],
      },
    ],
    ['mbind R default', { policy: { mode: 'default', nodes: [], flags: [] }, flags: [] }],
    [
      'set_mempolicy interleave:0,2-3 relative',
      { op: 'set_mempolicy', policy: { mode: 'interleave', nodes: [0, 2, 3], flags: ['relative'] } },
    ],
    ['set_mempolicy preferred_many:1+0', { policy: { mode: 'preferred_many', nodes: [0, 1] } }],
    ['get_mempolicy', { op: 'get_mempolicy', question: { kind: 'task' } }],
    ['get_mempolicy allowed', { question: { kind: 'allowed' } }],
    ['get_mempolicy R', { question: { kind: 'policy', region: 'R', offset: 0 } }],
    ['get_mempolicy R 8K node', { question: { kind: 'node', region: 'R', offset: 8192 } }],
    ['migrate_pages 0 1-2', { op: 'migrate_pages', from: [0], to: [1, 2] }],
    ['move_pages R 0 16K query', { op: 'move_pages', region: 'R', offset: 0, length: 16384, node: undefined }],
    ['move_pages R 0 16K 1', { node: 1 }],
    ['home_node R 1', { op: 'home_node', region: 'R', node: 1 }],
    ['clear_refs 4', { op: 'clear_refs', value: 4 }],
    ['cpu any', { op: 'cpu', cpus: 'any' }],
    ['cpu 0-2', { op: 'cpu', cpus: [0, 1, 2] }],
    ['msync R', { op: 'msync', region: 'R' }],
    ['fallocate R punch 0 6M', { op: 'fallocate', punch: true, range: { offset: 0, length: 6 << 20 } }],
    ['fallocate R alloc', { punch: false, range: whole }],
    ['ftruncate R 512K', { op: 'ftruncate', bytes: 512 << 10 }],
    ['mincore R 1M', { op: 'mincore', range: { offset: 1 << 20, length: undefined } }],
    ['rlimit memlock 1M', { op: 'rlimit', resource: 'memlock', bytes: 1 << 20 }],
    ['rlimit as unlimited', { op: 'rlimit', resource: 'as', bytes: undefined }],
    ['setuid', { op: 'setuid', uid: 1000 }],
    ['setuid 0', { uid: 0 }],
    ['oom_score_adj -500', { op: 'oom_score_adj', value: -500 }],
    ['thp_disable 1', { op: 'thp_disable', on: true }],
    ['read smaps', { op: 'read', file: 'smaps' }],
    [
      'writefile /mnt/n 32M',
      {
        op: 'writefile',
        path: '/mnt/n',
        bytes: 32 << 20,
        content: { kind: 'const', arg: 7 },
        offset: 0,
        append: false,
        sync: false,
        pace: once,
      },
    ],
    ['writefile /mnt/n 1M off=4K content=zero append sync', { offset: 4096, content: { kind: 'zero', arg: 0 }, append: true, sync: true }],
    ['readfile /mnt/f', { op: 'readfile', path: '/mnt/f', bytes: undefined, offset: 0, random: false, direct: false, pace: once }],
    [
      'readfile /mnt/f 16M off=16M repeat=3 random direct',
      { bytes: 16 << 20, offset: 16 << 20, random: true, direct: true, pace: { ...once, passes: 3 } },
    ],
    ['fadvise /mnt/f willneed 16M 8M', { op: 'fadvise', path: '/mnt/f', advice: 'willneed', range: { offset: 16 << 20, length: 8 << 20 } }],
    ['fsync /mnt/f', { op: 'fsync', path: '/mnt/f' }],
    ['unlink /mnt/f', { op: 'unlink', path: '/mnt/f' }],
    ['mkfiles /mnt/d 8000', { op: 'mkfiles', dir: '/mnt/d', count: 8000 }],
    ['statfiles /mnt/d 3000 negative', { op: 'statfiles', count: 3000, negative: true }],
    ['rmfiles /mnt/d 1', { op: 'rmfiles', count: 1 }],
    ['pagemap R 1M 1M', { op: 'pagemap', range: { offset: 1 << 20, length: 1 << 20 } }],
    ['uffd_open', { op: 'uffd_open', features: [] }],
    ['uffd_open features=event_fork,event_unmap', { features: ['event_fork', 'event_unmap'] }],
    ['uffd_register R missing,wp 0 1M', { op: 'uffd_register', modes: ['missing', 'wp'], range: { offset: 0, length: 1 << 20 } }],
    ['uffd_unregister R', { op: 'uffd_unregister', region: 'R', range: whole }],
    ['uffd_writeprotect R on', { op: 'uffd_writeprotect', on: true }],
    ['uffd_copy R 0 64K content=const:6 wp', { op: 'uffd_copy', content: { kind: 'const', arg: 6 }, wp: true }],
    ['uffd_zeropage R 0 4K', { op: 'uffd_zeropage', range: { offset: 0, length: 4096 } }],
    ['uffd_wake R 0 4K', { op: 'uffd_wake' }],
    ['uffd_handler R copy content=const:5', { op: 'uffd_handler', mode: 'copy', content: { kind: 'const', arg: 5 } }],
    ['uffd_handler none', { mode: 'none', content: { kind: 'const', arg: 171 } }],
    ['uffd_events', { op: 'uffd_events' }],
  ])('%s', (text, meaning) => {
    expect(own(text)).toMatchObject(meaning)
  })

  it('say how long they are waited for', () => {
    expect(first('A msync R')).toMatchObject({ timeoutNs: 100e9 })
    expect(first('A msync R timeout=5s')).toMatchObject({ timeoutNs: 5e9 })
  })

  it('may be of a process called like one of them', () => {
    expect(first('touch touch touch read')).toMatchObject({ kind: 'worker', worker: 'touch', op: { op: 'touch', region: 'touch' } })
  })
})

describe('the ops of the controller', () => {
  it.each<[string, object]>([
    ['read /proc/meminfo', { op: 'read', path: '/proc/meminfo' }],
    ['sample a slab norefresh', { op: 'sample', name: 'a', slab: true, light: false, norefresh: true }],
    ['sleep 300', { op: 'sleep', ns: 300e6 }],
    ['sleep 2s', { op: 'sleep', ns: 2e9 }],
    ['sleep 1.5min', { ns: 90e9 }],
    ['sleep 250us', { ns: 250e3 }],
    [
      'wait /proc/vmstat:pswpout ge 7',
      { op: 'wait', file: { path: '/proc/vmstat', key: 'pswpout' }, compare: 'ge', value: 7, relative: false, timeoutNs: 10e9 },
    ],
    ['wait /sys/x lt -3 timeout=20000', { file: { path: '/sys/x', key: undefined }, compare: 'lt', value: -3, timeoutNs: 20e9 }],
    ['wait /sys/x ge +2K', { value: 2048, relative: true }],
    ['spawn A', { op: 'spawn', worker: 'A', cpus: undefined, policy: undefined }],
    ['spawn A cpu=any policy=bind:1 static', { cpus: 'any', policy: { mode: 'bind', nodes: [1], flags: ['static'] } }],
    ['fork A B', { op: 'fork', worker: 'A', child: 'B' }],
    ['exit A', { op: 'exit', worker: 'A' }],
    ['kill A', { op: 'kill', worker: 'A' }],
    ['join A', { op: 'join', worker: 'A', timeoutNs: 60e9 }],
    ['join A timeout=5', { timeoutNs: 5e6 }],
    ['cpu_online 1 0', { op: 'cpu_online', cpu: 1, online: false }],
    ['mount tmpfs /t mpol=bind:1,size=64M', { op: 'mount', fstype: 'tmpfs', dir: '/t', options: 'mpol=bind:1,size=64M' }],
    ['mount tmpfs /t', { options: undefined }],
    ['umount /t', { op: 'umount', dir: '/t' }],
    ['mkdir /t', { op: 'mkdir', dir: '/t' }],
    ['mkswap /dev/zram0', { op: 'mkswap', device: '/dev/zram0' }],
    ['swapon /dev/zram0 prio=10', { op: 'swapon', device: '/dev/zram0', priority: 10 }],
    ['swapon /dev/vda', { priority: undefined }],
    ['swapoff /dev/vda', { op: 'swapoff', device: '/dev/vda' }],
    ['sync', { op: 'sync' }],
    ['dmesg', { op: 'dmesg' }],
    ['cgroup G add A', { op: 'cgroup', group: 'G', action: { kind: 'add', worker: 'A' } }],
    ['cgroup G/H read memory.events', { group: 'G/H', action: { kind: 'read', file: 'memory.events' } }],
    ['cgroup G remove', { action: { kind: 'remove' } }],
    ['uffd_mode A zeropage', { op: 'uffd_mode', worker: 'A', mode: 'zeropage' }],
  ])('%s', (text, meaning) => {
    expect(op(text)).toMatchObject(meaning)
  })
})

describe('rates, patterns and counts', () => {
  const pace = (words: string) => {
    const touch = own(`touch R read ${words}`)
    return touch.op === 'touch' ? touch.pace : undefined
  }
  it.each<[string, object]>([
    ['rate=50M/s', { rateBytesPerS: 50 << 20, passes: 1, checkEvery: 'access' }],
    ['rate=1000p/s', { rateBytesPerS: 4096000 }],
    ['pattern=random', { pattern: { kind: 'random' }, passes: 1 }],
    ['pattern=zipf', { pattern: { kind: 'zipf', exponent: 0.99 } }],
    ['pattern=zipf:1.2 repeat=3', { pattern: { kind: 'zipf', exponent: 1.2 }, passes: 3 }],
    ['pattern=hot:10/90', { pattern: { kind: 'hot', rangePercent: 10, accessPercent: 90 } }],
    ['count=1M for=10s', { count: 1 << 20, forNs: 10e9, passes: undefined, checkEvery: 'access' }],
    ['for=10s', { forNs: 10e9, checkEvery: 'pass' }],
  ])('%s', (words, meaning) => {
    expect(pace(words)).toMatchObject(meaning)
  })

  it('hold for files too', () => {
    expect(own('readfile /mnt/f rate=1M/s pattern=random count=5')).toMatchObject({ pace: { count: 5, rateBytesPerS: 1 << 20 } })
    expect(own('writefile /mnt/f 1M for=2s pattern=random')).toMatchObject({ pace: { forNs: 2e9, pattern: { kind: 'random' } } })
  })
})

describe('blocks', () => {
  it('hold what a process does in the background, without its name', () => {
    const { statements } = program(
      'bg A touch R read',
      'bg A',
      '  loop',
      '    touch R write',
      '    sleep 2s',
      '    expect ret ge 1',
      '  end',
      'end',
      'join A',
    )
    expect(statements).toMatchObject([
      { kind: 'bg', worker: 'A', op: { op: 'touch' }, text: 'bg A touch R read' },
      {
        kind: 'bg-block',
        i: 2,
        worker: 'A',
        text: 'bg A',
        body: [
          {
            kind: 'loop',
            i: 3,
            times: undefined,
            body: [
              { kind: 'worker', worker: 'A', i: 4, column: 5, text: 'touch R write' },
              { kind: 'controller', op: { op: 'sleep', ns: 2e9 } },
              { kind: 'expect', expectation: { about: 'result', field: 'ret', compare: 'ge', value: 1 } },
            ],
          },
        ],
      },
      { kind: 'controller', op: { op: 'join', worker: 'A' } },
    ])
  })

  it('loop a number of times anywhere, and for ever at the end', () => {
    const { statements } = program('loop 3', 'loop 2', 'sync', 'end', 'end', 'loop', 'sleep 1s', 'end')
    expect(statements).toMatchObject([
      { times: 3, body: [{ times: 2, body: [{ text: 'sync' }] }] },
      { times: undefined, body: [{ text: 'sleep 1s' }] },
    ])
  })

  it('may run for ever in the background of a loop', () => {
    expect(program('loop 2', 'bg A', 'loop', 'msync R', 'end', 'end', 'sleep 5', 'kill A', 'end').statements).toHaveLength(1)
  })
})

describe('expect', () => {
  it.each<[string, object]>([
    [
      'expect /proc/vmstat:thp_fault_alloc ge 32',
      { about: 'file', file: { path: '/proc/vmstat', key: 'thp_fault_alloc' }, compare: 'ge', value: 32, relative: false },
    ],
    ['expect /proc/sys/vm/swappiness eq +0', { file: { path: '/proc/sys/vm/swappiness', key: undefined }, value: 0, relative: true }],
    ['expect err EINVAL', { about: 'err', errno: 'EINVAL' }],
    ['expect err none', { about: 'err', errno: undefined }],
    ['expect ret eq -1', { about: 'result', field: 'ret', compare: 'eq', value: -1 }],
    ['expect differ eq 0', { about: 'result', field: 'differ' }],
    ['expect signal SIGBUS', { about: 'signal', signal: 'SIGBUS' }],
    ['expect signal none', { about: 'signal', signal: undefined }],
  ])('%s', (text, expectation) => {
    expect(program('sync', text).statements[1]).toMatchObject({ kind: 'expect', expectation })
  })

  it('has the files that +N compares with listed, each once, as written', () => {
    const { marked } = program(
      'expect /a:b ge +1',
      'expect /c ge 1',
      'mark',
      'expect /a:b le +2',
      'bg A',
      'msync R',
      'expect /proc/$A/x:y eq +0',
      'end',
    )
    expect(marked).toEqual(['/a:b', '/proc/$A/x:y'])
  })
})

describe('headers', () => {
  it('are collected from wherever they stand', () => {
    const workload = program(
      'machine nodes=1 mem=1G disk=1G # small',
      'sync',
      'cmdline a=1 b',
      'cmdline c',
      'file f 4M',
      'file /mnt/d/g 0',
      'title  Two   words',
      'seed 7',
      'machine mem=2G',
    )
    expect(workload).toMatchObject({
      title: 'Two   words',
      seed: 7,
      machineText: 'machine nodes=1 mem=1G disk=1G # small',
      cmdline: ['a=1', 'b', 'c'],
      machine: { mem: { value: [2 ** 31], where: { file: 'w', line: 9, column: 13 } } },
    })
    expect(workload.files.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['f', 4 << 20],
      ['d/g', 0],
    ])
    expect(workload.statements).toHaveLength(1)
  })
})

describe('what only the kernel can refuse', () => {
  it.each([
    'A mbind H bind:5',
    'A migrate_pages 3 1',
    'A migrate_pages 0 7',
    'cpu_online 9 0',
    'write /sys/kernel/mm/transparent_hugepage/enabled sometimes',
    'A clear_refs 9',
    'A madvise R dontneed 1G 4K',
    'A home_node P 9',
    'A oom_score_adj 5000',
    'L set_mempolicy interleave',
    'L set_mempolicy preferred',
    'L set_mempolicy local:1',
    'A mlock R 5 17',
    'A mmap R 0',
    'nobody touch R read',
    'exit nobody',
    'spawn A cpu=63 policy=bind:63',
    'A mremap R 5',
    'mount nosuchfs /x a=b',
  ])('%s is read', line => {
    expect(program(line).statements).toHaveLength(1)
  })
})

describe('a line typed at the prompt', () => {
  it('is one op', () => {
    expect(parseLine('A madvise heap hugepage')).toMatchObject({
      i: 0,
      kind: 'worker',
      worker: 'A',
      op: { op: 'madvise', advice: 'hugepage' },
    })
    expect(parseLine('write /proc/sys/vm/swappiness 10')).toMatchObject({ kind: 'controller' })
    expect(parseLine('expect ret ge 0')).toMatchObject({ kind: 'expect' })
    expect(parseLine('  ')).toBeUndefined()
  })

  it('knows who lives when it guesses what was meant', () => {
    expect(() => parseLine('spwan tuoch R', { workers: ['spwan'] })).toThrow('unknown op "tuoch": did you mean "touch"?')
    expect(() => parseLine('spwan A')).toThrow('did you mean "spawn"?')
  })

  it.each(['machine nodes=2', 'loop 3', 'end', 'bg A', 'title x'])('is not "%s"', line => {
    expect(() => parseLine(line)).toThrow(line.split(' ')[0])
  })
})

const scenarios = new URL('../oracle/scenarios/', import.meta.url)

describe.skipIf(!existsSync(scenarios))('the scenarios of the reference', () => {
  it('are all read, line for line', () => {
    const names = readdirSync(scenarios).filter(name => name.endsWith('.scn'))
    expect(names.length).toBeGreaterThan(40)
    for (const name of names) {
      const text = readFileSync(new URL(name, scenarios), 'utf8')
      const ops = text
        .split('\n')
        .flatMap((line, i) => (/^\s*(#|$|machine|cmdline|file )/.test(line) ? [] : [[i + 1, line.replace(/(^| )#.*/, '').trim()]]))
      expect(parseWorkload(text, name).statements.map(({ i, text: op }) => [i, op])).toEqual(ops)
    }
  })
})
