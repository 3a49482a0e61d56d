/**
 * /proc/zoneinfo. Each zone opens with "Node 0, zone    DMA32"; the first populated zone of a node also carries the
 * node's own counters. What follows differs by kernel (no boost before 4.20, promo since 6.8, other per-CPU lines since
 * 6.7), so a zone keeps every "word number" line of its three parts:
 *
 *   Node 0, zone    DMA32
 *     per-node stats            -> nodeStats
 *         nr_inactive_anon 24613
 *     pages free     76237      -> pages ("free", "min", "managed" ...)
 *           min      653
 *           protection: (0, 440)
 *         nr_free_pages 76237   -> stats
 *     pagesets                  -> pagesets, one a CPU
 *       cpu: 0
 *                 count: 0
 *     start_pfn:           1
 */
import { toInteger } from '../text.ts'

/** The lists of free pages that one CPU keeps of one zone. Pages. */
export interface Pageset {
  readonly cpu: number
  readonly count: number
  readonly high: number
  readonly batch: number
}

/** One zone of one node. All figures are pages of 4 KiB. */
export interface Zone {
  readonly node: number
  readonly zone: string
  /** "free", "boost", "min", "low", "high", "spanned", "present", "managed", "cma" ... as this kernel has them */
  readonly pages: ReadonlyMap<string, number>
  /** lowmem_reserve: pages kept from allocations that could also use each higher zone, by zone index */
  readonly protection: readonly number[]
  readonly stats: ReadonlyMap<string, number>
  /** The node's counters, on its first populated zone only. */
  readonly nodeStats: ReadonlyMap<string, number>
  readonly pagesets: readonly Pageset[]
  readonly startPfn: number | undefined
}

interface Draft {
  node: number
  zone: string
  pages: Map<string, number>
  protection: number[]
  stats: Map<string, number>
  nodeStats: Map<string, number>
  pagesets: Map<string, number>[]
  startPfn: number | undefined
  part: 'node' | 'pages' | 'stats' | 'pagesets'
}

export function parseZoneinfo(text: string): Zone[] {
  const zones: Draft[] = []
  for (const line of text.split('\n')) {
    const head = line.startsWith('Node ') ? /^Node (\d{1,4}), zone\s+(\S+)/.exec(line) : null
    if (head !== null) zones.push(newZone(Number(head[1]), head[2]))
    else if (zones.length > 0) addLine(zones[zones.length - 1], line.trim())
  }
  return zones.map(finish)
}

function newZone(node: number, zone: string): Draft {
  const [pages, stats, nodeStats] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  return { node, zone, pages, protection: [], stats, nodeStats, pagesets: [], startPfn: undefined, part: 'pages' }
}

function addLine(zone: Draft, line: string): void {
  if (line === 'per-node stats') zone.part = 'node'
  else if (line === 'pagesets') zone.part = 'pagesets'
  else if (line.startsWith('protection:')) {
    zone.protection = line
      .slice(line.indexOf('(') + 1, line.indexOf(')'))
      .split(',')
      .map(part => toInteger(part.trim()) ?? 0)
    zone.part = 'stats'
  } else addNumber(zone, line)
}

function addNumber(zone: Draft, line: string): void {
  const gap = line.lastIndexOf(' ')
  const value = toInteger(line.slice(gap + 1))
  if (value === undefined) return
  const name = line.slice(0, Math.max(gap, 0)).trimEnd()
  const key = name.endsWith(':') ? name.slice(0, -1) : name
  if (key === '') return
  if (key === 'pages free') {
    zone.part = 'pages'
    zone.pages.set('free', value)
  } else if (key === 'start_pfn') zone.startPfn = value
  else if (key === 'cpu') zone.pagesets.push(new Map([['cpu', value]]))
  else if (zone.part === 'node') zone.nodeStats.set(key, value)
  else if (zone.part === 'pages') zone.pages.set(key, value)
  else if (zone.part === 'stats') zone.stats.set(key, value)
  else zone.pagesets.at(-1)?.set(key, value)
}

function finish({ part: _, pagesets, ...zone }: Draft): Zone {
  const sets = pagesets.map(set => ({
    cpu: set.get('cpu') ?? 0,
    count: set.get('count') ?? 0,
    high: set.get('high') ?? 0,
    batch: set.get('batch') ?? 0,
  }))
  return { ...zone, pagesets: sets }
}
