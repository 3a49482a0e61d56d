/**
 * What a trace of real programs says, whatever tool wrote it: mappings, faults, forks, in order of time. The readers of
 * the tools' texts (trace_perf.ts, trace_strace.ts) make events; trace_workload.ts makes a workload of them.
 */

/** Letters out of rwx as in /proc/PID/maps, without the p or s. */
export type Protection = string

export type TraceAct =
  | {
      readonly kind: 'map'
      readonly address: number
      readonly bytes: number
      readonly prot: Protection
      readonly shared: boolean
      /** Undefined for anonymous memory. */
      readonly file: string | undefined
      readonly fileOffset: number
      readonly populate: boolean
      /** Grows downwards as it is used. */
      readonly stack: boolean
    }
  | { readonly kind: 'unmap'; readonly address: number; readonly bytes: number }
  | { readonly kind: 'protect'; readonly address: number; readonly bytes: number; readonly prot: Protection }
  | { readonly kind: 'advise'; readonly address: number; readonly bytes: number; readonly advice: number }
  | { readonly kind: 'lock' | 'unlock'; readonly address: number; readonly bytes: number }
  | { readonly kind: 'remap'; readonly address: number; readonly bytes: number; readonly newAddress: number; readonly newBytes: number }
  /** One page fault that the kernel took. */
  | { readonly kind: 'fault'; readonly address: number }
  /** The child shares its parent's memory until it starts a program (vfork), or has a copy of it (fork). */
  | { readonly kind: 'fork'; readonly child: number; readonly shares: boolean }
  | { readonly kind: 'exec'; readonly name: string }
  | { readonly kind: 'exit' }

export interface TraceEvent {
  readonly ns: number
  readonly pid: number
  readonly act: TraceAct
}

export interface Trace {
  /** In order of time; the first of a process that the trace did not see begin is its exec. */
  readonly events: readonly TraceEvent[]
  /** What the reader had to leave out, and how often. */
  readonly unknown: ReadonlyMap<string, number>
}

/** Counts what could not be told. */
export function note(unknown: Map<string, number>, what: string): void {
  unknown.set(what, (unknown.get(what) ?? 0) + 1)
}
