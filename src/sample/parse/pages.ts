/**
 * The files under /mmtop/pages: pages counted by flags, areas and owners; physical memory and a process' memory in cells; one page's story.
 * Lines that make no sense are passed over.
 */
import { cleanLine } from '../text.ts'

/** The bits of kpageflags: the letter and the long name that the kernel's page-types tool gives each. */
export const PAGE_FLAGS: readonly (readonly [letter: string, name: string])[] = [
  ['L', 'locked'],
  ['E', 'error'],
  ['R', 'referenced'],
  ['U', 'uptodate'],
  ['D', 'dirty'],
  ['l', 'lru'],
  ['A', 'active'],
  ['S', 'slab'],
  ['W', 'writeback'],
  ['I', 'reclaim'],
  ['B', 'buddy'],
  ['M', 'mmap'],
  ['a', 'anonymous'],
  ['s', 'swapcache'],
  ['b', 'swapbacked'],
  ['H', 'compound_head'],
  ['T', 'compound_tail'],
  ['G', 'huge'],
  ['u', 'unevictable'],
  ['X', 'hwpoison'],
  ['n', 'nopage'],
  ['x', 'ksm'],
  ['t', 'thp'],
  ['o', 'offline'],
  ['z', 'zero_page'],
  ['i', 'idle_page'],
  ['g', 'pgtable'],
  ['', ''],
  ['', ''],
  ['', ''],
  ['', ''],
  ['', ''],
  ['r', 'reserved'],
  ['m', 'mlocked'],
  ['d', 'mappedtodisk'],
  ['P', 'private'],
  ['p', 'private_2'],
  ['O', 'owner_private'],
  ['h', 'arch'],
  ['c', 'uncached'],
  ['f', 'softdirty'],
  ['H', 'arch_2'],
]

/** How the kernel spells a flag, by the long name where they differ. */
const KERNEL_NAMES: Readonly<Record<string, string>> = { anonymous: 'ANON', idle_page: 'IDLE' }

/** Flags as a path under /mmtop/pages/types names them; of an unknown name the name itself, after a "?". */
export function flagsForPath(words: readonly string[]): string {
  const names = words.flatMap(word => word.split(',')).filter(word => word !== '')
  const spelt = names.map(word => {
    const [, not, name] = /^(!|~)?(.*)$/.exec(word.toLowerCase()) ?? []
    const flag = PAGE_FLAGS.find(
      ([letter, long]) =>
        long !== '' && (long === name || KERNEL_NAMES[long]?.toLowerCase() === name || (word.length === 1 && letter === word)),
    )
    return flag === undefined ? `?${word}` : `${not === undefined ? '' : '!'}${KERNEL_NAMES[flag[1]] ?? flag[1].toUpperCase()}`
  })
  return spelt.find(word => word.startsWith('?')) ?? (spelt.length === 0 ? '-' : spelt.join(','))
}

export interface PageTypes {
  readonly pages: number
  readonly rssBytes: number
  readonly pssBytes: number
  readonly ussBytes: number
  /** Bits 0..31 and 32..63 of kpageflags. */
  readonly flags: readonly { readonly low: number; readonly high: number; readonly pages: number }[]
  readonly areas: readonly (Shares & { readonly start: number; readonly end: number })[]
  readonly owners: readonly (Shares & { readonly kind: string; readonly id: number })[]
}

export interface Shares {
  readonly pages: number
  readonly pssBytes: number
  readonly ussBytes: number
  readonly name: string
}

const linesOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => cleanLine(line).split(' '))

const sharesOf = ([pages, pss, uss, ...name]: readonly string[]): Shares => ({
  pages: Number(pages),
  pssBytes: Number(pss),
  ussBytes: Number(uss),
  name: name.join(' '),
})

export function parsePageTypes(text: string): PageTypes {
  const lines = linesOf(text)
  const of = (word: string) => lines.filter(([first]) => first === word)
  const [[, pages, rss, pss, uss] = []] = of('total')
  return {
    pages: Number(pages ?? 0),
    rssBytes: Number(rss ?? 0),
    pssBytes: Number(pss ?? 0),
    ussBytes: Number(uss ?? 0),
    flags: of('flags').map(([, low, high, n]) => ({ low: Number(low), high: Number(high), pages: Number(n) })),
    areas: of('area').map(([, start, end, ...rest]) => ({ start: Number(start), end: Number(end), ...sharesOf(rest) })),
    owners: of('owner').map(([, kind, id, ...rest]) => ({ kind, id: Number(id), ...sharesOf(rest) })),
  }
}

/** A part of physical memory. */
export interface MapCell {
  readonly start: number
  readonly end: number
  /** -1 where there is no memory. */
  readonly node: number
  /** Order of the largest free block in it, -1 for none. */
  readonly order: number
  /** The process that has most of it, 0 for none. */
  readonly pid: number
  /** Frames by kind, of those that were looked at. */
  readonly kinds: ReadonlyMap<string, number>
}

export interface PageMap {
  readonly start: number
  readonly end: number
  /** One frame in so many was looked at. */
  readonly step: number
  /** Frames that the machine has. */
  readonly frames: number
  readonly cells: readonly MapCell[]
}

const pairs = (words: readonly string[]): Map<string, number> =>
  new Map(words.map(word => word.split('=')).map(([key, n]): [string, number] => [key, Number(n)]))

export function parsePageMap(text: string): PageMap | undefined {
  const lines = linesOf(text)
  const head = lines[0]
  if (head === undefined || head[0] !== 'map') return undefined
  const [, start, end, step, frames] = head.map(Number)
  const cells = lines
    .filter(([first]) => first === 'cell')
    .map(([, from, to, node, order, pid, ...kinds]) => ({
      start: Number(from),
      end: Number(to),
      node: Number(node),
      order: Number(order),
      pid: Number(pid),
      kinds: pairs(kinds),
    }))
  return { start, end, step, frames, cells }
}

/** One page's story, a fact at a time. */
export const parseFrameStory = (text: string): readonly (readonly [key: string, value: string])[] =>
  linesOf(text).map(([key, ...rest]) => [key, rest.join(' ')] as const)

/** Part of an area: its pages, and how many of them are present, swapped, soft-dirty, ... or on which node. */
export interface AreaCell {
  readonly pages: number
  readonly counts: ReadonlyMap<string, number>
}

export interface AreaMap {
  readonly start: number
  readonly end: number
  readonly name: string
  readonly cells: readonly AreaCell[]
}

export function parseAreaMaps(text: string): AreaMap[] {
  const areas: { start: number; end: number; name: string; cells: AreaCell[] }[] = []
  for (const [first, ...words] of linesOf(text)) {
    if (first === 'area') areas.push({ start: Number(words[0]), end: Number(words[1]), name: words.slice(2).join(' '), cells: [] })
    else if (first === 'c') areas.at(-1)?.cells.push({ pages: Number(words[0]), counts: pairs(words.slice(1)) })
  }
  return areas
}
