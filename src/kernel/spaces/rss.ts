/**
 * What a process shows as resident lags behind what it has: a task notes the pages that it faults in for itself, and enters them on the
 * account of its address space only with every 66th fault, and when it unmaps small pages. Mm counts what is there; the notes
 * say how much of that is not shown yet.
 *
 * Source: mm/memory.c (add_mm_counter_fast, check_sync_rss_stat, sync_mm_rss, handle_mm_fault).
 */
import { EV } from '../base/counters.ts'
import { PG_anon, PG_swapbacked } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import type { Pfn } from '../base/units.ts'
import { countMemcgEvent } from '../frames/memcg.ts'

const FILE = 0
const ANON = 1
const SHMEM = 2
const FAULTS = 3
const SWAP = 4
/** Faults after which the notes are entered (TASK_RSS_EVENTS_THRESH). */
const FAULTS_NOTED = 64

export const rssNotes = (): Int32Array => new Int32Array(5)

/** Pages of each kind that a process shows as resident (get_mm_counter). */
export interface Resident {
  readonly file: number
  readonly anon: number
  readonly shmem: number
}

export const shownRss = ({ rssFile, rssAnon, rssShmem, rssNoted }: Mm): Resident => ({
  file: Math.max(0, rssFile - rssNoted[FILE]),
  anon: Math.max(0, rssAnon - rssNoted[ANON]),
  shmem: Math.max(0, rssShmem - rssNoted[SHMEM]),
})

/** Pages of every kind that show as resident (get_mm_rss). */
export function shownRssPages(mm: Mm): number {
  const { file, anon, shmem } = shownRss(mm)
  return file + anon + shmem
}

/** A fault begins. */
export function noteFault({ rssNoted }: Mm): void {
  if (rssNoted[FAULTS]++ > FAULTS_NOTED) rssNoted.fill(0)
}

/** A fault that had to wait begins anew, and counts once more. */
export function noteRetry(k: Kernel, mm: Mm): void {
  k.event[EV.pgfault]++
  countMemcgEvent(k, mm.memcg, EV.pgfault, 1)
  noteFault(mm)
}

/** The notes are entered, if it is the running task's address space that is being changed. */
export function enterNotes(k: Kernel, mm: Mm): void {
  if (k.current?.mm === mm) mm.rssNoted.fill(0)
}

/** Counts a small page that a fault mapped. */
export function countFaulted(k: Kernel, mm: Mm, head: Pfn): void {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_anon) !== 0) countFaultedAnon(mm)
  else if ((flags & PG_swapbacked) !== 0) {
    mm.rssShmem++
    mm.rssNoted[SHMEM]++
  } else {
    mm.rssFile++
    mm.rssNoted[FILE]++
  }
}

export function countFaultedAnon(mm: Mm): void {
  mm.rssAnon++
  mm.rssNoted[ANON]++
}

/** A fault replaces a file's page by the process' own copy. */
export function countCopied(mm: Mm, shmem: boolean): void {
  mm[shmem ? 'rssShmem' : 'rssFile']--
  mm.rssNoted[shmem ? SHMEM : FILE]--
  countFaultedAnon(mm)
}

/** A fault brought a page back from swap. */
export function countSwappedIn(mm: Mm): void {
  mm.swapEnts--
  mm.rssNoted[SWAP]--
  countFaultedAnon(mm)
}

/** Pages that a process shows as swapped out. */
export const shownSwap = ({ swapEnts, rssNoted }: Mm): number => Math.max(0, swapEnts - rssNoted[SWAP])
