/**
 * /mmtop/pages/types/WHO/FLAGS: pages counted as the kernel's page-types tool counts them: by set of flags, by area, by owner.
 *
 *     total PAGES RSS PSS USS                         pages, and bytes
 *     flags LOW HIGH PAGES                            kpageflags in halves, and how many pages have just these
 *     area START END PAGES PSS USS NAME               of one process: virtual pages, bytes
 *     owner KIND ID PAGES PSS USS NAME                task: who maps them; cgroup: who is charged
 *
 * WHO is a process or "all", for every frame of memory. FLAGS filters: names with commas between, "!" before those that a page must not
 * have, "-" for any. The sizes are worked out as the document says: find the pages in pagemap, ask kpagecount how many map each;
 * those that one maps are its own (USS), and each counts 1/n to n who share it (PSS).
 *
 * Source: tools/vm/page-types.c, Documentation/admin-guide/mm/pagemap.rst.
 */
import type { Kernel } from '../../kernel/base/state.ts'
import type { Mm, Task } from '../../kernel/base/state_mm.ts'
import { asPfn, PAGE_SIZE } from '../../kernel/base/units.ts'
import { compoundHead, pageMemcg } from '../../kernel/frames/page.ts'
import { eachVma } from '../../kernel/spaces/vma.ts'
import { KPF_NAMES, kpagecount, kpageflags } from '../pagemap.ts'
import { areaName, eachPage } from './walk.ts'

/** Flags that a page must have, and must not have, as halves of a word. */
export interface FlagFilter {
  readonly with: readonly [low: number, high: number]
  readonly without: readonly [low: number, high: number]
}

/** Reads a filter; the name that is no flag where there is one. */
export function parseFlags(text: string): FlagFilter | string {
  const wanted: [number, number] = [0, 0]
  const unwanted: [number, number] = [0, 0]
  for (const word of text === '-' ? [] : text.split(',')) {
    const name = word.replace(/^!/, '').toUpperCase()
    const bit = KPF_NAMES.indexOf(name)
    if (bit < 0 || /^\d/.test(name)) return word
    const into = word.startsWith('!') ? unwanted : wanted
    into[bit >>> 5] |= 1 << (bit & 31)
  }
  return { with: wanted, without: unwanted }
}

interface Tally {
  pages: number
  pssBytes: number
  ussPages: number
}

const tally = (): Tally => ({ pages: 0, pssBytes: 0, ussPages: 0 })

function add(to: Tally, mapcount: number): void {
  to.pages++
  to.pssBytes += PAGE_SIZE / Math.max(1, mapcount)
  if (mapcount === 1) to.ussPages++
}

const tallyWords = ({ pages, pssBytes, ussPages }: Tally): string => `${pages} ${Math.round(pssBytes)} ${ussPages * PAGE_SIZE}`

interface Counts {
  readonly k: Kernel
  readonly filter: FlagFilter
  readonly word: Uint32Array
  readonly byFlags: Map<string, number>
}

const counts = (k: Kernel, filter: FlagFilter): Counts => ({ k, filter, word: new Uint32Array(2), byFlags: new Map() })

/** Whether the filter lets the frame through; its flags are in c.word then. */
function passes(c: Counts, pfn: number): boolean {
  kpageflags(c.k, pfn, c.word)
  const { with: wanted, without } = c.filter
  for (const half of [0, 1]) {
    if ((c.word[half] & wanted[half]) !== wanted[half] || (c.word[half] & without[half]) !== 0) return false
  }
  return true
}

function count(c: Counts): void {
  const key = `${c.word[0]} ${c.word[1]}`
  c.byFlags.set(key, (c.byFlags.get(key) ?? 0) + 1)
}

const flagLines = ({ byFlags }: Counts): string[] =>
  [...byFlags].sort(([, a], [, b]) => b - a).map(([key, pages]) => `flags ${key} ${pages}`)

/** Pages of one process. */
export function typesOfTask(k: Kernel, mm: Mm, filter: FlagFilter): string[] {
  const c = counts(k, filter)
  const all = tally()
  const groups = new Map<number, number>()
  const areas = [...eachVma(mm)].map(vma => {
    const own = tally()
    eachPage(k, vma, (_, pfn) => {
      if (pfn === 0 || !passes(c, pfn)) return
      const mapcount = kpagecount(k, pfn)
      count(c)
      add(own, mapcount)
      add(all, mapcount)
      const group = pageMemcg(k, compoundHead(k, asPfn(pfn)))
      groups.set(group, (groups.get(group) ?? 0) + 1)
    })
    return { line: `area ${vma.start} ${vma.end} ${tallyWords(own)} ${areaName(vma)}`, pages: own.pages }
  })
  return [totalLine(all), ...flagLines(c), ...areas.filter(({ pages }) => pages > 0).map(({ line }) => line), ...groupLines(k, groups)]
}

const totalLine = ({ pages, pssBytes, ussPages }: Tally): string =>
  `total ${pages} ${pages * PAGE_SIZE} ${Math.round(pssBytes)} ${ussPages * PAGE_SIZE}`

const groupLines = (k: Kernel, groups: ReadonlyMap<number, number>): string[] =>
  [...groups]
    .filter(([, pages]) => pages > 0)
    .map(
      ([id, pages]) =>
        `owner cgroup ${k.memcg.groups[id]?.cgroup ?? 0} ${pages} 0 0 ${id === 0 ? '/' : `#${k.memcg.groups[id]?.cgroup ?? 0}`}`,
    )

/** Every frame of memory; processes by the pages that they map. */
export function typesOfAll(k: Kernel, filter: FlagFilter): string[] {
  const c = counts(k, filter)
  const groups = new Map<number, number>()
  let pages = 0
  for (let pfn = 0; pfn < k.maxPfn; pfn++) {
    if (!passes(c, pfn)) continue
    count(c)
    pages++
    if ((c.word[0] & LRU) === 0) continue
    const group = pageMemcg(k, compoundHead(k, asPfn(pfn)))
    groups.set(group, (groups.get(group) ?? 0) + 1)
  }
  const all: Tally = { pages, pssBytes: 0, ussPages: 0 }
  const tasks = [...k.tasks.values()].flatMap(task => taskLine(c, task, all))
  return [totalLine(all), ...flagLines(c), ...tasks, ...groupLines(k, groups)]
}

const LRU = 1 << KPF_NAMES.indexOf('LRU')

function taskLine(c: Counts, task: Task, all: Tally): string[] {
  if (task.mm === undefined) return []
  const own = tally()
  for (const vma of eachVma(task.mm))
    eachPage(c.k, vma, (_, pfn) => {
      if (pfn !== 0 && passes(c, pfn)) add(own, kpagecount(c.k, pfn))
    })
  all.pssBytes += own.pssBytes
  all.ussPages += own.ussPages
  return own.pages === 0 ? [] : [`owner task ${task.pid} ${tallyWords(own)} ${task.comm.replace(/\s/g, '_')}`]
}
