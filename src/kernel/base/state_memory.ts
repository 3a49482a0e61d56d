/** Shapes of memory hotplug, the blocks in which memory is taken away and put back, of the kernel's log, and of objects that are freed later. */
import type { Daemon } from './state_shared.ts'
import type { NodeId } from './units.ts'

/** Words of a block's `state` that put it back: where the kernel likes, in a kernel zone, in the movable zone. */
export type OnlineType = 'online' | 'online_kernel' | 'online_movable'

/** A block of memory that can be taken away and put back (struct memory_block). */
export interface MemoryBlock {
  readonly id: number
  /** Nodes whose memory lies in it; the last one is the block's own. */
  readonly nodes: readonly NodeId[]
  /** RAM without holes. */
  readonly whole: boolean
  online: boolean
  /** Index of the zone it belongs to; -1 while offline, and for good when it spans several. */
  zone: number
}

export interface MemoryHotplug {
  /** Pages of a block. */
  blockPages: number
  /** By number. */
  readonly blocks: Map<number, MemoryBlock>
  /** What happens to memory that is added: online types or 'offline'. */
  autoOnline: OnlineType | 'offline'
  /** How `online` chooses a zone, and the ratio of movable to kernel memory in percent that 'auto-movable' keeps. */
  onlinePolicy: 'contig-zones' | 'auto-movable'
  autoMovableRatio: number
  autoMovableNumaAware: boolean
}

export interface LogRecord {
  readonly seq: number
  /** KERN_ERR and so on. */
  readonly level: number
  readonly us: number
  readonly text: string
}

/** Messages of a kind that could come too often: when the interval at hand began, and what came of it in this one. */
export interface Ratelimit {
  /** Undefined before the first. */
  beginNs: number | undefined
  printed: number
  missed: number
}

export interface KernelLog {
  readonly records: LogRecord[]
  /** Number of the next record, and of the next to be read. */
  next: number
  read: number
  /** Dropping caches is no longer worth a line. */
  quietDrops: boolean
  readonly allocFailures: Ratelimit
  readonly oomReports: Ratelimit
  readonly swapErrors: Ratelimit
}

/** Objects of a cache that one CPU let go. */
export interface RcuFree {
  readonly name: string
  objects: number
  readonly cpu: number
}

/** Objects that are freed when the grace period under way is over, and those that wait for the next one. */
export interface Rcu {
  readonly daemon: Daemon
  /** drop_caches is at work: it does not wait for the names and inodes that it lets go, as reclaim is taken to. */
  dropping: boolean
  waiting: RcuFree[]
  next: RcuFree[]
}
