/**
 * What the out-of-memory killer writes to the log: who asked for what, how memory stands, who could be killed and who is.
 *
 *     NAME invoked oom-killer: gfp_mask=..., order=0      the request
 *     Mem-Info: ...                                       counters, nodes, zones, free blocks by order with the types they have
 *     Tasks state ...                                     unless oom_dump_tasks is 0
 *     oom-kill:constraint=...                             the verdict in one line
 *     Out of memory: Killed process ...
 *
 * For a memory cgroup its usage stands in the place of the machine's. Where kernel objects take more than all pages on lists, the
 * caches are listed too. The call trace and the registers that Linux prints are left out: neither is modelled. What a group's
 * memory.stat would show is to be read there.
 *
 * Source: mm/oom_kill.c (dump_header, dump_tasks, dump_oom_summary), mm/page_alloc.c __show_free_areas, lib/show_mem.c,
 * mm/memcontrol.c (mem_cgroup_print_oom_meminfo, mem_cgroup_print_oom_context), include/trace/events/mmflags.h.
 */
import { NS, ZS } from '../base/counters.ts'
import {
  __GFP_ACCOUNT,
  __GFP_ATOMIC,
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_DMA32,
  __GFP_FS,
  __GFP_HARDWALL,
  __GFP_HIGH,
  __GFP_HIGHMEM,
  __GFP_IO,
  __GFP_KSWAPD_RECLAIM,
  __GFP_MEMALLOC,
  __GFP_MOVABLE,
  __GFP_NOFAIL,
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_RECLAIM,
  __GFP_RECLAIMABLE,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  __GFP_WRITE,
  __GFP_ZERO,
  GFP_ATOMIC,
  GFP_HIGHUSER,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  GFP_KERNEL_ACCOUNT,
  GFP_NOFS,
  GFP_NOIO,
  GFP_NOWAIT,
  GFP_TRANSHUGE,
  GFP_TRANSHUGE_LIGHT,
  GFP_USER,
} from '../base/flags.ts'
import { KERN_ERR, KERN_INFO, KERN_WARNING, printk } from '../base/log.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import type { Task } from '../base/state_mm.ts'
import { MAX_ORDER, MIGRATE_TYPES, PAGE_KB, ZONE_NAMES } from '../base/units.ts'
import { distinctCaches, partialSlabs } from '../caches/slab.ts'
import { freeBlocks } from '../frames/buddy.ts'
import { memcgOf, PAGE_COUNTER_MAX, ROOT_MEMCG } from '../frames/memcg.ts'
import { memcgStatText } from '../frames/memcg_stat.ts'
import { maskNodes, memoryNodes } from '../frames/mempolicy.ts'
import { ALL_NODES, gfpZone } from '../frames/rmqueue.ts'
import { MAX_RECLAIM_RETRIES } from '../frames/watermark.ts'
import { populated } from '../frames/zone.ts'
import { shownRss, shownRssPages, shownSwap } from '../spaces/rss.ts'

/** What is out of memory, for what request, and what limits it. */
export interface OomReport {
  readonly gfp: number
  readonly order: number
  /** Bit per node that the request's policy allows; ALL_NODES: it has none. */
  readonly nodemask: number
  readonly memcg: number
  readonly constraint: 'none' | 'memcg' | 'memory_policy' | 'cpuset'
}

const KERNEL = '6.1.0-56-amd64 #1  Debian 6.1.192-2'
const HARDWARE = 'QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014'

/** The machine's part of the report, and the candidates. @param candidates in order of their numbers */
export function dumpHeader(k: Kernel, oc: OomReport, victim: Task | undefined, candidates: readonly Task[]): void {
  const who = k.current
  const comm = who?.comm ?? 'kthreadd'
  const asked = `gfp_mask=0x${oc.gfp.toString(16)}(${gfpText(oc.gfp)}), order=${oc.order}, oom_score_adj=${who?.oomScoreAdj ?? 0}`
  printk(k, KERN_WARNING, `${comm} invoked oom-killer: ${asked}`)
  printk(k, KERN_WARNING, `CPU: ${k.cpu} PID: ${who?.pid ?? 2} Comm: ${comm} Not tainted ${KERNEL}`)
  printk(k, KERN_WARNING, `Hardware name: ${HARDWARE}`)
  if (oc.memcg !== ROOT_MEMCG) showMemcg(k, oc.memcg)
  else {
    showMem(k, oc)
    if (slabsOutweigh(k)) dumpUnreclaimableSlab(k)
  }
  if (k.sysctl.oom_dump_tasks !== 0) dumpTasks(k, candidates)
  if (victim !== undefined) dumpSummary(k, oc, victim)
}

/** Names of gfp flags, those of several bits first (__def_gfpflag_names). */
const GFP_NAMES: readonly (readonly [name: string, bits: number])[] = Object.entries({
  GFP_TRANSHUGE,
  GFP_TRANSHUGE_LIGHT,
  GFP_HIGHUSER_MOVABLE,
  GFP_HIGHUSER,
  GFP_USER,
  GFP_KERNEL_ACCOUNT,
  GFP_KERNEL,
  GFP_NOFS,
  GFP_ATOMIC,
  GFP_NOIO,
  GFP_NOWAIT,
  __GFP_HIGHMEM,
  __GFP_DMA32,
  __GFP_HIGH,
  __GFP_ATOMIC,
  __GFP_IO,
  __GFP_FS,
  __GFP_NOWARN,
  __GFP_RETRY_MAYFAIL,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_COMP,
  __GFP_ZERO,
  __GFP_NOMEMALLOC,
  __GFP_MEMALLOC,
  __GFP_HARDWALL,
  __GFP_THISNODE,
  __GFP_RECLAIMABLE,
  __GFP_MOVABLE,
  __GFP_ACCOUNT,
  __GFP_WRITE,
  __GFP_RECLAIM,
  __GFP_DIRECT_RECLAIM,
  __GFP_KSWAPD_RECLAIM,
})

/** The flags by name, what has none in hexadecimal (%pGg). */
export function gfpText(gfp: number): string {
  const words: string[] = []
  let left = gfp
  for (const [name, bits] of GFP_NAMES) {
    if ((left & bits) !== bits) continue
    words.push(name)
    left &= ~bits
  }
  return [...words, ...(left !== 0 ? [`0x${left.toString(16)}`] : [])].join('|')
}

const kb = (pages: number): number => pages * PAGE_KB
const sum = <T>(list: readonly T[], of: (each: T) => number): number =>
  Math.max(
    0,
    list.reduce((total, each) => total + of(each), 0),
  )

function showMem(k: Kernel, oc: OomReport): void {
  const allowed = oc.nodemask === ALL_NODES ? (k.current?.memsAllowed ?? ALL_NODES) : oc.nodemask
  const nodes = k.nodes.filter(node => ((allowed >> node.id) & 1) !== 0)
  const zones = k.zones.filter(zone => populated(zone) && zone.type <= gfpZone(oc.gfp) && ((allowed >> zone.node) & 1) !== 0)
  printk(k, KERN_WARNING, 'Mem-Info:')
  printk(k, KERN_WARNING, machineCounters(k, zones))
  for (const node of nodes) if (zones.some(zone => zone.node === node.id)) printk(k, KERN_WARNING, nodeCounters(node))
  for (const zone of zones) {
    printk(k, KERN_WARNING, zoneCounters(k, zone))
    printk(k, KERN_WARNING, `lowmem_reserve[]: ${zone.lowmemReserve.join(' ')}`)
  }
  for (const zone of zones) printk(k, KERN_WARNING, zoneBlocks(k, zone))
  showHugetlb(k, nodes)
  showTotals(k)
}

const freePcp = (zone: Zone): number => zone.pcps.reduce((pages, pcp) => pages + pcp.count, 0)

function machineCounters(k: Kernel, zones: readonly Zone[]): string {
  const of = (name: keyof typeof NS) => sum(k.nodes, node => node.stat[NS[name]])
  const free = sum(k.zones, zone => zone.stat[ZS.nr_free_pages])
  return [
    `active_anon:${of('nr_active_anon')} inactive_anon:${of('nr_inactive_anon')} isolated_anon:${of('nr_isolated_anon')}`,
    ` active_file:${of('nr_active_file')} inactive_file:${of('nr_inactive_file')} isolated_file:${of('nr_isolated_file')}`,
    ` unevictable:${of('nr_unevictable')} dirty:${of('nr_dirty')} writeback:${of('nr_writeback')}`,
    ` slab_reclaimable:${of('nr_slab_reclaimable')} slab_unreclaimable:${of('nr_slab_unreclaimable')}`,
    ` mapped:${of('nr_mapped')} shmem:${of('nr_shmem')} pagetables:${of('nr_page_table_pages')}`,
    ` sec_pagetables:${of('nr_sec_page_table_pages')} bounce:${sum(k.zones, zone => zone.stat[ZS.nr_bounce])}`,
    ` kernel_misc_reclaimable:${of('nr_kernel_misc_reclaimable')}`,
    ` free:${free} free_pcp:${sum(zones, freePcp)} free_cma:0`,
  ].join('\n')
}

function nodeCounters(node: Node): string {
  const of = (name: keyof typeof NS) => `${kb(Math.max(0, node.stat[NS[name]]))}kB`
  return [
    `Node ${node.id} active_anon:${of('nr_active_anon')} inactive_anon:${of('nr_inactive_anon')} active_file:${of('nr_active_file')}`,
    `inactive_file:${of('nr_inactive_file')} unevictable:${of('nr_unevictable')} isolated(anon):${of('nr_isolated_anon')}`,
    `isolated(file):${of('nr_isolated_file')} mapped:${of('nr_mapped')} dirty:${of('nr_dirty')} writeback:${of('nr_writeback')}`,
    `shmem:${of('nr_shmem')} shmem_thp: ${of('nr_shmem_hugepages')} shmem_pmdmapped: ${of('nr_shmem_pmdmapped')}`,
    `anon_thp: ${of('nr_anon_transparent_hugepages')} writeback_tmp:${of('nr_writeback_temp')}`,
    `kernel_stack:${node.stat[NS.nr_kernel_stack]}kB pagetables:${of('nr_page_table_pages')} sec_pagetables:${of('nr_sec_page_table_pages')}`,
    `all_unreclaimable? ${node.kswapd.failures >= MAX_RECLAIM_RETRIES ? 'yes' : 'no'}`,
  ].join(' ')
}

function zoneCounters(k: Kernel, zone: Zone): string {
  const of = (name: keyof typeof ZS) => `${kb(Math.max(0, zone.stat[ZS[name]]))}kB`
  const mark = (pages: number) => `${kb(pages + zone.watermarkBoost)}kB`
  return [
    `Node ${zone.node} ${ZONE_NAMES[zone.type]} free:${of('nr_free_pages')} boost:${kb(zone.watermarkBoost)}kB min:${mark(zone.wmarkMin)}`,
    `low:${mark(zone.wmarkLow)} high:${mark(zone.wmarkHigh)} reserved_highatomic:${kb(zone.nrReservedHighatomic)}KB`,
    `active_anon:${of('nr_zone_active_anon')} inactive_anon:${of('nr_zone_inactive_anon')} active_file:${of('nr_zone_active_file')}`,
    `inactive_file:${of('nr_zone_inactive_file')} unevictable:${of('nr_zone_unevictable')} writepending:${of('nr_zone_write_pending')}`,
    `present:${kb(zone.presentPages)}kB managed:${kb(zone.managedPages)}kB mlocked:${of('nr_mlock')} bounce:${of('nr_bounce')}`,
    `free_pcp:${kb(freePcp(zone))}kB local_pcp:${kb(zone.pcps[k.cpu].count)}kB free_cma:0kB`,
  ].join(' ')
}

/** A letter for each migrate type that has free blocks of an order. */
const TYPE_LETTERS = 'UMEHI'

function zoneBlocks(k: Kernel, zone: Zone): string {
  let total = 0
  const orders = Array.from({ length: MAX_ORDER }, (_, order) => {
    const types = Array.from({ length: MIGRATE_TYPES }, (__, type) => freeBlocks(k, zone, order, type))
    const blocks = types.reduce((a, b) => a + b, 0)
    total += blocks * 2 ** order
    const letters = types.map((n, type) => (n > 0 ? TYPE_LETTERS[type] : '')).join('')
    return `${blocks}*${kb(2 ** order)}kB${blocks > 0 ? ` (${letters})` : ''} `
  })
  return `Node ${zone.node} ${ZONE_NAMES[zone.type]}: ${orders.join('')}= ${kb(total)}kB`
}

function showHugetlb(k: Kernel, nodes: readonly Node[]): void {
  const sizes = [...k.hugetlb.hstates].sort((a, b) => b.order - a.order)
  for (const { id } of nodes)
    for (const h of sizes) {
      const figures = `hugepages_total=${h.nrByNode[id]} hugepages_free=${h.freeByNode[id]} hugepages_surp=${h.surplusByNode[id]}`
      printk(k, KERN_WARNING, `Node ${id} ${figures} hugepages_size=${h.sizeKb}kB`)
    }
}

function showTotals(k: Kernel): void {
  const of = (item: number) => sum(k.nodes, node => node.stat[item])
  const present = sum(k.zones, zone => zone.presentPages)
  printk(k, KERN_WARNING, `${of(NS.nr_file_pages)} total pagecache pages`)
  printk(k, KERN_WARNING, `${of(NS.nr_swapcached)} pages in swap cache`)
  printk(k, KERN_WARNING, `Free swap  = ${kb(k.swap.freePages)}kB`)
  printk(k, KERN_WARNING, `Total swap = ${kb(k.swapPages)}kB`)
  printk(k, KERN_WARNING, `${present} pages RAM`)
  printk(k, KERN_WARNING, '0 pages HighMem/MovableOnly')
  printk(k, KERN_WARNING, `${present - sum(k.zones, zone => zone.managedPages)} pages reserved`)
  printk(k, KERN_WARNING, `${k.poisonedPages} pages hwpoisoned`)
}

/** Whether kernel objects that cannot be given back take more than all pages on lists (should_dump_unreclaim_slab). */
function slabsOutweigh(k: Kernel): boolean {
  const items = [NS.nr_active_anon, NS.nr_inactive_anon, NS.nr_active_file, NS.nr_inactive_file, NS.nr_unevictable]
  const listed = sum(k.nodes, node => items.reduce((pages, item) => pages + node.stat[item], 0))
  return sum(k.nodes, node => node.stat[NS.nr_slab_unreclaimable]) > listed
}

function dumpUnreclaimableSlab(k: Kernel): void {
  printk(k, KERN_INFO, 'Unreclaimable slab info:')
  printk(k, KERN_INFO, 'Name                      Used          Total')
  for (const cache of distinctCaches(k)) {
    const objects = cache.bootSlabs * cache.objectsPerSlab + cache.total
    if (cache.reclaimable || objects === 0) continue
    const free = sum(k.nodes, node => partialSlabs(k, cache, node.id).free)
    const inKb = (n: number) => `${String(Math.floor((n * cache.objectBytes) / 1024)).padStart(10)}KB`
    printk(k, KERN_INFO, `${cache.name.padEnd(17)} ${inKb(objects - free)} ${inKb(objects)}`)
  }
}

/** What a group's counter says; without a limit it is the largest there can be. */
function showMemcg(k: Kernel, id: number): void {
  const { memory, swap } = memcgOf(k, id)
  const limit = (pages: number) => kb(Math.min(pages, PAGE_COUNTER_MAX))
  printk(k, KERN_INFO, `memory: usage ${kb(memory.usage)}kB, limit ${limit(memory.max)}kB, failcnt ${memory.failures}`)
  printk(k, KERN_INFO, `swap: usage ${kb(swap.usage)}kB, limit ${limit(swap.max)}kB, failcnt ${swap.failures}`)
  printk(k, KERN_INFO, `Memory cgroup stats for ${memcgPath(k, id)}:`)
  printk(k, KERN_INFO, memcgStatText(k, id).trimEnd())
}

/** Path of the group's directory below the mount. */
function memcgPath(k: Kernel, id: number): string {
  const names: string[] = []
  for (let at = k.cgroup.groups.get(memcgOf(k, id).cgroup); at !== undefined && at.parent !== 0; at = k.cgroup.groups.get(at.parent))
    names.unshift(at.name)
  return `/${names.join('/')}`
}

function dumpTasks(k: Kernel, candidates: readonly Task[]): void {
  const right = (n: number, width: number) => String(n).padStart(width)
  printk(k, KERN_INFO, 'Tasks state (memory values in pages):')
  printk(k, KERN_INFO, '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name')
  for (const { pid, uid, mm, oomScoreAdj, comm } of candidates) {
    if (mm === undefined) continue
    const who = `[${right(pid, 7)}] ${right(uid, 5)} ${right(pid, 5)}`
    const has = `${right(mm.totalVm, 8)} ${right(shownRssPages(mm), 8)} ${right(mm.pgtablesBytes, 8)} ${right(shownSwap(mm), 8)}`
    printk(k, KERN_INFO, `${who} ${has}         ${right(oomScoreAdj, 5)} ${comm}`)
  }
}

/** Nodes as a list of runs (%*pbl). */
function nodeList(mask: number): string {
  const nodes = maskNodes(mask)
  const runs = nodes.filter((node, i) => nodes[i - 1] !== node - 1)
  return runs
    .map(first => {
      let last = first
      while (nodes.includes(last + 1)) last++
      return last === first ? `${first}` : `${first}-${last}`
    })
    .join(',')
}

function dumpSummary(k: Kernel, oc: OomReport, victim: Task): void {
  const mems = memoryNodes(k) & (k.current?.memsAllowed ?? ALL_NODES)
  const cpuset = k.cgroup.groups.get(k.current?.cpuset ?? 1)
  const words = [
    `oom-kill:constraint=CONSTRAINT_${oc.constraint.toUpperCase()}`,
    `nodemask=${oc.nodemask === ALL_NODES ? '(null)' : nodeList(oc.nodemask)}`,
    `cpuset=${cpuset === undefined || cpuset.parent === 0 ? '/' : cpuset.name}`,
    `mems_allowed=${nodeList(mems)}`,
    oc.memcg === ROOT_MEMCG ? 'global_oom' : `oom_memcg=${memcgPath(k, oc.memcg)}`,
    `task_memcg=${memcgPath(k, victim.memcg)}`,
    `task=${victim.comm}`,
    `pid=${victim.pid}`,
    `uid=${victim.uid}`,
  ]
  printk(k, KERN_INFO, words.join(','))
}

/** The line that everybody looks for. @param why "Out of memory" or the like */
export function reportKilled(k: Kernel, victim: Task, why: string): void {
  const { mm } = victim
  if (mm === undefined) return
  const { anon, file, shmem } = shownRss(mm)
  const has = `total-vm:${kb(mm.totalVm)}kB, anon-rss:${kb(anon)}kB, file-rss:${kb(file)}kB, shmem-rss:${kb(shmem)}kB`
  const rest = `UID:${victim.uid} pgtables:${mm.pgtablesBytes / 1024}kB oom_score_adj:${victim.oomScoreAdj}`
  printk(k, KERN_ERR, `${why}: Killed process ${victim.pid} (${victim.comm}) ${has}, ${rest}`)
}
