/**
 * Shapes of userfaultfd: the contexts behind its descriptors, the threads that wait at them, and what they are told.
 * Address spaces and tasks are named by number, because a context outlives both.
 */
import type { Regions } from './regions.ts'

/** What is behind a descriptor (struct userfaultfd_ctx). */
export interface UffdContext {
  readonly id: number
  /** Mm.id of the address space whose faults come here. */
  readonly mm: number
  /** UFFD_USER_MODE_ONLY, O_NONBLOCK */
  readonly userModeOnly: boolean
  readonly nonblock: boolean
  /** UFFD_FEATURE_*; UFFD_FEATURE_INITIALIZED since the handshake. */
  features: number
  /** Descriptors that refer to it, in all tasks. */
  fds: number
  /** Changes of mappings whose events nobody has read yet: meanwhile nothing can be filled (mmap_changing). */
  changing: number
  /** Faults whose threads wait, oldest first: not read yet, and read. */
  readonly pending: UffdFault[]
  readonly read: UffdFault[]
  /** Events that nobody has read yet, oldest first. */
  readonly events: UffdEvent[]
  readonly figures: UffdFigures
}

/** A thread that waits for its fault to be resolved. */
export interface UffdFault {
  readonly pid: number
  /** Byte address, of the page unless the context asks for the exact one. */
  address: number
  /** UFFD_PAGEFAULT_FLAG_* */
  readonly flags: number
  readonly sinceNs: number
}

/** A change of mappings that a thread reports before it goes on: UFFD_EVENT_* and two byte addresses. */
export interface UffdEvent {
  readonly uffd: number
  readonly pid: number
  readonly event: number
  readonly a: number
  readonly b: number
  readonly bytes: number
  /** For a fork: the context of the child's address space. */
  readonly child: number
}

/** What read(2) gives: a fault or an event (struct uffd_msg). */
export interface UffdMsg {
  readonly event: number
  readonly flags: number
  /** Address of a fault; start and end of a removal; from and to of a move. */
  readonly a: number
  readonly b: number
  /** The new descriptor's context after a fork, else 0. */
  readonly child: number
  /** Thread of the fault, if the context asks for it. */
  readonly pid: number
}

/** What has come to pass at a context since it was made. */
export interface UffdFigures {
  faults: number
  events: number
  /** Faults whose threads went on, how long they waited in all and at most. */
  woken: number
  waitedNs: number
  longestNs: number
  /** How many waited less than 2^(10 + i) ns, each once. */
  readonly histogram: number[]
  /** Pages filled by COPY, ZEROPAGE, CONTINUE. */
  copied: number
  zeroed: number
  continued: number
}

/** A descriptor as the proposal of 2014 had it. */
export interface Userfault2014 {
  readonly id: number
  readonly mm: number
  /** Virtual pages that are registered with it. */
  readonly ranges: Regions
  /** Faults whose threads wait, and those of them that nobody has read. */
  readonly waiting: UffdFault[]
  readonly unread: UffdFault[]
}

/** What live migrations through userfaultfd go by; a change takes effect on those under way. */
export interface MigrationTerms {
  /** What the network between the two machines carries, and how long anything is under way. */
  bytesPerS: number
  latencyNs: number
  /** Rounds of pre-copy before the source stops. */
  rounds: number
}

export interface UserfaultfdState {
  readonly migration: MigrationTerms
  readonly contexts: Map<number, UffdContext>
  next: number
  /** Pids of threads that were woken and have not been let run since. */
  readonly woken: number[]
  /** Contexts at which something has come up for who polls. */
  readonly told: number[]
  /** Descriptors of the 2014 proposal; their numbers are contexts' numbers. */
  readonly proposed: Map<number, Userfault2014>
}
