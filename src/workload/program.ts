/**
 * What a workload says, as data. The parser makes a Program of a file's text; the interpreter walks it. Nothing here
 * refers to the text any more but through `i`, `column` and `text`, which recordings and messages show.
 *
 *     Program ── statements ──┬─ controller   write, sample, spawn, wait, ...
 *                             ├─ worker       A touch heap write
 *                             ├─ bg           bg A touch heap write
 *                             ├─ bg-block     bg A ... end          its body: worker, sleep, loop, expect
 *                             ├─ loop         loop [N] ... end      its body: whatever may stand around it
 *                             ├─ expect, mark
 *                             └─ deferred     a line with $A in it: its words are known only when A has a pid
 *
 * Arguments are decoded: sizes are bytes, times are nanoseconds, offsets count from the region's start, lists are
 * arrays. What the language leaves to the kernel to refuse (a node that is not there, a policy without nodes, a dead
 * process) is a valid Program. The lists of words are literals here, so that types, messages, completion and help
 * cannot disagree.
 */
import type { Where } from '../user_error.ts'

// ---------------------------------------------------------------------------------------------- words

export const ADVICES = [
  ...(['hugepage', 'nohugepage', 'mergeable', 'unmergeable', 'dontneed', 'dontneed_locked', 'free', 'remove'] as const),
  ...(['populate_read', 'populate_write', 'cold', 'pageout', 'willneed', 'dontfork', 'dofork', 'wipeonfork'] as const),
  ...(['keeponfork', 'collapse', 'normal', 'random', 'sequential', 'dontdump', 'hwpoison', 'soft_offline'] as const),
  ...(['userfault', 'nouserfault'] as const),
] as const
export type Advice = (typeof ADVICES)[number]

export const FILE_ADVICES = ['dontneed', 'willneed', 'random', 'sequential'] as const
export type FileAdvice = (typeof FILE_ADVICES)[number]

export const CONTENT_KINDS = ['zero', 'const', 'page', 'perproc', 'unique', 'comp'] as const
export type ContentKind = (typeof CONTENT_KINDS)[number]

export const POLICY_MODES = ['default', 'preferred', 'bind', 'interleave', 'local', 'preferred_many'] as const
export type PolicyMode = (typeof POLICY_MODES)[number]
export const POLICY_FLAGS = ['static', 'relative', 'balancing'] as const
export type PolicyFlag = (typeof POLICY_FLAGS)[number]
export const MBIND_FLAGS = ['move', 'move_all', 'strict'] as const
export type MbindFlag = (typeof MBIND_FLAGS)[number]

export const MMAP_FLAGS = [
  ...(['private', 'shared', 'anonymous', 'hugetlb', 'huge_2mb', 'huge_1gb'] as const),
  ...(['locked', 'populate', 'nonblock', 'noreserve', 'fixed'] as const),
] as const
export type MmapFlag = (typeof MMAP_FLAGS)[number]

export const MLOCKALL_FLAGS = ['current', 'future', 'onfault'] as const
export type MlockallFlag = (typeof MLOCKALL_FLAGS)[number]

export const RLIMITS = ['memlock', 'as', 'data'] as const
export type Rlimit = (typeof RLIMITS)[number]

export const UFFD_FEATURES = [
  ...(['pagefault_flag_wp', 'event_fork', 'event_remap', 'event_remove', 'event_unmap', 'missing_hugetlbfs'] as const),
  ...(['missing_shmem', 'sigbus', 'thread_id', 'minor_hugetlbfs', 'minor_shmem', 'exact_address', 'wp_hugetlbfs_shmem'] as const),
] as const
export type UffdFeature = (typeof UFFD_FEATURES)[number]
export const UFFD_REGISTER_MODES = ['missing', 'wp', 'minor'] as const
export type UffdRegisterMode = (typeof UFFD_REGISTER_MODES)[number]
export const UFFD_HANDLER_MODES = ['copy', 'zeropage', 'none'] as const
export type UffdHandlerMode = (typeof UFFD_HANDLER_MODES)[number]

export const COMPARISONS = ['ge', 'gt', 'le', 'lt', 'eq', 'ne'] as const
export type Comparison = (typeof COMPARISONS)[number]
export const SIGNALS = ['SIGBUS', 'SIGSEGV', 'SIGKILL'] as const
export type Signal = (typeof SIGNALS)[number]
/** Numbers of an op's record that `expect` may ask for. */
export const RESULT_FIELDS = [
  ...(['ret', 'minflt', 'majflt', 'match', 'differ', 'zero', 'value'] as const),
  ...(['pages', 'none', 'present', 'swapped', 'softdirty', 'exclusive', 'file', 'uffd_wp'] as const),
] as const
export type ResultField = (typeof RESULT_FIELDS)[number]

export const PATTERN_KINDS = ['seq', 'random', 'zipf', 'hot'] as const

// ---------------------------------------------------------------------------------------------- arguments

/** A byte range of a region (or file): from `offset`, `length` bytes or up to the end. */
export interface Range {
  readonly offset: number
  readonly length: number | undefined
}

/** A ranged op's `stride= span=`: the op is applied to [offset + k * stride, + span) one after the other. */
export interface Pieces {
  readonly strideBytes: number
  readonly spanBytes: number
}

/** What pages are filled with; `arg` is const's N, comp's P, else 0. */
export interface Content {
  readonly kind: ContentKind
  readonly arg: number
}

export interface Policy {
  readonly mode: PolicyMode
  /** Ascending, each once; may be empty or name nodes that the machine does not have. */
  readonly nodes: readonly number[]
  readonly flags: readonly PolicyFlag[]
}

export type Cpus = 'any' | readonly number[]

/** In which order the slots of a range are taken. Percentages are whole numbers from 1 to 99. */
export type Pattern =
  | { readonly kind: 'seq' }
  | { readonly kind: 'random' }
  | { readonly kind: 'zipf'; readonly exponent: number }
  | { readonly kind: 'hot'; readonly rangePercent: number; readonly accessPercent: number }

/** How long, how often, how fast and in which order `touch`, `readfile` and `writefile` go over their range. */
export interface Pace {
  /** Passes over the range; undefined: until `forNs` or `count` ends it. */
  readonly passes: number | undefined
  readonly forNs: number | undefined
  /** Whether the clock is looked at after each pass or after each access. */
  readonly checkEvery: 'pass' | 'access'
  /** Accesses in total. */
  readonly count: number | undefined
  /** Bytes of the range a second; undefined: as fast as it goes. */
  readonly rateBytesPerS: number | undefined
  readonly pattern: Pattern
}

/** Where a mapping goes. */
export type Place =
  | { readonly kind: 'next'; readonly alignBytes: number | undefined }
  | { readonly kind: 'anywhere' }
  | { readonly kind: 'address'; readonly address: number }
  | { readonly kind: 'region'; readonly region: string; readonly offset: number }

/** What is mapped. `hugetlbBytes` is the page size of a memfd on hugetlb, or 0. */
export type Backing =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'file'; readonly path: string; readonly grow: boolean }
  | { readonly kind: 'memfd'; readonly hugetlbBytes: number }
  | { readonly kind: 'secret' }
  /** A System V segment, removed as soon as it is attached: it lives as long as somebody has it. */
  | { readonly kind: 'shm'; readonly hugetlbBytes: number }

/** `PATH` or `PATH:KEY`: the integer in a file, or the number after KEY in a file of "KEY number" lines. */
export interface FileValue {
  readonly path: string
  readonly key: string | undefined
}

// ---------------------------------------------------------------------------------------------- ops

export interface MmapOp {
  readonly op: 'mmap'
  readonly region: string
  readonly bytes: number
  readonly prot: { readonly read: boolean; readonly write: boolean; readonly exec: boolean }
  readonly shared: boolean
  /** Page size of MAP_HUGETLB, or 0. */
  readonly hugetlbBytes: number
  readonly locked: boolean
  readonly populate: boolean
  readonly nonblock: boolean
  readonly noreserve: boolean
  /** MAP_FIXED instead of MAP_FIXED_NOREPLACE; only with `at=`. */
  readonly fixed: boolean
  readonly place: Place
  readonly backing: Backing
  readonly fileOffset: number
}

export interface TouchOp {
  readonly op: 'touch'
  readonly region: string
  readonly write: boolean
  readonly range: Range
  readonly strideBytes: number
  readonly content: Content | undefined
  /** undefined is not 0: a seed changes what `unique` and `comp` write. */
  readonly seed: number | undefined
  readonly pace: Pace
}

export interface WritefileOp {
  readonly op: 'writefile'
  readonly path: string
  readonly bytes: number
  readonly content: Content
  readonly offset: number
  readonly append: boolean
  readonly sync: boolean
  readonly pace: Pace
}

export interface ReadfileOp {
  readonly op: 'readfile'
  readonly path: string
  /** undefined: up to the end of the file. */
  readonly bytes: number | undefined
  readonly offset: number
  /** POSIX_FADV_RANDOM first. */
  readonly random: boolean
  readonly direct: boolean
  readonly pace: Pace
}

/** Which policy `get_mempolicy` asks for. */
export type PolicyQuestion =
  | { readonly kind: 'task' }
  | { readonly kind: 'allowed' }
  | { readonly kind: 'policy' | 'node'; readonly region: string; readonly offset: number }

export type WorkerOp =
  | MmapOp
  | TouchOp
  | WritefileOp
  | ReadfileOp
  | {
      readonly op: 'check'
      readonly region: string
      readonly range: Range
      readonly content: Content | undefined
      readonly seed: number | undefined
    }
  | { readonly op: 'madvise'; readonly region: string; readonly advice: Advice; readonly range: Range; readonly pieces: Pieces | undefined }
  | { readonly op: 'munmap' | 'munlock'; readonly region: string; readonly range: Range; readonly pieces: Pieces | undefined }
  | {
      readonly op: 'mprotect'
      readonly region: string
      readonly access: 'ro' | 'rw' | 'none'
      readonly range: Range
      readonly pieces: Pieces | undefined
    }
  | { readonly op: 'mlock'; readonly region: string; readonly range: Range; readonly pieces: Pieces | undefined; readonly onfault: boolean }
  | {
      readonly op: 'mremap'
      readonly region: string
      readonly bytes: number
      readonly mayMove: boolean
      /** MREMAP_FIXED to the bump pointer or to an address. */
      readonly to: 'new' | number | undefined
      readonly dontunmap: boolean
      /** Undefined: all of the region. */
      readonly oldBytes: number | undefined
    }
  | { readonly op: 'mlockall'; readonly flags: readonly MlockallFlag[] }
  | { readonly op: 'munlockall' | 'uffd_events' }
  | { readonly op: 'mbind'; readonly region: string; readonly policy: Policy; readonly range: Range; readonly flags: readonly MbindFlag[] }
  | { readonly op: 'set_mempolicy'; readonly policy: Policy }
  | { readonly op: 'get_mempolicy'; readonly question: PolicyQuestion }
  | { readonly op: 'migrate_pages'; readonly from: readonly number[]; readonly to: readonly number[] }
  /** `node` undefined: only ask where the pages are. */
  | {
      readonly op: 'move_pages'
      readonly region: string
      readonly offset: number
      readonly length: number
      readonly node: number | undefined
    }
  | { readonly op: 'home_node'; readonly region: string; readonly node: number }
  | { readonly op: 'clear_refs' | 'oom_score_adj'; readonly value: number }
  | { readonly op: 'cpu'; readonly cpus: Cpus }
  | { readonly op: 'msync'; readonly region: string }
  | { readonly op: 'fallocate'; readonly region: string; readonly punch: boolean; readonly range: Range }
  | { readonly op: 'ftruncate'; readonly region: string; readonly bytes: number }
  | { readonly op: 'mincore' | 'pagemap'; readonly region: string; readonly range: Range }
  /** `bytes` undefined: unlimited. */
  | { readonly op: 'rlimit'; readonly resource: Rlimit; readonly bytes: number | undefined }
  | { readonly op: 'setuid'; readonly uid: number }
  | { readonly op: 'exec'; readonly name: string | undefined }
  | { readonly op: 'thp_disable'; readonly on: boolean }
  | { readonly op: 'write'; readonly path: string; readonly value: string }
  /** A file of /proc/PID. */
  | { readonly op: 'read'; readonly file: string }
  | { readonly op: 'fadvise'; readonly path: string; readonly advice: FileAdvice; readonly range: Range }
  | { readonly op: 'fsync' | 'unlink'; readonly path: string }
  | { readonly op: 'mkfiles' | 'rmfiles'; readonly dir: string; readonly count: number }
  | { readonly op: 'statfiles'; readonly dir: string; readonly count: number; readonly negative: boolean }
  | { readonly op: 'uffd_open'; readonly features: readonly UffdFeature[] }
  | { readonly op: 'uffd_register'; readonly region: string; readonly modes: readonly UffdRegisterMode[]; readonly range: Range }
  | { readonly op: 'uffd_unregister' | 'uffd_zeropage' | 'uffd_continue' | 'uffd_wake'; readonly region: string; readonly range: Range }
  | { readonly op: 'uffd_writeprotect'; readonly region: string; readonly on: boolean; readonly range: Range }
  | { readonly op: 'uffd_copy'; readonly region: string; readonly range: Range; readonly content: Content; readonly wp: boolean }
  /** The proposal of 2014. `offset` bytes from the start of region `from`. */
  | { readonly op: 'userfault_register'; readonly region: string; readonly range: Range; readonly fresh: boolean }
  | { readonly op: 'userfault_unregister'; readonly region: string; readonly range: Range }
  | { readonly op: 'userfault_close' }
  | { readonly op: 'userfault_handler'; readonly from: string }
  | {
      readonly op: 'remap_anon_pages'
      readonly region: string
      readonly range: Range
      readonly from: string
      readonly offset: number
      readonly holes: boolean
    }
  | { readonly op: 'uffd_handler'; readonly mode: UffdHandlerMode; readonly content: Content }

export type CgroupAction =
  | { readonly kind: 'set'; readonly file: string; readonly value: string }
  | { readonly kind: 'add'; readonly worker: string }
  | { readonly kind: 'read'; readonly file: string }
  | { readonly kind: 'remove' }

export interface SleepOp {
  readonly op: 'sleep'
  readonly ns: number
}

export type ControllerOp =
  | SleepOp
  | { readonly op: 'write'; readonly path: string; readonly value: string }
  | { readonly op: 'read'; readonly path: string }
  | { readonly op: 'sample'; readonly name: string; readonly slab: boolean; readonly light: boolean; readonly norefresh: boolean }
  | ({ readonly op: 'wait'; readonly timeoutNs: number } & Condition)
  | { readonly op: 'spawn'; readonly worker: string; readonly cpus: Cpus | undefined; readonly policy: Policy | undefined }
  | { readonly op: 'fork'; readonly worker: string; readonly child: string }
  | { readonly op: 'exit' | 'kill'; readonly worker: string }
  | { readonly op: 'join'; readonly worker: string; readonly timeoutNs: number }
  | { readonly op: 'cpu_online'; readonly cpu: number; readonly online: boolean }
  | { readonly op: 'mount'; readonly fstype: string; readonly dir: string; readonly options: string | undefined }
  | { readonly op: 'umount' | 'mkdir'; readonly dir: string }
  | { readonly op: 'mkswap' | 'swapoff'; readonly device: string }
  | { readonly op: 'swapon'; readonly device: string; readonly priority: number | undefined }
  | { readonly op: 'sync' | 'dmesg' }
  | { readonly op: 'cgroup'; readonly group: string; readonly action: CgroupAction }
  | { readonly op: 'uffd_mode'; readonly worker: string; readonly mode: UffdHandlerMode }
  | PostcopyOp
  | { readonly op: 'postcopy_join'; readonly worker: string; readonly timeoutNs: number }

/** Moves a region of process `worker` to process `target`. */
export interface PostcopyOp {
  readonly op: 'postcopy'
  readonly worker: string
  readonly target: string
  readonly region: string
  /** What is said here becomes what the knobs of migrations say. */
  readonly bytesPerS: number | undefined
  readonly latencyNs: number | undefined
  readonly rounds: number | undefined
}

/** A comparison of a file's number; `relative`: with `value` more than it was (see format.md for when). */
export interface Condition {
  readonly file: FileValue
  readonly compare: Comparison
  readonly value: number
  readonly relative: boolean
}

/** What an `expect` line asks; `errno` and `signal` undefined: none. */
export type Expectation =
  | ({ readonly about: 'file' } & Condition)
  | { readonly about: 'result'; readonly field: ResultField; readonly compare: Comparison; readonly value: number }
  | { readonly about: 'err'; readonly errno: string | undefined }
  | { readonly about: 'signal'; readonly signal: Signal | undefined }

// ---------------------------------------------------------------------------------------------- statements

/** Where a statement stands: line (0 at the prompt), column, and its text as recordings and screens show it. */
export interface Source {
  readonly i: number
  readonly column: number
  readonly text: string
}

export interface ControllerStatement extends Source {
  readonly kind: 'controller'
  readonly op: ControllerOp
}

export interface SleepStatement extends Source {
  readonly kind: 'controller'
  readonly op: SleepOp
}

export interface WorkerStatement extends Source {
  readonly kind: 'worker'
  readonly worker: string
  readonly op: WorkerOp
  /** How long the controller waits for it. */
  readonly timeoutNs: number
}

export interface BgStatement extends Source {
  readonly kind: 'bg'
  readonly worker: string
  readonly op: WorkerOp
}

export interface BgBlockStatement extends Source {
  readonly kind: 'bg-block'
  readonly worker: string
  readonly body: readonly BlockStatement[]
}

export interface LoopStatement<S> extends Source {
  readonly kind: 'loop'
  /** undefined: for ever. */
  readonly times: number | undefined
  readonly body: readonly S[]
}

export interface ExpectStatement extends Source {
  readonly kind: 'expect'
  readonly expectation: Expectation
}

export interface MarkStatement extends Source {
  readonly kind: 'mark'
}

/** A line with `$A`: resolvePids makes a LeafStatement of it when it is its turn. */
export interface DeferredStatement extends Source {
  readonly kind: 'deferred'
  /** The owner of the block it stands in; undefined: at the top level. */
  readonly block: string | undefined
}

export type LeafStatement = ControllerStatement | WorkerStatement | BgStatement | ExpectStatement | MarkStatement
export type Statement = LeafStatement | BgBlockStatement | LoopStatement<Statement> | DeferredStatement
/** What may stand in a bg block; a deferred line there resolves to one of the first three. */
export type BlockStatement = WorkerStatement | SleepStatement | ExpectStatement | LoopStatement<BlockStatement> | DeferredStatement

// ---------------------------------------------------------------------------------------------- headers

/** A header's value and where it was given. */
export interface Given<T> {
  readonly value: T
  readonly where: Where
}

/** The keys of `machine` lines, each absent where it was not given. */
export interface MachineSpec {
  readonly nodes?: Given<number>
  readonly mem?: Given<readonly number[]>
  readonly cpus?: Given<readonly number[]>
  readonly distance?: Given<readonly number[]>
  readonly bandwidth?: Given<readonly number[]>
  readonly swap?: Given<number>
  readonly swapon?: Given<boolean>
  readonly disk?: Given<number>
  readonly lowmem?: Given<number>
  readonly modules?: Given<readonly string[]>
}

/** A file of the disk's image: NAME of `/mnt/NAME`. */
export interface FileSpec {
  readonly name: string
  readonly bytes: number
  readonly where: Where
}

export interface Program {
  /** The name of the file it was read from. */
  readonly file: string
  readonly title: string | undefined
  readonly seed: number | undefined
  readonly machine: MachineSpec
  /** The first machine line as written, for a recording's header. */
  readonly machineText: string | undefined
  /** Kernel parameters as written, in order. */
  readonly cmdline: readonly string[]
  readonly files: readonly FileSpec[]
  readonly statements: readonly Statement[]
  /** `PATH[:KEY]` of every `+N` in an expect, as written ($A included): what to read at the start and at each mark. */
  readonly marked: readonly string[]
}
