/**
 * The worker ops: what process A can be told to do with `A op ...`. One literal table: how an op is written, what it
 * does, and how its words become data. Parsing, messages, completion, help and format.md all go by it.
 */
import { must } from '../kernel/base/assert.ts'
import { fail } from './lex.ts'
import {
  ADVICES,
  type Content,
  FILE_ADVICES,
  MBIND_FLAGS,
  MLOCKALL_FLAGS,
  MMAP_FLAGS,
  type MmapFlag,
  type MmapOp,
  type Pace,
  type Place,
  POLICY_FLAGS,
  type Policy,
  type PolicyQuestion,
  RLIMITS,
  UFFD_FEATURES,
  UFFD_HANDLER_MODES,
  UFFD_REGISTER_MODES,
  type WorkerOp,
} from './program.ts'
import { type Args, exclusive, flag, get, maybe, type OpRow, pieces, range, row } from './shape.ts'
import * as value from './values.ts'

const PAGE = 4096
const MIB_2 = 2 ** 21
const GIB_1 = 2 ** 30

const RANGED = '[off len] [stride=SIZE] [span=SIZE]'
const PACED = '[repeat=N] [for=TIME] [count=N] [rate=RATE] [pattern=PATTERN]'
const MODES = '[static] [relative] [balancing]'

/** Every worker op may say how long the controller waits for it. */
const worker = (usage: string, help: string, build: (a: Args) => WorkerOp) => row(usage, help, build, '[timeout=TIME]')

const region = (a: Args) => get(a, 'R', value.region)
const oneOf = <T extends string>(a: Args, words: readonly T[], what: string) => get(a, words.join('|'), value.oneOf(words, what))

/** The words `static relative balancing` beside a policy. */
export const policyFlags = (a: Args) => POLICY_FLAGS.filter(word => flag(a, word))

const policy = (a: Args): Policy => ({ ...get(a, 'POLICY', value.policy), flags: policyFlags(a) })

function content(a: Args): Content | undefined
function content(a: Args, constant: number): Content
function content(a: Args, constant?: number): Content | undefined {
  return maybe(a, 'content', value.content) ?? (constant === undefined ? undefined : { kind: 'const', arg: constant })
}

const ONE_PASS: Pace = {
  passes: 1,
  forNs: undefined,
  checkEvery: 'pass',
  count: undefined,
  rateBytesPerS: undefined,
  pattern: { kind: 'seq' },
}
const PACE_WORDS = ['repeat', 'for', 'count', 'rate', 'pattern']

/** How often, how long, how fast, in which order. Without any of the words: one pass in ascending order. */
function pace(a: Args): Pace {
  if (!PACE_WORDS.some(word => a.taken.has(word))) return ONE_PASS
  exclusive(a, 'repeat', 'for')
  exclusive(a, 'repeat', 'count')
  const forNs = maybe(a, 'for', value.positive(value.duration))
  const count = maybe(a, 'count', value.count)
  const rateBytesPerS = maybe(a, 'rate', value.rate)
  const pattern = maybe(a, 'pattern', value.pattern)
  const fine = count !== undefined || rateBytesPerS !== undefined || pattern !== undefined
  return {
    passes: forNs === undefined && count === undefined ? (maybe(a, 'repeat', value.count) ?? 1) : undefined,
    forNs,
    checkEvery: fine ? 'access' : 'pass',
    count,
    rateBytesPerS,
    pattern: pattern ?? { kind: 'seq' },
  }
}

const hugetlbOf = (flags: readonly MmapFlag[]) =>
  flags.includes('huge_1gb') ? GIB_1 : flags.includes('hugetlb') || flags.includes('huge_2mb') ? MIB_2 : 0

/** Kinds of huge pages that memory without a path may be made of. */
const HUGE = ['hugetlb', 'hugetlb-1g'] as const

function mmap(a: Args): MmapOp {
  exclusive(a, 'file', 'memfd', 'secret', 'shm')
  exclusive(a, 'align', 'at')
  const flags = maybe(a, 'flags', value.listOf(MMAP_FLAGS, 'mmap flag')) ?? []
  const file = maybe(a, 'file', value.path)
  const memfd = maybe(a, 'memfd', value.oneOf(HUGE, 'kind of memfd'))
  const shm = maybe(a, 'shm', value.oneOf(HUGE, 'kind of shm'))
  const name = region(a)
  const there: Place = name.startsWith('0x') ? { kind: 'address', address: Number(name) } : { kind: 'next', alignBytes: undefined }
  const place = maybe(a, 'at', value.place) ?? maybe(a, 'align', value.alignment) ?? there
  return {
    op: 'mmap',
    region: name,
    bytes: get(a, 'SIZE', value.size),
    prot: maybe(a, 'prot', value.prot) ?? { read: true, write: true, exec: false },
    shared: flags.includes('shared') || flag(a, 'secret') || flag(a, 'shm') || shm !== undefined,
    hugetlbBytes: hugetlbOf(flags),
    locked: flags.includes('locked'),
    populate: flags.includes('populate'),
    nonblock: flags.includes('nonblock'),
    noreserve: flags.includes('noreserve'),
    fixed: flags.includes('fixed') && (place.kind === 'address' || place.kind === 'region'),
    place,
    backing: file !== undefined ? { kind: 'file', path: file, grow: !flag(a, 'notrunc') } : memory(a, memfd, shm),
    fileOffset: maybe(a, 'fileoff', value.size) ?? 0,
  }
}

type Huge = (typeof HUGE)[number]
const hugeBytes = (kind: Huge | undefined) => (kind === 'hugetlb' ? MIB_2 : kind === 'hugetlb-1g' ? GIB_1 : 0)

function memory(a: Args, memfd: Huge | undefined, shm: Huge | undefined): MmapOp['backing'] {
  if (flag(a, 'secret')) return { kind: 'secret' }
  if (shm !== undefined || flag(a, 'shm')) return { kind: 'shm', hugetlbBytes: hugeBytes(shm) }
  if (memfd === undefined && !flag(a, 'memfd')) return { kind: 'anonymous' }
  return { kind: 'memfd', hugetlbBytes: hugeBytes(memfd) }
}

function policyQuestion(a: Args): PolicyQuestion {
  const name = maybe(a, 'R', value.name)
  const alone = a.flags.get('allowed')
  if (alone && (name !== undefined || flag(a, 'node'))) fail(alone, 'get_mempolicy: allowed stands alone')
  if (alone) return { kind: 'allowed' }
  if (name !== undefined) return { kind: flag(a, 'node') ? 'node' : 'policy', region: name, offset: maybe(a, 'OFF', value.size) ?? 0 }
  return flag(a, 'node') ? fail(must(a.flags.get('node'), 'node was given'), 'get_mempolicy: node goes with a region') : { kind: 'task' }
}

const to = (word: Parameters<typeof value.size>[0]) => (word.text === 'new' ? 'new' : value.size(word))
const node = value.between(0, 1023, value.count)

export const WORKER_OPS: Readonly<Record<WorkerOp['op'], OpRow<WorkerOp>>> = {
  mmap: worker(
    'R SIZE [prot=PROT] [flags=FLAGS] [align=SIZE|none] [at=PLACE] [file=PATH] [memfd] [memfd=hugetlb|hugetlb-1g] [secret] [shm] [shm=hugetlb|hugetlb-1g] [fileoff=SIZE] [notrunc]',
    'maps SIZE bytes as region R',
    mmap,
  ),
  touch: worker(
    `R read|write [off len] [stride=SIZE] [content=CONTENT] [seed=N] ${PACED}`,
    'loads or stores one byte (with content a whole page) at each stride of the range',
    a => ({
      op: 'touch',
      region: region(a),
      write: oneOf(a, ['read', 'write'], 'access') === 'write',
      range: range(a),
      strideBytes: maybe(a, 'stride', value.positive(value.size)) ?? PAGE,
      content: content(a),
      seed: maybe(a, 'seed', value.count),
      pace: pace(a),
    }),
  ),
  check: worker(
    'R [off len] [content=CONTENT] [seed=N]',
    'reads every page and counts those that hold what touch would have written',
    a => ({
      op: 'check',
      region: region(a),
      range: range(a),
      content: content(a),
      seed: maybe(a, 'seed', value.count),
    }),
  ),
  madvise: worker(`R ADVICE ${RANGED}`, 'gives the kernel advice about the range', a => ({
    op: 'madvise',
    region: region(a),
    advice: get(a, 'ADVICE', value.oneOf(ADVICES, 'advice')),
    range: range(a),
    pieces: pieces(a),
  })),
  munmap: worker(`R ${RANGED}`, 'unmaps the range; all of R frees the name', a => ({
    op: 'munmap',
    region: region(a),
    range: range(a),
    pieces: pieces(a),
  })),
  mprotect: worker(`R ro|rw|none ${RANGED}`, 'changes the protection of the range', a => ({
    op: 'mprotect',
    region: region(a),
    access: oneOf(a, ['ro', 'rw', 'none'], 'protection'),
    range: range(a),
    pieces: pieces(a),
  })),
  mremap: worker('R SIZE [nomove] [to=new|HEX] [dontunmap] [old=SIZE]', 'gives R another size, and moves it if need be', a => ({
    op: 'mremap',
    region: region(a),
    bytes: get(a, 'SIZE', value.size),
    mayMove: !flag(a, 'nomove'),
    to: maybe(a, 'to', to),
    dontunmap: flag(a, 'dontunmap'),
    oldBytes: maybe(a, 'old', value.size),
  })),
  mlock: worker(`R ${RANGED} [onfault]`, 'locks the range into memory', a => ({
    op: 'mlock',
    region: region(a),
    range: range(a),
    pieces: pieces(a),
    onfault: flag(a, 'onfault'),
  })),
  munlock: worker(`R ${RANGED}`, 'unlocks the range', a => ({ op: 'munlock', region: region(a), range: range(a), pieces: pieces(a) })),
  mlockall: worker('LOCKS', 'locks all that is mapped, will be mapped, or will be touched', a => ({
    op: 'mlockall',
    flags: get(a, 'LOCKS', value.listOf(MLOCKALL_FLAGS, 'mlockall flag')),
  })),
  munlockall: worker('', 'undoes every lock', () => ({ op: 'munlockall' })),
  mbind: worker(`R POLICY [off len] [flags=move,move_all,strict] ${MODES}`, 'sets the memory policy of the range', a => ({
    op: 'mbind',
    region: region(a),
    policy: policy(a),
    range: range(a),
    flags: maybe(a, 'flags', value.listOf(MBIND_FLAGS, 'mbind flag')) ?? [],
  })),
  set_mempolicy: worker(`POLICY ${MODES}`, 'sets the memory policy of the process', a => ({ op: 'set_mempolicy', policy: policy(a) })),
  get_mempolicy: worker(
    '[R] [OFF] [node] [allowed]',
    'asks for the policy of the process or of an address, the node of its page, or the allowed nodes',
    a => ({
      op: 'get_mempolicy',
      question: policyQuestion(a),
    }),
  ),
  migrate_pages: worker('FROM TO', 'moves the pages of the process from some nodes to others', a => ({
    op: 'migrate_pages',
    from: get(a, 'FROM', value.nodeList),
    to: get(a, 'TO', value.nodeList),
  })),
  move_pages: worker('R OFF LEN NODE|query', 'moves each page of the range to a node, or asks where it is', a => ({
    op: 'move_pages',
    region: region(a),
    offset: get(a, 'OFF', value.size),
    length: get(a, 'LEN', value.size),
    node: get(a, 'NODE|query', word => (word.text === 'query' ? undefined : node(word))),
  })),
  home_node: worker('R N', 'sets the home node of the policy of R', a => ({ op: 'home_node', region: region(a), node: get(a, 'N', node) })),
  clear_refs: worker('N', 'writes N to /proc/self/clear_refs', a => ({ op: 'clear_refs', value: get(a, 'N', value.integer) })),
  cpu: worker('LIST|any', 'binds the process to CPUs', a => ({ op: 'cpu', cpus: get(a, 'LIST|any', value.cpus) })),
  msync: worker('R', 'writes the changed pages of R to its file', a => ({ op: 'msync', region: region(a) })),
  fallocate: worker('R punch|alloc [off len]', 'frees or allocates a range of the file of R', a => ({
    op: 'fallocate',
    region: region(a),
    punch: oneOf(a, ['punch', 'alloc'], 'kind of fallocate') === 'punch',
    range: range(a),
  })),
  ftruncate: worker('R SIZE', 'gives the file of R another size', a => ({
    op: 'ftruncate',
    region: region(a),
    bytes: get(a, 'SIZE', value.size),
  })),
  mincore: worker('R [off len]', 'counts the pages of the range that are in memory', a => ({
    op: 'mincore',
    region: region(a),
    range: range(a),
  })),
  rlimit: worker('memlock|as|data SIZE|unlimited', 'sets a resource limit', a => ({
    op: 'rlimit',
    resource: oneOf(a, RLIMITS, 'limit'),
    bytes: get(a, 'SIZE|unlimited', word => (word.text === 'unlimited' ? undefined : value.size(word))),
  })),
  setuid: worker('[UID]', 'becomes that user (1000), without capabilities', a => ({
    op: 'setuid',
    uid: maybe(a, 'UID', value.count) ?? 1000,
  })),
  oom_score_adj: worker('N', 'writes N to /proc/self/oom_score_adj', a => ({ op: 'oom_score_adj', value: get(a, 'N', value.integer) })),
  exec: worker('[NAME]', 'starts another program: nothing of what was mapped is left', a => ({
    op: 'exec',
    name: maybe(a, 'NAME', value.name),
  })),
  thp_disable: worker('0|1', 'switches transparent huge pages off or on for the process', a => ({
    op: 'thp_disable',
    on: oneOf(a, ['0', '1'], 'switch') === '1',
  })),
  write: worker('PATH VALUE...', 'writes a file with the memory policy of the process', a => ({
    op: 'write',
    path: get(a, 'PATH', value.path),
    value: get(a, 'VALUE', value.text),
  })),
  read: worker('FILE', 'shows a file of /proc/PID', a => ({ op: 'read', file: get(a, 'FILE', value.below) })),
  writefile: worker(
    `PATH SIZE [content=CONTENT] [off=SIZE] [append] [sync] ${PACED}`,
    'writes SIZE bytes to a file, 16 KiB at a time',
    a => {
      exclusive(a, 'append', 'pattern')
      return {
        op: 'writefile',
        path: get(a, 'PATH', value.path),
        bytes: get(a, 'SIZE', value.size),
        content: content(a, 7),
        offset: maybe(a, 'off', value.size) ?? 0,
        append: flag(a, 'append'),
        sync: flag(a, 'sync'),
        pace: pace(a),
      }
    },
  ),
  readfile: worker(`PATH [SIZE] [off=SIZE] [random] [direct] ${PACED}`, 'reads a file, 16 KiB at a time, up to SIZE or its end', a => ({
    op: 'readfile',
    path: get(a, 'PATH', value.path),
    bytes: maybe(a, 'SIZE', value.size),
    offset: maybe(a, 'off', value.size) ?? 0,
    random: flag(a, 'random'),
    direct: flag(a, 'direct'),
    pace: pace(a),
  })),
  fadvise: worker('PATH dontneed|willneed|random|sequential [off len]', 'gives the kernel advice about a file', a => ({
    op: 'fadvise',
    path: get(a, 'PATH', value.path),
    advice: oneOf(a, FILE_ADVICES, 'advice'),
    range: range(a),
  })),
  fsync: worker('PATH', 'writes the changed pages of a file to the disk', a => ({ op: 'fsync', path: get(a, 'PATH', value.path) })),
  unlink: worker('PATH', 'removes a file', a => ({ op: 'unlink', path: get(a, 'PATH', value.path) })),
  mkfiles: worker('DIR N', 'makes N empty files', a => ({
    op: 'mkfiles',
    dir: get(a, 'DIR', value.path),
    count: get(a, 'N', value.count),
  })),
  statfiles: worker('DIR N [negative]', 'looks N files up; with negative they need not be there', a => ({
    op: 'statfiles',
    dir: get(a, 'DIR', value.path),
    count: get(a, 'N', value.count),
    negative: flag(a, 'negative'),
  })),
  rmfiles: worker('DIR N', 'removes N files', a => ({ op: 'rmfiles', dir: get(a, 'DIR', value.path), count: get(a, 'N', value.count) })),
  pagemap: worker('R [off len]', 'counts the pages of the range by state, flag, map count and node', a => ({
    op: 'pagemap',
    region: region(a),
    range: range(a),
  })),
  uffd_open: worker('[features=FEATURES]', 'opens the userfaultfd of the process', a => ({
    op: 'uffd_open',
    features: maybe(a, 'features', value.listOf(UFFD_FEATURES, 'userfaultfd feature')) ?? [],
  })),
  uffd_register: worker('R MODES [off len]', 'has faults in the range handed to the userfaultfd', a => ({
    op: 'uffd_register',
    region: region(a),
    modes: get(a, 'MODES', value.listOf(UFFD_REGISTER_MODES, 'register mode')),
    range: range(a),
  })),
  uffd_unregister: worker('R [off len]', 'undoes uffd_register', a => ({ op: 'uffd_unregister', region: region(a), range: range(a) })),
  uffd_writeprotect: worker('R on|off [off len]', 'write-protects the range, or no longer', a => ({
    op: 'uffd_writeprotect',
    region: region(a),
    on: oneOf(a, ['on', 'off'], 'switch') === 'on',
    range: range(a),
  })),
  uffd_copy: worker('R [off len] [content=CONTENT] [wp]', 'fills missing pages of the range, one by one', a => ({
    op: 'uffd_copy',
    region: region(a),
    range: range(a),
    content: content(a, 171),
    wp: flag(a, 'wp'),
  })),
  uffd_zeropage: worker('R [off len]', 'fills missing pages of the range with zeros', a => ({
    op: 'uffd_zeropage',
    region: region(a),
    range: range(a),
  })),
  uffd_continue: worker('R [off len]', 'maps pages of the range that its file has already', a => ({
    op: 'uffd_continue',
    region: region(a),
    range: range(a),
  })),
  uffd_wake: worker('R [off len]', 'wakes threads that wait for a page of the range', a => ({
    op: 'uffd_wake',
    region: region(a),
    range: range(a),
  })),
  uffd_handler: worker('[R] copy|zeropage|none [content=CONTENT]', 'starts a thread that resolves the faults, or only sees them', a => ({
    op: 'uffd_handler',
    mode: oneOf(a, UFFD_HANDLER_MODES, 'handler mode'),
    content: content(a, 171),
  })),
  userfault_register: worker('R [off len] [new]', 'registers the range with a descriptor of the 2014 proposal', a => ({
    op: 'userfault_register',
    region: region(a),
    range: range(a),
    fresh: flag(a, 'new'),
  })),
  userfault_unregister: worker('R [off len]', 'takes the range from the descriptor that has it', a => ({
    op: 'userfault_unregister',
    region: region(a),
    range: range(a),
  })),
  userfault_close: worker('', 'closes that descriptor: who waits for it gets SIGBUS', () => ({ op: 'userfault_close' })),
  userfault_handler: worker('FROM', 'starts a thread that moves the missing pages there from that region', a => ({
    op: 'userfault_handler',
    from: get(a, 'FROM', value.region),
  })),
  remap_anon_pages: worker(
    'R FROM [off len] [fromoff=SIZE] [holes]',
    'moves pages to the range from another region, as the 2014 proposal had it',
    a => ({
      op: 'remap_anon_pages',
      region: region(a),
      range: range(a),
      from: get(a, 'FROM', value.region),
      offset: maybe(a, 'fromoff', value.size) ?? 0,
      holes: flag(a, 'holes'),
    }),
  ),
  uffd_events: worker('', 'shows what the handler has seen', () => ({ op: 'uffd_events' })),
}
