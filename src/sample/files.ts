/**
 * Which files make up a frame. The simulator, the host reader and the `--raw` recorder ask the same list, so that a
 * recording of either shows every screen; a path that a machine does not have is simply absent from its frames.
 */

/** What a machine has, as far as it decides which files exist. */
export interface Shape {
  readonly nodes: readonly number[]
  readonly hugepageSizesKb: readonly number[]
  readonly pids: readonly number[]
  /** Names below /sys/fs/cgroup. */
  readonly cgroups: readonly string[]
}

/** In the order a frame is read: the fast moving counters first, so that they are of one moment. */
const MACHINE_FILES: readonly string[] = [
  '/proc/vmstat',
  '/proc/meminfo',
  '/proc/zoneinfo',
  '/proc/buddyinfo',
  '/proc/pagetypeinfo',
  '/proc/swaps',
  '/proc/pressure/memory',
  '/proc/slabinfo',
]

const NODE_FILES = ['meminfo', 'numastat', 'vmstat', 'distance', 'cpulist'] as const
const NODE_POOL_FILES = ['nr_hugepages', 'free_hugepages', 'surplus_hugepages'] as const
const POOL_FILES = [...NODE_POOL_FILES, 'resv_hugepages', 'nr_overcommit_hugepages', 'nr_hugepages_mempolicy'] as const

/**
 * Per process on every frame. What walks page tables (smaps_rollup, smaps, numa_maps) is asked for by the screens that
 * show it, for the processes they show.
 */
const TASK_FILES = ['stat', 'status', 'oom_score', 'oom_score_adj'] as const

const CGROUP_FILES = [
  'memory.current',
  'memory.swap.current',
  'memory.min',
  'memory.low',
  'memory.high',
  'memory.max',
  'memory.swap.max',
  'memory.events',
  'memory.stat',
  'memory.numa_stat',
  'memory.pressure',
  'cpuset.mems.effective',
] as const

const KSM_FILES = (
  'run full_scans pages_shared pages_sharing pages_unshared pages_volatile pages_to_scan sleep_millisecs max_page_sharing ' +
  'merge_across_nodes use_zero_pages stable_node_chains stable_node_dups stable_node_chains_prune_millisecs ' +
  'pages_scanned pages_skipped ksm_zero_pages general_profit smart_scan'
).split(' ')

const THP_FILES = [
  ...['enabled', 'defrag', 'shmem_enabled', 'use_zero_page', 'hpage_pmd_size'],
  ...['defrag', 'pages_to_scan', 'scan_sleep_millisecs', 'alloc_sleep_millisecs', 'max_ptes_none', 'max_ptes_swap', 'max_ptes_shared'].map(
    name => `khugepaged/${name}`,
  ),
  ...['pages_collapsed', 'full_scans'].map(name => `khugepaged/${name}`),
]

const ZSWAP_FILES = (
  'duplicate_entry pool_limit_hit pool_total_size reject_alloc_fail reject_compress_poor reject_kmemcache_fail ' +
  'reject_reclaim_fail same_filled_pages stored_pages written_back_pages'
).split(' ')

const ZSWAP_PARAMETERS =
  'enabled compressor zpool max_pool_percent accept_threshold_percent same_filled_pages_enabled non_same_filled_pages_enabled'.split(' ')

/** The paths of a base frame, without the knobs (a source adds those of its `tunables`) and without /mmtop. */
export function basePaths(shape: Shape): string[] {
  const pools = shape.hugepageSizesKb.map(size => `hugepages/hugepages-${size}kB/`)
  return [
    ...MACHINE_FILES,
    ...shape.nodes.flatMap(node => nodePaths(node, pools)),
    ...pools.flatMap(pool => POOL_FILES.map(file => `/sys/kernel/mm/${pool}${file}`)),
    ...THP_FILES.map(file => `/sys/kernel/mm/transparent_hugepage/${file}`),
    ...KSM_FILES.map(file => `/sys/kernel/mm/ksm/${file}`),
    ...ZSWAP_FILES.map(file => `/sys/kernel/debug/zswap/${file}`),
    ...ZSWAP_PARAMETERS.map(file => `/sys/module/zswap/parameters/${file}`),
    ...shape.cgroups.flatMap(group => CGROUP_FILES.map(file => `/sys/fs/cgroup/${group}/${file}`)),
    ...shape.pids.flatMap(pid => TASK_FILES.map(file => `/proc/${pid}/${file}`)),
  ]
}

function nodePaths(node: number, pools: readonly string[]): string[] {
  const directory = `/sys/devices/system/node/node${node}/`
  return [...NODE_FILES.map(file => directory + file), ...pools.flatMap(pool => NODE_POOL_FILES.map(file => directory + pool + file))]
}

/** What a table of processes watches: who shares what, huge pages, and on which nodes. */
export function summaryPaths(pids: readonly number[]): string[] {
  return pids.flatMap(pid => [`/proc/${pid}/smaps_rollup`, `/proc/${pid}/numa_maps`])
}

/** What a detail view of one process watches: area by area. */
export function detailPaths(pid: number): string[] {
  return [`/proc/${pid}/smaps`, `/proc/${pid}/numa_maps`]
}
