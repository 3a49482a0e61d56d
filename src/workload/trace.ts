/**
 * What a trace of real programs says, whatever tool wrote it: mappings, faults, forks, in order of time. The readers of
 * the tools' texts (trace_perf.ts, trace_strace.ts) make events; trace_workload.ts makes a workload of them.
 */
import { alignUp, PAGE_SIZE } from '../kernel/base/units.ts'
import type { Advice } from './program.ts'

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
  | { readonly kind: 'advise'; readonly address: number; readonly bytes: number; readonly advice: Advice }
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

/** A moment as the tools write it: seconds, and a fraction of up to nine digits. */
export const nsOf = (seconds: string, fraction: string): number => Number(seconds) * 1e9 + Number(fraction.padEnd(9, '0'))

export const protectionOf = (read: boolean, write: boolean, exec: boolean): Protection =>
  `${read ? 'r' : ''}${write ? 'w' : ''}${exec ? 'x' : ''}`

/** A length as the kernel takes it: in whole pages. */
export const wholePages = (bytes: number): number => alignUp(bytes, PAGE_SIZE)

/** Where the heap of each process ends, by its number; nothing of those that have not told it. */
export type Breaks = Map<number, number>

/** What a brk that returned `to` did to memory: the first one of a program only tells where the heap is. */
export function moveBreak(breaks: Breaks, pid: number, to: number): TraceAct | undefined {
  const before = wholePages(breaks.get(pid) ?? to)
  const after = wholePages(to)
  breaks.set(pid, to)
  if (after < before) return { kind: 'unmap', address: after, bytes: before - after }
  return after > before ? { ...HEAP, address: before, bytes: after - before } : undefined
}

const HEAP = { kind: 'map', prot: 'rw', shared: false, file: undefined, fileOffset: 0, populate: false, stack: false } as const

/** The heap of a new process ends where its parent's does. */
export function inheritBreak(breaks: Breaks, parent: number, child: number): void {
  const end = breaks.get(parent)
  if (end === undefined) breaks.delete(child)
  else breaks.set(child, end)
}
