/** Shapes of pressure stall information: how long tasks waited for memory, disks and CPUs. Shapes only; base/psi.ts holds the functions. */
import type { Daemon } from './state_shared.ts'

/** Pressure on the whole machine, or on the tasks of a cgroup and those below it (struct psi_group). */
export interface PsiGroup {
  /** Nanoseconds by CPU and PSI_* state; and how much of them was collected. */
  readonly times: Float64Array
  readonly collected: Float64Array
  /** Nanoseconds by state, weighted over CPUs; and how much of them went into the averages. */
  readonly total: Float64Array
  readonly averaged: Float64Array
  /** Averages over 10, 60 and 300 seconds by state, in 2048ths of a percent. */
  readonly averages: Int32Array
  lastUpdateNs: number
  nextUpdateNs: number
}

export interface PsiState {
  /** By cgroup; 0 is the whole machine. */
  readonly groups: Map<number, PsiGroup>
  /** Of who runs now: sections of waiting for memory it is in, since when, and how long it waited before in this turn. */
  depth: number
  sinceNs: number
  stalledNs: number
  /** Brings the averages up to date every two seconds. */
  readonly averager: Daemon
}
