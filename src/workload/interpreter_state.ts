/**
 * The shapes of a workload under way: who is doing what, and how far they are. All of it is plain data beside the
 * kernel's own state, so a run can stop after any slice of time, be looked at, and go on.
 *
 *     Run ── controllers   the file's lines, and the lines typed at the prompt: both on CPU 0
 *      ├── workers         24 places; each a process with its regions, and the job it was given
 *      ├── threads         whoever of them can use a CPU, in the order they began
 *      └── records         what ended, for whoever watches to take away
 *
 * A job is an op, a block of ops, or a fork. The op under way is a Doing: where it began, what it counts, and what it has
 * to know to go on. `undefined` as the result of an op means "not over yet" throughout.
 */
import type { Kernel } from '../kernel/base/state.ts'
import type { OpenFile } from '../kernel/base/state_fs.ts'
import type { Task } from '../kernel/base/state_mm.ts'
import type { UffdFigures } from '../kernel/base/state_uffd.ts'
import type { Touch } from '../kernel/boot/memory_process.ts'
import type { TouchRun } from '../kernel/fault/touch.ts'
import type { Walk } from './patterns.ts'
import type {
  BgBlockStatement,
  BlockStatement,
  ControllerOp,
  Cpus,
  LeafStatement,
  Policy,
  Program,
  SleepOp,
  Source,
  Statement,
  UffdHandlerMode,
  WorkerOp,
} from './program.ts'

/** Processes at a time, and regions of one: the tables of the reference executor, which answers EAGAIN and ENOSPC when they are full. */
export const MAX_WORKERS = 24
export const MAX_REGIONS = 28

/** What a run needs of the files of /proc and /sys. */
export interface Ports {
  /** The whole text of a file as root reads it, or a negative errno. */
  read(k: Kernel, path: string): string | number
  /** One write(2) by the task that runs. @returns bytes, or a negative errno */
  write(k: Kernel, path: string, text: string): number
  /** The pages [vpn, vpn + pages) of the task's memory, counted by what pagemap, kpageflags and kpagecount say. */
  pagemap(k: Kernel, task: Task, vpn: number, pages: number): Fields
}

/** A field of a record. */
export type Field = number | string | boolean | { readonly [key: string]: number } | readonly Fields[]
export type Fields = { readonly [name: string]: Field }

/** An op (or an expect) that is over. */
export interface OpRecord {
  readonly kind: 'op' | 'expect'
  readonly statement: Source
  /** The process it is about, undefined for the controller's own. */
  readonly worker: string | undefined
  readonly startNs: number
  readonly ret: number
  /** Name of the errno when ret is -1. */
  readonly err: string | undefined
  /** What else is known, as named in format.md. */
  readonly fields: Fields
  /** The sample that ends with this op. */
  readonly sample: Sample | undefined
}

export interface Sample {
  readonly name: string
  readonly slab: boolean
  readonly light: boolean
}

/** A process that died outside its own foreground op. */
export interface DeathRecord {
  readonly kind: 'death'
  readonly i: number
  readonly ns: number
  readonly worker: string
  readonly death: Death
  /** The background op it died in, and how far that was. */
  readonly during: { readonly text: string; readonly progress: number } | undefined
}

export interface EndRecord {
  readonly kind: 'end'
  readonly ns: number
}

/** The worker ops one by one, also those that program.ts describes together; and the one of a name. */
export type EachOp = Each<WorkerOp>
type Each<T> = T extends { readonly op: infer Name }
  ? Name extends string
    ? { readonly [K in keyof T]: K extends 'op' ? Name : T[K] }
    : never
  : never
export type OpOf<Name extends WorkerOp['op']> = Extract<EachOp, { readonly op: Name }>

/** A sample begins: the machine's files are read now, those of its processes when the record of the op comes. */
export interface SampleRecord {
  readonly kind: 'sample'
  readonly sample: Sample
  readonly ns: number
}

export type RunRecord = SampleRecord | OpRecord | DeathRecord | EndRecord

/** By which signal, or with which exit code. */
export type Death = { readonly signal: string } | { readonly exit: number }

/** What the scheduler knows of whoever can use a CPU. */
interface Schedulable {
  readonly task: Task
  /** When it wants to go on; Infinity: when somebody wakes it. */
  readyNs: number
  /** Number of its last slice, for taking turns. */
  turn: number
}

export type Thread = Controller | Worker | Handler | Migration

/** A position in a body of statements: the innermost loop last. */
export interface Cursor<S> {
  readonly frames: Frame<S>[]
}

export interface Frame<S> {
  readonly body: readonly S[]
  at: number
  /** Passes to come after this one; undefined: for ever. */
  left: number | undefined
}

/** Who reads the workload's lines. */
export interface Controller extends Schedulable {
  readonly kind: 'controller'
  readonly cursor: Cursor<Statement>
  /** The line that is not over, and what it waits for. */
  line: Line | undefined
  waiting: Waiting | undefined
  /** The op that ended last, for expect. */
  last: OpRecord | undefined
}

/** A line being executed. */
export interface Line {
  readonly statement: LeafStatement | BgBlockStatement
  readonly startNs: number
}

export type WaitOp = ControllerOp & { readonly op: 'wait' }
export type SampleOp = ControllerOp & { readonly op: 'sample' }

/** What a controller waits for. */
export type Waiting =
  | { readonly kind: 'time' }
  /** The CPUs have been asked for what they count on their own; the files of the machine are being read. */
  | { readonly kind: 'refresh'; readonly op: SampleOp }
  | { readonly kind: 'sample'; readonly sample: Sample }
  | { readonly kind: 'poll'; readonly op: WaitOp; readonly first: number }
  /** The handler of a process is given time to see what there is. */
  | { readonly kind: 'drain'; readonly worker: Worker }
  /** The end of a job. */
  | { readonly kind: 'job'; readonly worker: Worker; readonly deadlineNs: number }
  /** A process' first moments; `parent` forked it, else the first process did. */
  | { readonly kind: 'start'; readonly worker: Worker; readonly parent: Worker | undefined }
  /** The end of a process. */
  | { readonly kind: 'end'; readonly worker: Worker; readonly deadlineNs: number }
  /** The target of a migration may run, or has all of its pages. */
  | { readonly kind: 'migration'; readonly migration: Migration; readonly until: 'postcopy' | 'done'; readonly deadlineNs: number }

export interface Region {
  readonly name: string
  address: number
  bytes: number
  readonly pageBytes: number
  readonly file: OpenFile | undefined
}

/** What a process was told to do. */
export interface Job {
  readonly statement: Source
  /** Nobody waits for it but who joins. */
  background: boolean
  readonly what: JobWork
  /** The op that ended last; of a single op, its result. */
  last: Result | undefined
  /** The same as a block records it, for expect. */
  record: OpRecord | undefined
  over: boolean
}

export type JobWork =
  | { readonly kind: 'op'; readonly op: EachOp }
  | { readonly kind: 'fork'; readonly child: string }
  | { readonly kind: 'block'; readonly cursor: Cursor<BlockStatement> }

/** What a worker knows of an op of its own that is over. */
export interface Result {
  /** -errno for a failure. */
  readonly ret: number
  readonly elapsedNs: number
  readonly minflt: number
  readonly majflt: number
  readonly extra: Fields
}

export interface Worker extends Schedulable {
  readonly kind: 'worker'
  readonly slot: number
  readonly name: string
  /** The how-manyth process of the run it is, from 1: tells its contents from others'. */
  readonly ordinal: number
  readonly regions: (Region | undefined)[]
  /** Where the next mapping goes. */
  bump: number
  /** A fork of another worker; else of the first process. */
  readonly forked: boolean
  /** What it still has to do before it takes its first op. */
  starting: Start | undefined
  startErrno: number
  job: Job | undefined
  doing: Doing | undefined
  /** Ops it has begun: each draws its own random numbers. */
  begun: number
  /** It is to end once it is idle. */
  exiting: boolean
  death: Death | undefined
  readonly uffd: UffdSide
  /** It was migrated away: it runs no more. */
  stopped: boolean
}

/** What a process knows of its userfaultfd. */
export interface UffdSide {
  /** The context it opened last, 0 for none; and those its handler polls. */
  current: number
  polled: number[]
  mode: UffdHandlerMode
  /** Faults that wait for the handler to have a mode. */
  readonly kept: { readonly context: number; readonly address: number; readonly wp: boolean }[]
  readonly counts: Record<
    'missing' | 'wp' | 'minor' | 'read' | 'write' | 'fork' | 'remap' | 'remove' | 'unmap' | 'resolved' | 'failed',
    number
  >
  /** Events since the last look. */
  readonly events: Fields[]
  /** Address of its mapping of zeros, 0 before there is one. */
  zeros: number
  handler: Handler | undefined
  /** Its descriptors of the 2014 proposal, the latest last, and of each the region that its handler moves pages from; '' for no handler. */
  readonly proposed: { readonly id: number; from: string }[]
}

/** A live migration of a region from one process to another (interpreter_postcopy.ts). Pages are counted from the region's start. */
export interface Migration extends Schedulable {
  readonly kind: 'migration'
  readonly source: Worker
  readonly target: Worker
  readonly region: string
  /** First virtual page of the region in either. */
  readonly from: number
  readonly to: number
  /** The userfaultfd of the target's region. */
  readonly context: number
  phase: 'precopy' | 'postcopy' | 'done'
  /** Rounds of pre-copy that are over, and how far this one is. */
  round: number
  at: number
  readonly bitmap: Uint8Array
  /** Where background sending goes on, and from when the network is free. */
  seek: number
  linkNs: number
  /** Pages asked for, and those under way, with the times at which they reach the other end. */
  readonly requests: Underway[]
  readonly arriving: Underway[]
  /** What the target's faults came to, kept when its context is gone. */
  faults: UffdFigures | undefined
  readonly figures: MigrationFigures
}

/** A request for a page, or the page itself; `zero`: that there is none. */
export interface Underway {
  readonly page: number
  readonly zero: boolean
  readonly ns: number
}

/** Pages that a round of pre-copy sent, and that were written to meanwhile. */
export interface MigrationPass {
  sent: number
  dirty: number
}

export interface MigrationFigures {
  readonly passes: MigrationPass[]
  precopied: number
  /** Pages that the target lacked at the switch. */
  missing: number
  /** Pages that the target still lacks, sent in the background, on request, and as zeros. */
  left: number
  pushed: number
  urgent: number
  zeros: number
  downtimeNs: number
  startNs: number
  switchNs: number
  endNs: number
}

/** The thread of a process that handles faults. */
export interface Handler extends Schedulable {
  readonly kind: 'handler'
  readonly worker: Worker
  /** When it began to poll. */
  polledNs: number
}

/** What it touches of its executor before and after it has the CPUs and the policy that were asked for. */
export interface Start {
  readonly early: readonly Touch[]
  readonly late: readonly Touch[]
  readonly cpus: Cpus | undefined
  readonly policy: Policy | undefined
}

/** An op of a worker under way. */
export interface Doing {
  readonly statement: Source
  readonly op: EachOp | SleepOp | { readonly op: 'fork'; readonly child: string }
  readonly startNs: number
  readonly minflt: number
  readonly majflt: number
  /** Accesses, bytes or files done: what a record of its death says. */
  progress: number
  /** Its ret, while the process reports to a userfaultfd what it has done. */
  ret: number | undefined
  /** Further fields of its record. */
  readonly extra: Record<string, Field>
  state: OpState | undefined
  /** The byte address where it finds no memory, and since when. */
  stuck?: { readonly at: number; readonly sinceNs: number }
}

/** A pass of a touch: what it took and met so far. */
export interface TouchPass {
  ns: number
  /** Accesses and faults before it. */
  done: number
  faults: number
  /** Time spent on each kind of cost of TOUCH_COSTS, and bytes moved with each node's memory; and what both were when they were looked at last. */
  readonly costNs: Float64Array
  readonly bytes: Float64Array
  readonly mark: Float64Array
}

/** What an op that takes several slices remembers. */
export type OpState =
  /** `pass` is the pass under way; `quiet` says that the last one met no fault. */
  | {
      readonly kind: 'touch'
      readonly run: TouchRun
      readonly pacing: Pacing | undefined
      passes: number
      readonly pass: TouchPass
      quiet: boolean
    }
  | { readonly kind: 'check'; readonly run: TouchRun; readonly content: number; match: number; differ: number; zero: number }
  | { readonly kind: 'pieces'; at: number; done: number }
  | MappingState
  /** `at` bytes of this pass and `total` of all are done, of at most `bytes` a pass. */
  | {
      readonly kind: 'io'
      readonly file: OpenFile
      readonly bytes: number
      readonly pacing: Pacing | undefined
      at: number
      total: number
      passes: number
    }
  | { readonly kind: 'each'; done: number }
  /** A fork whose child, of this pid, is to run before its parent goes on. */
  | { readonly kind: 'forked'; readonly pid: number }

/** What an mmap maps at which address, or errno: it may take several turns to populate. */
export interface MappingState {
  readonly kind: 'mapping'
  readonly file: OpenFile | undefined
  readonly base: number
  readonly pageBytes: number
}

/** How far an op's repeating, timing and choosing of slots has come. */
export interface Pacing {
  readonly walk: Walk
  /** Accesses after which it is over; Infinity: time ends it. */
  readonly accessesMax: number
  accesses: number
  /** The slot chosen for the access to come, -1 when none is. */
  slot: number
  /** Before this the access to come must wait. */
  nextNs: number
}

export interface Run {
  readonly k: Kernel
  readonly program: Program
  /** The clock at line 1: records count from here. */
  readonly startNs: number
  readonly file: Controller
  readonly prompt: Controller
  readonly workers: (Worker | undefined)[]
  readonly threads: Thread[]
  /** Live migrations, those that are over too. */
  readonly migrations: Migration[]
  /** What those who have ended spent their time on, the latest last. */
  readonly former: { readonly name: string; readonly costNs: Float64Array }[]
  /** The thread that ran last on each CPU. */
  readonly lastOn: (Thread | undefined)[]
  turn: number
  /** Until then nobody but the thread that runs wants to do anything. */
  quietNs: number
  nextOrdinal: number
  /** What the files of program.marked held at the start or the last mark. */
  readonly marks: Map<string, number>
  /** Control groups named so far. */
  readonly cgroups: string[]
  /** Some line was about a control group. */
  cgroupsUsed: boolean
  records: RunRecord[]
  /** The line that was executed last. */
  line: number
  ended: boolean
}
