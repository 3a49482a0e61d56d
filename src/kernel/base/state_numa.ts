/** Shapes of NUMA balancing: what the machine, an address space and a task remember of hinting faults. */

/** What the machine keeps: how fast it scans (/sys/kernel/debug/sched/numa_balancing), and who used a page last. */
export interface NumaBalancing {
  scanDelayMs: number
  scanPeriodMinMs: number
  scanPeriodMaxMs: number
  scanSizeMb: number
  hotThresholdMs: number
  promoteRateLimitMb: number
  demotionEnabled: boolean
  /** Two words a page: CPU and pid of the last hinting fault, plus one, and what the page was then. Empty before the first fault. */
  lastCpupid: Int32Array
}

/** Memory traffic, by node of the CPU and node of the memory (base/traffic.ts). */
export interface Traffic {
  /** Whether it is counted at all. */
  readonly on: boolean
  /** Bytes in a nanosecond that a node's memory moves at most. */
  readonly limit: Float64Array
  /** Bytes since boot, [CPU's node x nodes + memory's node]. */
  readonly bytes: Float64Array
  /** How much longer than a near access one takes, of the near one's time; likewise for the bandwidth being used up, by node. */
  readonly far: Float64Array
  readonly slow: Float64Array
  /** Bytes of the window under way, and wishes in bytes per nanosecond of the last one, [CPU x nodes + node]. */
  readonly window: Float64Array
  readonly wanted: Float64Array
  /** When each CPU's window began, and how long it has waited for bandwidth in it. */
  readonly startNs: Float64Array
  readonly waitedNs: Float64Array
}

/** Of an address space: where its scan stands. */
export interface MmNuma {
  /** When the next part is scanned at the earliest. */
  nextScanNs: number
  /** Whole scans so far; and the virtual page where the next part begins. */
  scanSeq: number
  scanOffset: number
}

/** Tasks that use the same pages, and their faults together. */
export interface NumaGroup {
  readonly gid: number
  nrTasks: number
  activeNodes: number
  maxFaultsCpu: number
  totalFaults: number
  /** As a task's, of the kinds MEM and CPU. */
  readonly faults: Float64Array
}

/** Of a task (the numa_* fields of task_struct). */
export interface TaskNuma {
  /** CPU time at which the scan period was looked at last. */
  nodeStampNs: number
  scanSeq: number
  scanPeriodMs: number
  scanPeriodMaxMs: number
  /** When the task may be moved to its preferred node again. */
  migrateRetryNs: number
  /** The node most of its faults are for, -1 before it is known. */
  preferredNid: number
  /** Hinting faults by kind (MEM, CPU, MEMBUF, CPUBUF), node, and shared or private; empty before the first. */
  faults: Float64Array
  /** Since the period was adapted last: pages faulted remote, local, and failed to be moved. */
  readonly faultsLocality: [remote: number, local: number, failed: number]
  pagesMigrated: number
  totalFaults: number
  group: NumaGroup | undefined
  lastPlacementNs: number
  lastRuntimeNs: number
  /** The CPU it was seen on last. */
  cpu: number
}
