/**
 * Shapes of control groups (cgroup v2): the tree of directories, and the cpusets in it. Shapes only; calls/cgroup*.ts and calls/cpuset.ts
 * hold the functions.
 */

/** Which CPUs and nodes the tasks of a group may use (struct cpuset). */
export interface Cpuset {
  /** As they were asked for: CPUs in order, bit per node; none means whatever the parent has. */
  cpus: readonly number[]
  mems: number
  /** What that comes to below the parent's. */
  effectiveCpus: readonly number[]
  effectiveMems: number
  /** Nodes its tasks' memory was last moved to. */
  oldMems: number
  partition: 'member' | 'root' | 'isolated'
  /** Why a partition is not one, as the file says it; empty when it is. */
  invalid: string
}

export interface Cgroup {
  /** The number of its directory; the root's is 1. */
  readonly id: number
  readonly name: string
  /** 0 for the root. */
  readonly parent: number
  readonly children: number[]
  /** The group whose domain it is part of: itself, unless it is threaded. */
  domain: number
  /** CONTROLLER_*: what its children have. */
  subtreeControl: number
  /** The memory cgroup of its tasks: its own, or that of the nearest above which has one. */
  memcg: number
  /** Its own cpuset; undefined: that of the nearest above which has one. */
  cpuset: Cpuset | undefined
  maxDepth: number
  maxDescendants: number
  frozen: boolean
  pressure: boolean
}

export interface CgroupState {
  /** The hierarchy is mounted at /sys/fs/cgroup. */
  mounted: boolean
  /** By number. */
  readonly groups: Map<number, Cgroup>
  nextId: number
}
