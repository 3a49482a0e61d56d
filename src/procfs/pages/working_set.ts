/**
 * /mmtop/working_set: what the working-set estimator found, and how it is switched on: the milliseconds between two rounds are written to it, 0
 * for none.
 *
 *     interval MS / rounds N / at NS
 *     task PID NAME PAGES ...        pages that a process maps by rounds not used: 0 (used since the last round), 1, 2-3, 4-7, 8-15, 16 and more
 *     cgroup NUMBER PAGES ...        the same of pages charged to a cgroup
 *
 * Of a huge page every mapped part counts as old as the whole. Pages of a process that are not tracked (in no list yet) count as used.
 */
import { EINVAL } from '../../kernel/base/errno.ts'
import { PG_lru } from '../../kernel/base/flags.ts'
import { PAGE_WORDS } from '../../kernel/base/list.ts'
import type { Kernel } from '../../kernel/base/state.ts'
import { asPfn } from '../../kernel/base/units.ts'
import { setWorkingSetInterval } from '../../kernel/daemons/working_set.ts'
import { compoundHead, compoundPages, pageMemcg } from '../../kernel/frames/page.ts'
import { eachVma } from '../../kernel/spaces/vma.ts'
import { eachPage } from './walk.ts'

export const WORKING_SET = '/mmtop/working_set'

/** Bucket of a page's age: 1 is used since the last round. */
const bucketOf = (age: number): number => (age <= 1 ? 0 : Math.min(5, 1 + Math.floor(Math.log2(age - 1))))
const buckets = (): number[] => [0, 0, 0, 0, 0, 0]

export function workingSetText(k: Kernel): string {
  const { intervalMs, rounds, atNs, ages } = k.workingSet
  const lines = [`interval ${intervalMs}`, `rounds ${rounds}`, `at ${Math.round(atNs)}`]
  if (intervalMs > 0) lines.push(...taskLines(k, ages), ...groupLines(k, ages))
  return lines.map(line => `${line}\n`).join('')
}

const taskLines = (k: Kernel, ages: Uint8Array): string[] =>
  [...k.tasks.values()].flatMap(({ pid, comm, mm }) => {
    if (mm === undefined) return []
    const pages = buckets()
    for (const vma of eachVma(mm))
      eachPage(k, vma, (_, pfn) => {
        if (pfn !== 0 && pfn !== k.zeroPage) pages[bucketOf(ages[compoundHead(k, asPfn(pfn))])]++
      })
    return [`task ${pid} ${comm.replace(/\s/g, '_')} ${pages.join(' ')}`]
  })

function groupLines(k: Kernel, ages: Uint8Array): string[] {
  const groups = new Map<number, number[]>()
  for (let pfn = 1; pfn < k.maxPfn; pfn++) {
    if ((k.page[pfn * PAGE_WORDS] & PG_lru) === 0) continue
    const head = asPfn(pfn)
    const id = pageMemcg(k, head)
    const pages = groups.get(id) ?? buckets()
    groups.set(id, pages)
    pages[bucketOf(ages[pfn])] += compoundPages(k, head)
  }
  return [...groups].map(([id, pages]) => `cgroup ${k.memcg.groups[id]?.cgroup ?? 0} ${pages.join(' ')}`)
}

/** Bytes taken, or -EINVAL. */
export function writeWorkingSet(k: Kernel, text: string): number {
  const word = text.trim()
  if (!/^\d{1,9}$/.test(word)) return -EINVAL
  setWorkingSetInterval(k, Number(word))
  return text.length
}
