/**
 * The one contract between a machine and everything that looks at it.
 *
 * A machine (simulated kernel, recording, real host) is read through the text of its /proc and /sys files, as a
 * real one is. A Frame is those texts at one moment. Screens, snapshots, exporters and recordings know only this
 * file, so the three kinds of machine cannot drift apart.
 *
 *     sim/        ─┐
 *     recording/  ─┼─> Source ──Frame──> sample/ (parse, rates, history) ──> view/ ──> tui/, cli/
 *     host/       ─┘      ^──────────────────── write(path, text), run(line) ───────────────┘
 *
 * Paths under /mmtop/ are no kernel files: what a source knows beside them travels the same way.
 *
 *   /mmtop/machine    KEY VALUE lines: title, seed, workload, model, cost (what watching costs; host only), page_bytes (where not 4096)
 *   /mmtop/activity   "PID text" lines: what each process is doing (simulation only)
 *   /mmtop/tasks      "PID MINFLT MAJFLT NAME" lines: processes as the workload names them, where no /proc/PID/stat was kept
 *   /mmtop/events     "NS KIND TEXT" lines: what happened since the frame before (see EVENT_KINDS)
 *   /mmtop/daemons    "NAME NODE running|sleeping" lines: kswapd, kcompactd, khugepaged, ksmd ...
 *   /mmtop/costs      "KEY NS" lines: where virtual time went since start (simulation only)
 *   /mmtop/pages/... what tools work out from pagemap, kpageflags and kpagecount, on request: types, map, frame, task (the host has only task/PID/CELLS/START-END, of one area)
 *   /mmtop/working_set  how old pages of processes and cgroups are, round by round (simulation only; procfs/pages/working_set.ts)
 *   /mmtop/traffic    "N0.N1 BYTES" lines: what CPUs of node 0 moved from and to memory of node 1 since boot; and
 *                     "N0.limit BYTES": what node 0 can do in a second (simulation only)
 *   /mmtop/accounts   "WHO KEY=NS ..." lines: the same for each process, by its pid, or "NAME(ended)" of late, and each kernel thread (simulation only)
 *   /mmtop/locks      "LEVEL_contended N", "LEVEL_waited_ns N" lines: page-table locks found taken; and "N0.Normal_taken N", _contended,
 *                     _held_ns, _waited_ns: the lock of each zone's free lists (simulation only)
 *   /mmtop/postcopy   "KEY NUMBER" lines: how far the latest live migration is (simulation only)
 *   /mmtop/userfaultfd "PID/FD KEY=NUMBER ..." lines: what came to pass at each userfaultfd (simulation only)
 *   /mmtop/waiting    "PID WHERE ADDRESS WHAT NS" lines: threads that wait for their fault to be handled (simulation only)
 *   /mmtop/migration/... knobs of live migrations (simulation only; workload/migration_knobs.ts)
 *   /mmtop/unread     "PATH ERRNO" lines: files that are there but may not be read (host only)
 */

/** One reading of a machine. */
export interface Frame {
  /** Machine time in nanoseconds since the source began: virtual (sim), as recorded, or monotonic (host). */
  readonly ns: number
  /** path -> text exactly as read. A file that this machine does not have is absent. */
  readonly files: ReadonlyMap<string, string>
}

/** What an event line in /mmtop/events may be about. */
export const EVENT_KINDS = ['op', 'error', 'knob', 'oom', 'kill', 'stall', 'allocfail', 'kswapd', 'pool', 'expect', 'note'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

/** A knob: a file that can be written, and what a reader must know before writing it. */
export interface Tunable {
  readonly path: string
  /** What the kernel accepts: a number in a range, one word of a list, several numbers, or a bare trigger. */
  readonly type: 'integer' | 'choice' | 'vector' | 'trigger' | 'bytes'
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** The value a freshly booted machine has, or undefined where it depends on the machine. */
  readonly default?: string
  readonly unit?: string
  /** One sentence: what changing it does. */
  readonly meaning: string
  /** The kernel function or document the rule comes from. */
  readonly source: string
}

/** Where a source's clock stands and how fast it goes. */
export interface Pace {
  readonly paused: boolean
  /** Machine seconds per wall second that were asked for; Infinity is "as fast as it can". */
  readonly speed: number
  /** Machine seconds per wall second over the last second: what it really does. */
  readonly ratio: number
  /** No frame will follow: the workload or the recording is over, or the host is gone. */
  readonly ended: boolean
}

export type Step = 'op' | 'ms' | 'sample'

/** The clock of a source that has one to set: a simulation or a recording. */
export interface Transport {
  pause(on: boolean): void
  /** @param speed machine seconds per wall second, 0.01 .. Infinity */
  speed(speed: number): void
  /** While paused: go on for one workload op, one millisecond or one sample, then pause again. */
  step(by: Step): void
  /** Recordings only: go to this machine time; the next frame is the last one at or before it. */
  seek?(ns: number): void
  /** Recordings only: first and last machine time. */
  readonly span?: { readonly startNs: number; readonly endNs: number }
}

/** An answer to a write or a workload line: '' for success, else the kernel's errno name, and what there is to say. */
export interface Answer {
  readonly errno: string
  readonly text: string
}

export interface Source {
  readonly kind: 'simulation' | 'recording' | 'host'
  /** What is watched, in a few words: the workload's, the recording's or the host's name. */
  readonly title: string
  readonly tunables: readonly Tunable[]
  /** Bytes of a page, where it is not 4096. */
  readonly pageBytes?: number
  /** From the next frame on, include these files too (smaps of one process, ...). Replaces the previous list. */
  watch(paths: readonly string[]): void
  /** The next frame when it is due, undefined after the last one. One call at a time. */
  next(): Promise<Frame | undefined>
  /** One file, now; undefined where the machine has no such file. */
  read(path: string): Promise<string | undefined>
  /**
   * Up to `count` bytes of a file of numbers (pagemap, kpageflags ...) from `position` on, none at its end; undefined where there is no such
   * file. Only where somebody may want to pipe one.
   */
  bytes?(path: string, position: number, count: number): Promise<Uint8Array | undefined>
  pace(): Pace
  readonly transport?: Transport
  /** Writes a file as root would. Absent where nothing can be written (a recording, a read-only host). */
  write?(path: string, text: string): Promise<Answer>
  /** Executes one workload line now (simulation only). */
  run?(line: string): Promise<Answer>
  /** Words that could stand where the last one of a workload line is being typed, each begun as that one is. */
  complete?(line: string): Promise<readonly string[]>
  /** Releases threads and descriptors. Idempotent. */
  close(): Promise<void>
}
