/**
 * What the buddy lists say of a zone's free memory:
 *
 *     /proc/buddyinfo                           free blocks by order
 *     /proc/pagetypeinfo                        the same by migrate type, and page blocks by type
 *     /sys/kernel/debug/extfrag/unusable_index  share of free memory in blocks too small for an order
 *     /sys/kernel/debug/extfrag/extfrag_index   why a request of an order would fail: towards 0 for lack of memory, towards 1 for
 *                                               fragmentation; -1 where it would not
 *
 * Source: mm/vmstat.c (frag_show_print, pagetypeinfo_show, unusable_free_index, __fragmentation_index).
 */
import type { Kernel, Node, Zone } from '../kernel/base/state.ts'
import { MAX_ORDER, MIGRATE_NAMES, MIGRATE_TYPES, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, ZONE_NAMES } from '../kernel/base/units.ts'
import { freeBlocks } from '../kernel/frames/buddy.ts'
import { populated } from '../kernel/frames/zone.ts'
import { column } from './format.ts'
import { zonesOfNode } from './sums.ts'

const ORDERS: readonly number[] = Array.from({ length: MAX_ORDER }, (_, order) => order)
const TYPES: readonly number[] = Array.from({ length: MIGRATE_TYPES }, (_, type) => type)
/** A list is not counted further than this, so that nobody waits for the zone's lock for long. */
const COUNTED_MAX = 100_000

const zoneName = (zone: Zone) => ZONE_NAMES[zone.type].padStart(8)
const zoneLine = (zone: Zone) => `Node ${zone.node}, zone ${zoneName(zone)} `

/** A line for each populated zone. */
const perZone = (k: Kernel, line: (zone: Zone) => string): string =>
  k.zones
    .filter(populated)
    .map(zone => `${zoneLine(zone)}${line(zone)}\n`)
    .join('')

export const buddyinfo = (k: Kernel): string => perZone(k, zone => ORDERS.map(order => `${column(zone.nrFree[order], 6)} `).join(''))

/** Each node with memory has the whole file to itself. */
export const pagetypeinfo = (k: Kernel): string =>
  k.nodes
    .filter(node => zonesOfNode(k, node.id).some(zone => zone.managedPages > 0))
    .map(node => pagetypesOf(k, node))
    .join('')

function pagetypesOf(k: Kernel, node: Node): string {
  const zones = zonesOfNode(k, node.id).filter(populated)
  return [
    `Page block order: ${PAGEBLOCK_ORDER}\nPages per block:  ${PAGEBLOCK_PAGES}\n\n`,
    `${'Free pages count per migrate type at order'.padEnd(43)} ${ORDERS.map(order => `${column(order, 6)} `).join('')}\n`,
    ...zones.flatMap(zone => TYPES.map(type => freeLine(k, zone, type))),
    `\n${'Number of blocks type '.padEnd(23)}${MIGRATE_NAMES.map(name => `${name.padStart(12)} `).join('')}\n`,
    ...zones.map(
      zone =>
        `${zoneLine(zone)}${blocksByType(k, zone)
          .map(n => `${column(n, 12)} `)
          .join('')}\n`,
    ),
  ].join('')
}

function freeLine(k: Kernel, zone: Zone, type: number): string {
  const counts = ORDERS.map(order => {
    const n = freeBlocks(k, zone, order, type)
    return n >= COUNTED_MAX ? `>${column(COUNTED_MAX, 6)} ` : `${column(n, 6)} `
  })
  return `Node ${column(zone.node, 4)}, zone ${zoneName(zone)}, type ${MIGRATE_NAMES[type].padStart(12)} ${counts.join('')}\n`
}

function blocksByType(k: Kernel, zone: Zone): number[] {
  const counts = TYPES.map(() => 0)
  const end = zone.startPfn + zone.spannedPages
  for (let pfn = zone.startPfn; pfn < end; pfn += PAGEBLOCK_PAGES) {
    const block = pfn >>> PAGEBLOCK_ORDER
    if (k.blockZone[block] === zone.index) counts[k.blockType[block]]++
  }
  return counts
}

interface FreeMemory {
  readonly blocks: number
  readonly pages: number
  /** Blocks of the order asked for that the free blocks hold. */
  readonly suitable: number
}

function freeMemory(zone: Zone, order: number): FreeMemory {
  let [blocks, pages, suitable] = [0, 0, 0]
  for (const o of ORDERS) {
    blocks += zone.nrFree[o]
    pages += zone.nrFree[o] * 2 ** o
    if (o >= order) suitable += zone.nrFree[o] * 2 ** (o - order)
  }
  return { blocks, pages, suitable }
}

/** In thousandths. */
function unusableOf(zone: Zone, order: number): number {
  const { pages, suitable } = freeMemory(zone, order)
  return pages === 0 ? 1000 : Math.floor(((pages - suitable * 2 ** order) * 1000) / pages)
}

/** In thousandths; -1000 where a block is there (__fragmentation_index). */
function fragmentationOf(zone: Zone, order: number): number {
  const { blocks, pages, suitable } = freeMemory(zone, order)
  if (blocks === 0) return 0
  if (suitable > 0) return -1000
  return 1000 - Math.floor((1000 + Math.floor((pages * 1000) / 2 ** order)) / blocks)
}

/** Thousandths as C prints them with %d.%03d: the fraction keeps its own sign. */
const thousandths = (n: number, width: number): string => `${column(Math.trunc(n / 1000), width)}.${cInteger(n % 1000)} `
const cInteger = (n: number) => (n < 0 ? `-${String(-n).padStart(2, '0')}` : String(n).padStart(3, '0'))

export const unusableIndex = (k: Kernel): string =>
  perZone(k, zone => ORDERS.map(order => thousandths(unusableOf(zone, order), 1)).join(''))
export const extfragIndex = (k: Kernel): string =>
  perZone(k, zone => ORDERS.map(order => thousandths(fragmentationOf(zone, order), 2)).join(''))
