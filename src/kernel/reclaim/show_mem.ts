/**
 * How memory stands, for the log: what the out-of-memory killer and a failed allocation write beside their own lines.
 *
 *     active_anon:1 inactive_anon:108322 ...      the machine, in pages
 *     Node 0 active_anon:4kB ...                  each node that the request may use, or all
 *     Node 0 DMA free:1840kB min:88kB ...         each of its zones that may serve the request, with marks and reserves
 *     Node 0 DMA: 2*4kB (UM) 1*8kB (M) ...        free blocks by size, a letter for each migrate type that has some
 *     633 total pagecache pages ...               totals, swap, RAM
 *
 * The call trace and the registers that Linux prints before it are left out: neither is modelled.
 *
 * Source: mm/page_alloc.c __show_free_areas, lib/show_mem.c, lib/dump_stack.c, include/trace/events/mmflags.h.
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
import { KERN_WARNING, printk } from '../base/log.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import { MAX_ORDER, MIGRATE_TYPES, PAGE_KB, ZONE_NAMES } from '../base/units.ts'
import { freeBlocks } from '../frames/buddy.ts'
import { maskNodes, memoryNodes } from '../frames/mempolicy.ts'
import { ALL_NODES, gfpZone } from '../frames/rmqueue.ts'
import { MAX_RECLAIM_RETRIES } from '../frames/watermark.ts'
import { populated } from '../frames/zone.ts'

const KERNEL = '6.1.0-56-amd64 #1  Debian 6.1.192-2'
const HARDWARE = 'QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014'

/** Who runs, by name. */
export const currentComm = ({ current }: Kernel): string => current?.comm ?? 'kthreadd'

/** Who was at work, where and on what (dump_stack). */
export function dumpStack(k: Kernel): void {
  printk(k, KERN_WARNING, `CPU: ${k.cpu} PID: ${k.current?.pid ?? 2} Comm: ${currentComm(k)} Not tainted ${KERNEL}`)
  printk(k, KERN_WARNING, `Hardware name: ${HARDWARE}`)
}

/** The name of the cpuset of who runs, and the nodes that it may use (cpuset_print_current_mems_allowed). */
export function cpusetText(k: Kernel): string {
  const cpuset = k.cgroup.groups.get(k.current?.cpuset ?? 1)
  const mems = memoryNodes(k) & (k.current?.memsAllowed ?? ALL_NODES)
  return `cpuset=${cpuset === undefined || cpuset.parent === 0 ? '/' : cpuset.name},mems_allowed=${nodeList(mems)}`
}

/** Nodes that a request names. */
export const nodemaskText = (nodemask: number): string => (nodemask === ALL_NODES ? '(null)' : nodeList(nodemask))

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

/**
 * @param gfp the request: zones that cannot serve it are left out.
 * @param allowed bit per node that is shown.
 */
export function showMem(k: Kernel, gfp: number, allowed: number): void {
  const nodes = k.nodes.filter(node => ((allowed >> node.id) & 1) !== 0)
  const zones = k.zones.filter(zone => populated(zone) && zone.type <= gfpZone(gfp) && ((allowed >> zone.node) & 1) !== 0)
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

/** Nodes as a list of runs (%*pbl). */
export function nodeList(mask: number): string {
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
