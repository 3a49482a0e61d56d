/** Shapes that files and address spaces share: memory policies, reverse mappings, tmpfs' huge= words. */
import type { NodeId } from './units.ts'

/** A memory policy: where pages may come from (struct mempolicy). */
export interface Mempolicy {
  /** MPOL_DEFAULT .. MPOL_PREFERRED_MANY */
  readonly mode: number
  /** MPOL_F_* */
  readonly flags: number
  /** Bit per node: what the policy means now. */
  readonly nodes: number
  /** Bit per node: what the user asked for, or what was allowed then, to rebind from. */
  readonly userNodes: number
  readonly homeNode: NodeId
}

/**
 * The address spaces that may map a page, as pairs (mm, delta): a page with index i can only be at virtual page
 * i + delta of that mm. Two VMAs of one pair never overlap, so a walk asks each mm once, however often its VMAs
 * were split.
 */
export interface RmapEntry {
  /** Mm.id */
  readonly mm: number
  readonly delta: number
  vmas: number
}

/** tmpfs' huge= modes, and the two words that only shmem_enabled knows. */
export type ShmemHuge = 'always' | 'within_size' | 'advise' | 'never' | 'deny' | 'force'

/** A kernel thread that sleeps until somebody wants it or a time has come. */
export interface Daemon {
  readonly name: string
  readonly node: NodeId
  /** When it runs next; Infinity: not until it is woken. */
  wakeNs: number
  /** When it stopped the last time: woken while it still works it goes on after that. */
  endNs: number
  /** The CPU it ran on last. */
  cpu: number
  /** Nanoseconds that it has kept its CPU to itself. */
  keptNs: number
  /** Nanoseconds of CPU it used, and what for, by kind of cost. */
  ranNs: number
  readonly costNs: Float64Array
}
