/**
 * The controller's ops, the words that give a workload its form (loop, bg, expect, mark) and its headers, in the same
 * kind of literal table as the worker ops.
 */
import { fail, LIMITS, type Word } from './lex.ts'
import { policyFlags, WORKER_OPS } from './ops_worker.ts'
import {
  type CgroupAction,
  COMPARISONS,
  type Condition,
  type ControllerOp,
  type Expectation,
  RESULT_FIELDS,
  SIGNALS,
  UFFD_HANDLER_MODES,
} from './program.ts'
import { type Args, flag, get, maybe, type OpRow, row } from './shape.ts'
import * as value from './values.ts'

const MS = 1e6

const controller = (usage: string | readonly string[], help: string, build: (a: Args) => ControllerOp) => row(usage, help, build)
const existing = (a: Args) => get(a, 'A', value.name)

/** The name of a process to be: not a word that would make its lines unreadable. */
const fresh = (word: Word) => {
  if (RESERVED.has(word.text)) fail(word, `a process cannot be called "${word.text}": that is a word of the language`)
  return value.name(word)
}

const compare = (a: Args) => get(a, 'OP', value.oneOf(COMPARISONS, 'comparison'))

const condition = (a: Args): Condition => ({ file: get(a, 'PATH', value.fileValue), compare: compare(a), ...get(a, 'VALUE', value.goal) })

function spawn(a: Args): ControllerOp {
  const policy = maybe(a, 'policy', value.policy)
  const flags = policyFlags(a)
  if (!policy && flags.length > 0) for (const word of a.flags.values()) fail(word, `spawn: ${word.text} goes with policy=`)
  return { op: 'spawn', worker: get(a, 'A', fresh), cpus: maybe(a, 'cpu', value.cpus), policy: policy && { ...policy, flags } }
}

function cgroupAction(a: Args): CgroupAction {
  if (a.taken.has('set')) return { kind: 'set', file: get(a, 'FILE', value.below), value: get(a, 'VALUE', value.text) }
  if (a.taken.has('add')) return { kind: 'add', worker: existing(a) }
  return a.taken.has('read') ? { kind: 'read', file: get(a, 'FILE', value.below) } : { kind: 'remove' }
}

export const CONTROLLER_OPS: Readonly<Record<ControllerOp['op'], OpRow<ControllerOp>>> = {
  write: controller('PATH VALUE...', 'writes the rest of the line to a file, as root', a => ({
    op: 'write',
    path: get(a, 'PATH', value.path),
    value: get(a, 'VALUE', value.text),
  })),
  read: controller('PATH', 'shows a file', a => ({ op: 'read', path: get(a, 'PATH', value.path) })),
  sample: controller('NAME [slab] [light] [norefresh]', 'records every counter of the machine and of its processes', a => ({
    op: 'sample',
    name: get(a, 'NAME', value.text),
    slab: flag(a, 'slab'),
    light: flag(a, 'light'),
    norefresh: flag(a, 'norefresh'),
  })),
  sleep: controller('TIME', 'lets time pass', a => ({ op: 'sleep', ns: get(a, 'TIME', value.duration) })),
  wait: controller('PATH OP VALUE [timeout=TIME]', 'waits until the number in a file compares so', a => ({
    op: 'wait',
    ...condition(a),
    timeoutNs: maybe(a, 'timeout', value.duration) ?? 10_000 * MS,
  })),
  spawn: controller('A [cpu=LIST|any] [policy=POLICY] [static] [relative] [balancing]', 'starts process A, with no region', spawn),
  fork: controller('A B', 'makes process B, a copy of A', a => ({ op: 'fork', worker: existing(a), child: get(a, 'B', fresh) })),
  exit: controller('A', 'ends process A', a => ({ op: 'exit', worker: existing(a) })),
  kill: controller('A', 'kills process A', a => ({ op: 'kill', worker: existing(a) })),
  join: controller('A [timeout=TIME]', 'waits for what A does in the background, and gives its result', a => ({
    op: 'join',
    worker: existing(a),
    timeoutNs: maybe(a, 'timeout', value.duration) ?? 60_000 * MS,
  })),
  cpu_online: controller('N 0|1', 'takes a CPU offline or online', a => ({
    op: 'cpu_online',
    cpu: get(a, 'N', value.count),
    online: get(a, '0|1', value.oneOf(['0', '1'], 'switch')) === '1',
  })),
  mount: controller('FSTYPE DIR [OPTIONS]', 'mounts a file system', a => ({
    op: 'mount',
    fstype: get(a, 'FSTYPE', value.text),
    dir: get(a, 'DIR', value.path),
    options: maybe(a, 'OPTIONS', value.text),
  })),
  umount: controller('DIR', 'unmounts it', a => ({ op: 'umount', dir: get(a, 'DIR', value.path) })),
  mkdir: controller('DIR', 'makes a directory', a => ({ op: 'mkdir', dir: get(a, 'DIR', value.path) })),
  mkswap: controller('DEV', 'writes a swap signature to a device or file', a => ({ op: 'mkswap', device: get(a, 'DEV', value.path) })),
  swapon: controller('DEV [prio=N]', 'starts swapping to a device or file', a => ({
    op: 'swapon',
    device: get(a, 'DEV', value.path),
    priority: maybe(a, 'prio', value.between(-(2 ** 31), 2 ** 31 - 1, value.integer)),
  })),
  swapoff: controller('DEV', 'stops swapping to it', a => ({ op: 'swapoff', device: get(a, 'DEV', value.path) })),
  sync: controller('', 'writes everything that is dirty to the disk', () => ({ op: 'sync' })),
  cgroup: controller(
    ['G set FILE VALUE...', 'G add A', 'G read FILE', 'G remove'],
    'makes control group G on first use, sets and shows its files, moves A into it, removes it',
    a => ({
      op: 'cgroup',
      group: get(a, 'G', value.below),
      action: cgroupAction(a),
    }),
  ),
  dmesg: controller('', 'shows what the kernel has logged since the last dmesg', () => ({ op: 'dmesg' })),
  postcopy: controller(
    'A B R [bandwidth=RATE] [latency=TIME] [rounds=N]',
    'migrates region R of process A, which stops, to process B; over when B may run',
    a => ({
      op: 'postcopy',
      worker: existing(a),
      target: get(a, 'B', value.name),
      region: get(a, 'R', value.region),
      bytesPerS: maybe(a, 'bandwidth', value.rate),
      latencyNs: maybe(a, 'latency', value.duration),
      rounds: maybe(a, 'rounds', value.count),
    }),
  ),
  postcopy_join: controller('B [timeout=TIME]', 'waits until all pages have come to process B', a => ({
    op: 'postcopy_join',
    worker: get(a, 'B', value.name),
    timeoutNs: maybe(a, 'timeout', value.duration) ?? 60_000 * MS,
  })),
  uffd_mode: controller('A copy|zeropage|none', 'changes what the handler of A does with faults, even while A is blocked', a => ({
    op: 'uffd_mode',
    worker: existing(a),
    mode: get(a, 'copy|zeropage|none', value.oneOf(UFFD_HANDLER_MODES, 'handler mode')),
  })),
}

function expectation(a: Args): Expectation {
  if (a.taken.has('err')) return { about: 'err', errno: get(a, 'ERRNO|none', value.errno) }
  if (a.taken.has('signal')) {
    const signal = value.oneOf([...SIGNALS, 'none'], 'signal')
    return { about: 'signal', signal: get(a, 'SIGNAL|none', word => SIGNALS.find(known => known === signal(word))) }
  }
  const what = get(a, 'PATH', word => word)
  if (what.text.startsWith('/')) return { about: 'file', ...condition(a) }
  const field = value.oneOf(RESULT_FIELDS, 'path or result')(what)
  return { about: 'result', field, compare: compare(a), value: get(a, 'VALUE', value.integer) }
}

/** The words that are no op but give a workload its form. */
export const FORM_OPS = {
  bg: row(
    ['A OP...', 'A'],
    'starts an op in A and goes on; without an op the lines up to end are what A does in the background',
    () => undefined,
  ),
  loop: row('[N]', 'does the lines up to end N times, or for ever', a => ({
    times: maybe(a, 'N', value.between(1, LIMITS.loopTimes, value.count)),
  })),
  end: row('', 'closes the block of a bg or a loop', () => undefined),
  expect: row(
    ['PATH OP VALUE', 'FIELD OP VALUE', 'err ERRNO|none', 'signal SIGNAL|none'],
    'fails the run if a file, or the op before, is not as said',
    expectation,
  ),
  mark: row('', 'from here on +N in expect counts from what the files hold now', () => undefined),
} as const

/** The lines that say what machine a workload runs on. */
export const HEADERS = {
  machine: row('KEY=VALUE...', 'the machine: see the keys below', () => undefined),
  cmdline: row('PARAMETER...', 'parameters for the kernel, as at its boot prompt', () => undefined),
  file: row('NAME SIZE', 'a file of that size on the disk, /mnt/NAME, not in the page cache', a => ({
    name: get(a, 'NAME', word => word.text.replace(/^\/mnt\//, '')),
    bytes: get(a, 'SIZE', value.size),
  })),
  title: row('TEXT...', 'what the screens call this workload', a => ({ title: get(a, 'TEXT', value.text) })),
  seed: row('N', 'seed of all randomness', a => ({ seed: get(a, 'N', value.between(0, 2 ** 32 - 1, value.count)) })),
} as const

/** Words that can begin a line and so cannot be the name of a process. */
const RESERVED: ReadonlySet<string> = new Set([...Object.keys(CONTROLLER_OPS), ...Object.keys(FORM_OPS), ...Object.keys(HEADERS)])

/** The ops by name, for words that come from a text. */
export const WORKER_ROWS: ReadonlyMap<string, (typeof WORKER_OPS)['mmap']> = new Map(Object.entries(WORKER_OPS))
export const CONTROLLER_ROWS: ReadonlyMap<string, (typeof CONTROLLER_OPS)['write']> = new Map(Object.entries(CONTROLLER_OPS))
