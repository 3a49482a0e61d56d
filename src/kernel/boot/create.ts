/**
 * The empty machine: every piece of state in its first shape, before any page is free and any process lives.
 */
import { contentTable } from '../base/content.ts'
import { CACHE_PAGES, costAccount } from '../base/cost.ts'
import { NODE_STATS, NUMA_STATS, VM_EVENTS, ZONE_STATS } from '../base/counters.ts'
import { listAllocate, listHeads, PAGE_WORDS } from '../base/list.ts'
import { kernelLog } from '../base/log.ts'
import { psiState } from '../base/psi.ts'
import type { BootFigures, Cpu, FolioBatch, Kernel, Machine, Node, Zone } from '../base/state.ts'
import type { Cgroup } from '../base/state_cgroup.ts'
import type { KhugepagedState, VmemmapState } from '../base/state_huge.ts'
import type { KsmState } from '../base/state_ksm.ts'
import type { MemoryHotplug } from '../base/state_memory.ts'
import type { AddressSpaces } from '../base/state_mm.ts'
import type { NumaBalancing } from '../base/state_numa.ts'
import type { Sysctl } from '../base/state_sysctl.ts'
import type { UserfaultfdState } from '../base/state_uffd.ts'
import { daemon } from '../base/thread.ts'
import { trafficOf } from '../base/traffic.ts'
import {
  asNode,
  HPAGE_PMD_ORDER,
  HPAGE_PUD_ORDER,
  MAX_NR_ZONES,
  MAX_NUMNODES,
  MAX_ORDER,
  MIGRATE_MOVABLE,
  MIGRATE_TYPES,
  NO_NODE,
  NO_PAGE,
  PAGEBLOCK_ORDER,
} from '../base/units.ts'
import { emptyGather } from '../caches/gather.ts'
import { fileSystems } from '../caches/inode.ts'
import { BATCH_PAGES } from '../caches/lru.ts'
import { swapState } from '../caches/swap_map.ts'
import { zramDevice } from '../caches/zram.ts'
import { zswapState } from '../caches/zswap.ts'
import { lruGenState } from '../frames/generations.ts'
import { emptyLruvec, memcgState, ROOT_MEMCG } from '../frames/memcg.ts'
import { DEFAULT_POLICY } from '../frames/mempolicy.ts'
import { zoneLock } from '../frames/zone_lock.ts'
import { ksmRecords } from '../spaces/ksm_records.ts'
import { pageTables } from '../spaces/pagetable.ts'
import { kstrtobool } from '../tunables_parse.ts'

/** No memory at this block. */
const NO_ZONE = 255
export const NEVER = Number.POSITIVE_INFINITY

/** @param cpusOfNode CPU numbers of each node; undefined: consecutive, as many as the machine gives each. */
export function createKernel(machine: Machine, maxPfn: number, junkOnFree: boolean, cpusOfNode?: readonly (readonly number[])[]): Kernel {
  const blocks = (maxPfn >>> PAGEBLOCK_ORDER) + 1
  const k: Kernel = {
    machine,
    rng: { state: machine.seed | 0 },
    clock: Float64Array.of(0, NEVER),
    needResched: false,
    cpu: 0,
    current: undefined,
    page: new Int32Array((maxPfn + 1) * PAGE_WORDS),
    maxPfn,
    blockType: new Uint8Array(blocks).fill(MIGRATE_MOVABLE),
    blockZone: new Uint8Array(blocks).fill(NO_ZONE),
    blockSkip: new Uint8Array(blocks),
    capture: { zone: -1, order: -1, pfn: NO_PAGE },
    heads: listHeads(),
    nodes: [],
    zones: [],
    cpus: [],
    event: new Float64Array(VM_EVENTS.length),
    inCache: new Int32Array(CACHE_PAGES),
    costNs: costAccount(),
    account: { owner: undefined, mark: costAccount() },
    sysctl: sysctlDefaults(),
    contents: contentTable(),
    spaces: addressSpaces(),
    vmf: { vpn: new Float64Array(1), offset: 0, write: false, user: false, atOnce: false, major: false, table: 0, i: 0 },
    gather: emptyGather(),
    fs: fileSystems(machine.nodes.length),
    swap: swapState(),
    psi: psiState(daemon('psi', NO_NODE)),
    zswap: zswapState(daemon('zswap-shrink', NO_NODE)),
    zram: machine.modules.includes('zram') ? [zramDevice(0)] : [],
    ...controlGroups(),
    caches: new Map(),
    hugetlb: { vmemmap: vmemmapState(), hstates: [], defaultHstate: 0, subpools: new Map(), nextSubpool: 1, mounts: [] },
    thp: { enabled: 'always', defrag: 'madvise', useZeroPage: true, shmemEnabled: 'never', hugeZeroPage: NO_PAGE, hugeZeroUsers: 0 },
    khugepaged: khugepagedState(),
    ...watchers(),
    vmstat: { ...daemon('vmstat', NO_NODE), wakeNs: 1e9 },
    lruGen: lruGenState(machine.nodes.length),
    secretmem: { enabled: secretmemEnabled(machine), locked: new Map(), split: new Set() },
    uffd: userfaultfdState(),
    tasks: new Map(),
    nextPid: 1,
    totalramPages: 0,
    totalreservePages: 0,
    swapPages: 0,
    committedAs: 0,
    userMinFreeKbytes: -1,
    poisonedPages: 0,
    zeroPage: NO_PAGE,
    policies: { default: DEFAULT_POLICY, interleavePrev: -1 },
    ...numaState(machine),
    boot: bootFigures(),
    memory: memoryHotplug(),
    log: kernelLog(),
    rcu: { daemon: daemon('rcu', NO_NODE), dropping: false, waiting: [], next: [] },
    oomReaper: { daemon: daemon('oom_reaper', NO_NODE), queue: [] },
    events: [],
    junkOnFree,
  }
  addCpus(k, cpusOfNode ?? consecutive(machine))
  machine.nodes.forEach((_, i) => {
    k.nodes.push(emptyNode(k, i))
    for (let type = 0; type < MAX_NR_ZONES; type++) k.zones.push(emptyZone(k, i, type))
  })
  for (const order of [HPAGE_PMD_ORDER, HPAGE_PUD_ORDER]) addHstate(k, order)
  return k
}

const userfaultfdState = (): UserfaultfdState => ({
  migration: { bytesPerS: 128 * 2 ** 20, latencyNs: 200_000, rounds: 1 },
  contexts: new Map(),
  next: 1,
  woken: [],
  told: [],
  proposed: new Map(),
})

const vmemmapState = (): VmemmapState => ({
  worker: daemon('free_hpage_work', NO_NODE),
  cpu: 0,
  frames: new Map(),
  released: new Map(),
  moved: new Map(),
  tables: new Map(),
  optimized: new Set(),
  leaving: [],
})

const khugepagedState = (): KhugepagedState => ({
  daemon: daemon('khugepaged', NO_NODE),
  running: false,
  waits: 'work',
  defrag: true,
  pagesToScan: 4096,
  scanSleepMillisecs: 10_000,
  allocSleepMillisecs: 60_000,
  maxPtesNone: 511,
  maxPtesSwap: 64,
  maxPtesShared: 256,
  pagesCollapsed: 0,
  fullScans: 0,
  mms: [],
  at: -1,
  address: 0,
  progress: 0,
  passes: 0,
  slept: false,
  nodeLoad: new Int32Array(MAX_NUMNODES),
  pteMapped: new Map(),
})

const addressSpaces = (): AddressSpaces => ({
  mms: new Map(),
  anonVmas: new Map(),
  anonVmaChains: 0,
  nextMm: 1,
  nextAnonVma: 1,
  tables: pageTables(),
  deposits: new Map(),
  owed: new Map(),
  sharedTables: new Map(),
  tablesWereShared: false,
})

const memoryHotplug = (): MemoryHotplug => ({
  blockPages: 0,
  blocks: new Map(),
  autoOnline: 'offline',
  onlinePolicy: 'contig-zones',
  autoMovableRatio: 301,
  autoMovableNumaAware: true,
})

/** Who looks at pages for what they hold, and for whether they are used. */
const watchers = () => ({
  ksm: ksmState(),
  workingSet: { daemon: daemon('working_set', NO_NODE), intervalMs: 0, rounds: 0, atNs: 0, ages: new Uint8Array(0) },
})

const ksmState = (records = ksmRecords()): KsmState => ({
  daemon: daemon('ksmd', NO_NODE),
  run: 0,
  pagesToScan: 100,
  sleepMillisecs: 20,
  maxPageSharing: 256,
  mergeAcrossNodes: true,
  useZeroPages: false,
  stableNodeChainsPruneMillisecs: 2000,
  pagesShared: 0,
  pagesSharing: 0,
  pagesUnshared: 0,
  rmapItems: 0,
  stableNodeChains: 0,
  stableNodeDups: 0,
  fullScans: 0,
  records,
  stableTrees: Array.from({ length: MAX_NUMNODES }, () => ({ records, root: 0 })),
  unstableTrees: Array.from({ length: MAX_NUMNODES }, () => ({ records, root: 0 })),
  migrated: 0,
  slots: [],
  slotById: [],
  at: -1,
  address: new Float64Array(1),
  cursor: 0,
  page: NO_PAGE,
  walk: { parent: 0, side: 0, node: 0, dup: 0, some: 0 },
  waits: 'work',
  left: 0,
})

/** A switch of the command line without a value is on. */
function secretmemEnabled({ cmdline }: Machine): boolean {
  const given = cmdline.findLast(([key]) => key === 'secretmem.enable')
  return given !== undefined && (kstrtobool(given[1] ?? '1') ?? false)
}

/** Number of the first directory: those before it are the root's and its files'. */
const FIRST_CGROUP = 26
const INT_MAX = 2 ** 31 - 1

const controlGroups = (): Pick<Kernel, 'memcg' | 'cgroup'> => ({
  memcg: memcgState(),
  cgroup: { mounted: false, groups: new Map([[1, rootCgroup()]]), nextId: FIRST_CGROUP },
})

const rootCgroup = (): Cgroup => ({
  id: 1,
  name: '',
  parent: 0,
  children: [],
  domain: 1,
  subtreeControl: 0,
  memcg: ROOT_MEMCG,
  cpuset: undefined,
  maxDepth: INT_MAX,
  maxDescendants: INT_MAX,
  frozen: false,
  pressure: true,
})

const bootFigures = (): BootFigures => ({
  percpuPages: 0,
  vmallocUsedPages: 0,
  directMap4kKb: 0,
  directMap2mKb: 0,
  directMap1gKb: 0,
  directMapGibs: new Set(),
  kernelStackKb: 0,
  slabPages: 0,
  maxThreads: 0,
  kernelTables: 0,
  reserved: [],
})

const batch = (): FolioBatch => ({ pages: new Int32Array(BATCH_PAGES), n: 0 })

function consecutive(machine: Machine): number[][] {
  let next = 0
  return machine.nodes.map(node => Array.from({ length: node.cpus }, () => next++))
}

function addCpus(k: Kernel, cpusOfNode: readonly (readonly number[])[]): void {
  const nodeOf = new Map(cpusOfNode.flatMap((cpus, node) => cpus.map(cpu => [cpu, node] as const)))
  for (const cpu of [...nodeOf.keys()].sort((a, b) => a - b)) k.cpus.push(emptyCpu(cpu, nodeOf.get(cpu) ?? 0))
}

const emptyCpu = (id: number, node: number): Cpu => ({
  id,
  node: asNode(node),
  online: true,
  nowNs: 0,
  lruAdd: batch(),
  lruRotate: batch(),
  lruDeactivateFile: batch(),
  lruDeactivate: batch(),
  lruLazyfree: batch(),
  activate: batch(),
  mlock: batch(),
  cachedStacks: [],
  committed: 0,
})

function emptyNode(k: Kernel, id: number): Node {
  return {
    id: asNode(id),
    cpus: k.cpus.filter(cpu => cpu.node === id).map(cpu => cpu.id),
    startPfn: 0,
    spannedPages: 0,
    stat: new Float64Array(NODE_STATS.length),
    zonelist: [],
    ownZonelist: [],
    lruvecs: [emptyLruvec(k, ROOT_MEMCG)],
    kswapd: {
      ...daemon(`kswapd${id}`, id),
      order: 0,
      highestZoneidx: -1,
      failures: 0,
      napUntilNs: 0,
      lastOrder: 0,
      lastZoneidx: MAX_NR_ZONES - 1,
      run: undefined,
    },
    reclaimFlags: 0,
    kcompactd: { ...daemon(`kcompactd${id}`, id), order: 0, highestZoneidx: MAX_NR_ZONES - 1, timeoutNs: NEVER },
    proactiveCompactTrigger: false,
    totalreserve: 0,
  }
}

function emptyZone(k: Kernel, node: number, type: number): Zone {
  return {
    index: node * MAX_NR_ZONES + type,
    node: asNode(node),
    type,
    startPfn: 0,
    spannedPages: 0,
    presentPages: 0,
    managedPages: 0,
    wmarkMin: 0,
    wmarkLow: 0,
    wmarkHigh: 0,
    wmarkPromo: 0,
    watermarkBoost: 0,
    lowmemReserve: [0, 0, 0, 0, 0],
    stat: new Float64Array(ZONE_STATS.length),
    numa: new Float64Array(NUMA_STATS.length),
    freeLists: listAllocate(k.heads, MAX_ORDER * MIGRATE_TYPES),
    nrFree: new Int32Array(MAX_ORDER),
    virgin: [],
    pcps: [],
    pcpHigh: 0,
    pcpBatch: 0,
    nrReservedHighatomic: 0,
    boostedWatermark: false,
    reclaimActive: false,
    compact: {
      cachedFreePfn: 0,
      cachedMigrateAsyncPfn: 0,
      cachedMigrateSyncPfn: 0,
      initMigratePfn: 0,
      initFreePfn: 0,
      considered: 0,
      deferShift: 0,
      orderFailed: 0,
      blockskipFlush: false,
    },
    lock: zoneLock(k.cpus.length),
  }
}

function addHstate(k: Kernel, order: number): void {
  const perNode = () => new Int32Array(k.machine.nodes.length)
  k.hugetlb.hstates.push({
    order,
    sizeKb: 4 << order,
    gigantic: order >= MAX_ORDER,
    demoteOrder: order >= MAX_ORDER ? HPAGE_PMD_ORDER : 0,
    nrHugePages: 0,
    freeHugePages: 0,
    resvHugePages: 0,
    surplusHugePages: 0,
    nrOvercommitHugePages: 0,
    maxHugePages: 0,
    nrByNode: perNode(),
    freeByNode: perNode(),
    surplusByNode: perNode(),
    freeLists: k.nodes.map(() => listAllocate(k.heads, 1)),
    nextNidToAlloc: 0,
    nextNidToFree: 0,
  })
}

const numaState = (machine: Machine): Pick<Kernel, 'numa' | 'traffic' | 'ptLocks' | 'moves'> => ({
  numa: numaBalancing(),
  traffic: trafficOf(machine),
  ptLocks: { contended: new Float64Array(3), waitedNs: new Float64Array(3) },
  moves: { watchedNs: Number.POSITIVE_INFINITY, byPage: new Map() },
})

/** NUMA balancing as it scans unless told otherwise. */
const numaBalancing = (): NumaBalancing => ({
  scanDelayMs: 1000,
  scanPeriodMinMs: 1000,
  scanPeriodMaxMs: 60000,
  scanSizeMb: 256,
  hotThresholdMs: 1000,
  promoteRateLimitMb: 65536,
  demotionEnabled: false,
  lastCpupid: new Int32Array(0),
})

/** The kernel's own defaults; boot adjusts those that depend on the machine. */
function sysctlDefaults(): Sysctl {
  return {
    admin_reserve_kbytes: 8192,
    compact_unevictable_allowed: 1,
    compaction_proactiveness: 20,
    dirty_background_bytes: 0,
    dirty_background_ratio: 10,
    dirty_bytes: 0,
    dirty_expire_centisecs: 3000,
    dirty_ratio: 20,
    dirty_writeback_centisecs: 500,
    dirtytime_expire_seconds: 43200,
    extfrag_threshold: 500,
    hugetlb_shm_group: 0,
    laptop_mode: 0,
    legacy_va_layout: 0,
    lowmem_reserve_ratio: [256, 256, 32, 0, 0],
    max_map_count: 65530,
    memory_failure_early_kill: 0,
    memory_failure_recovery: 1,
    min_free_kbytes: 1024,
    min_slab_ratio: 5,
    min_unmapped_ratio: 1,
    mmap_min_addr: 65536,
    mmap_rnd_bits: 28,
    mmap_rnd_compat_bits: 8,
    numa_stat: 1,
    oom_dump_tasks: 1,
    oom_kill_allocating_task: 0,
    overcommit_kbytes: 0,
    overcommit_memory: 0,
    overcommit_ratio: 50,
    page_cluster: 3,
    page_lock_unfairness: 5,
    panic_on_oom: 0,
    percpu_pagelist_high_fraction: 0,
    stat_interval: 1,
    swappiness: 60,
    unprivileged_userfaultfd: 0,
    user_reserve_kbytes: 131072,
    vfs_cache_pressure: 100,
    watermark_boost_factor: 15000,
    watermark_scale_factor: 10,
    zone_reclaim_mode: 0,
    hugetlb_optimize_vmemmap: 0,
    numa_balancing: 0,
    sched_child_runs_first: 0,
  }
}
