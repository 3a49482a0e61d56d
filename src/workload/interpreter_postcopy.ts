/**
 * Post-copy live migration: a region of a process moves to another process over a network while the first one runs on it, and then the other.
 *
 *     source A   runs, writes ............................| stopped
 *     network    round 1: all pages | round 2: dirty | ... | bitmap |  pages not there yet, one after the other .....
 *     target B                                             | runs from here on: a missing page is asked for and jumps the queue
 *                                                           <------>
 *                                                           downtime
 *
 * Rounds of pre-copy clear the soft-dirty bits and send what was written since; what the last one leaves dirty is thrown away at the target. B's
 * region is registered with a userfaultfd whose messages this thread reads. In the background pages are pushed in round robin
 * from the seek point on; a request, `latency` later at the source, is served first and moves the seek point behind it, as its
 * neighbours will be wanted soon. A bitmap of what was sent keeps any page from being sent twice after the switch. Pages that the
 * source never had are not sent at all: asked for, they are pages of zeros.
 *
 * One page takes 4 KiB of the network's bandwidth; a page or a request arrives `latency` after it was sent.
 */
import { COST, now, spend } from '../kernel/base/cost.ts'
import {
  MADV_DONTNEED,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  UFFD_API,
  UFFD_EVENT_PAGEFAULT,
  UFFDIO_REGISTER_MODE_MISSING,
} from '../kernel/base/flags.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Mm } from '../kernel/base/state_mm.ts'
import type { MigrationTerms, UffdContext } from '../kernel/base/state_uffd.ts'
import { NO_PAGE, PAGE_SIZE } from '../kernel/base/units.ts'
import { sysMadvise } from '../kernel/calls/madvise.ts'
import { sysUserfaultfd, uffdApi, uffdClose, uffdCopy, uffdRegister, uffdZeropage } from '../kernel/calls/userfaultfd.ts'
import { accessPage, writeContent } from '../kernel/fault/touch.ts'
import { UFFD_FIRST_CLASS, uffdRead } from '../kernel/fault/userfaultfd.ts'
import { pageContent, pageContentIndex } from '../kernel/frames/page.ts'
import { entryFlags, pteIndex, pteTable } from '../kernel/spaces/pagetable.ts'
import { regionOf } from './interpreter_regions.ts'
import type { Fields, Migration, MigrationPass, Ports, Run, Underway, Worker } from './interpreter_state.ts'
import type { PostcopyOp } from './program.ts'

/** Pages that pre-copy sends before others get their turn. */
const BATCH = 64
/** Rounds of pre-copy whose figures are kept apart. */
const PASSES_KEPT = 12
const PHASES: readonly Migration['phase'][] = ['precopy', 'postcopy', 'done']
/** States of a page in the bitmap. */
const ABSENT = 0
const WANTED = 1
const SENT = 2

/** Begins a migration. @returns it, or undefined when the two processes have no such region of one size. */
export function startPostcopy(run: Run, source: Worker, target: Worker, op: PostcopyOp): Migration | undefined {
  const { k } = run
  const [from, to] = [regionOf(source, op.region), regionOf(target, op.region)]
  if (from === undefined || to === undefined || from.bytes !== to.bytes || source === target) return undefined
  const id = sysUserfaultfd(k, target.task, 0)
  const context = k.uffd.contexts.get(id)
  if (context === undefined || uffdApi(target.task, context, UFFD_API, 0) < 0) return undefined
  if (uffdRegister(k, context, to.address, to.bytes, UFFDIO_REGISTER_MODE_MISSING) < 0) {
    uffdClose(k, target.task, id)
    return undefined
  }
  const pages = from.bytes / PAGE_SIZE
  setTerms(k.uffd.migration, op)
  const migration: Migration = {
    kind: 'migration',
    task: target.task,
    readyNs: now(k),
    turn: 0,
    source,
    target,
    region: op.region,
    from: from.address / PAGE_SIZE,
    to: to.address / PAGE_SIZE,
    context: id,
    phase: 'precopy',
    round: 0,
    at: 0,
    bitmap: new Uint8Array(pages),
    seek: 0,
    linkNs: now(k),
    requests: [],
    arriving: [],
    faults: undefined,
    figures: {
      passes: [],
      precopied: 0,
      missing: 0,
      left: 0,
      pushed: 0,
      urgent: 0,
      zeros: 0,
      downtimeNs: 0,
      startNs: now(k),
      switchNs: 0,
      endNs: 0,
    },
  }
  run.migrations.push(migration)
  run.threads.push(migration)
  return migration
}

function setTerms(terms: MigrationTerms, { bytesPerS, latencyNs, rounds }: PostcopyOp): void {
  terms.bytesPerS = bytesPerS ?? terms.bytesPerS
  terms.latencyNs = latencyNs ?? terms.latencyNs
  terms.rounds = rounds ?? terms.rounds
}

/** What the network takes for a page. */
const pageNs = (k: Kernel): number => (PAGE_SIZE / k.uffd.migration.bytesPerS) * 1e9

/** One slice of the migration's thread. */
export function runMigration(run: Run, ports: Ports, migration: Migration): void {
  const { k } = run
  const { source, target } = migration
  if (source.death !== undefined || target.death !== undefined || k.uffd.contexts.get(migration.context) === undefined)
    endMigration(run, migration)
  else if (migration.phase === 'precopy') precopy(run, ports, migration)
  else postcopy(run, migration)
}

/** The thread ends, and whoever is missing a page finds a page of zeros. */
function endMigration(run: Run, migration: Migration): void {
  const { k } = run
  migration.phase = 'done'
  migration.figures.endNs = now(k)
  migration.readyNs = Number.POSITIVE_INFINITY
  if (migration.target.death === undefined) uffdClose(k, migration.target.task, migration.context)
  run.threads.splice(run.threads.indexOf(migration), 1)
}

// ------------------------------------------------------------------------------------------- pre-copy

const flagsAt = (k: Kernel, mm: Mm, vpn: number): number => {
  const table = pteTable(k, mm, vpn)
  return table === 0 ? 0 : entryFlags(k, table, pteIndex(vpn))
}

const hasPage = (flags: number): boolean => (flags & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT

/** Sends some pages of a round; with the last one the source stops. */
function precopy(run: Run, ports: Ports, migration: Migration): void {
  const { k } = run
  const { source, bitmap } = migration
  const { mm } = source.task
  if (mm === undefined) return endMigration(run, migration)
  if (migration.round >= k.uffd.migration.rounds) return switchOver(run, migration)
  if (migration.at === 0) ports.write(k, `/proc/${source.task.pid}/clear_refs`, '4')
  let sent = 0
  for (; migration.at < bitmap.length && sent < BATCH; migration.at++) {
    const flags = flagsAt(k, mm, migration.from + migration.at)
    if (!hasPage(flags) || (migration.round > 0 && bitmap[migration.at] !== WANTED)) continue
    deliver(k, migration, mm, migration.at)
    bitmap[migration.at] = SENT
    sent++
  }
  spend(k, COST.pte_visit, BATCH)
  migration.figures.precopied += sent
  passOf(migration).sent += sent
  migration.readyNs = now(k) + sent * pageNs(k)
  if (migration.at === bitmap.length) endRound(k, migration, mm)
}

/** Notes what was written during the round: the next one sends it. */
function endRound(k: Kernel, migration: Migration, mm: Mm): void {
  const { bitmap } = migration
  migration.round++
  migration.at = 0
  let dirty = 0
  for (let i = 0; i < bitmap.length; i++) {
    if (!isDirty(k, migration, mm, i)) continue
    bitmap[i] = WANTED
    dirty++
  }
  passOf(migration, migration.round - 1).dirty = dirty
}

/** Figures of a round of pre-copy, by default of the one under way; of the last ones all together, where there are very many. */
function passOf({ round, figures: { passes } }: Migration, number = round): MigrationPass {
  const at = Math.min(number, PASSES_KEPT - 1)
  while (passes.length <= at) passes.push({ sent: 0, dirty: 0 })
  return passes[at]
}

function isDirty(k: Kernel, { from }: Migration, mm: Mm, i: number): boolean {
  const flags = flagsAt(k, mm, from + i)
  return hasPage(flags) && (flags & PTE_SOFT_DIRTY) !== 0
}

/** Gives the target the page as the source has it now. */
function deliver(k: Kernel, migration: Migration, mm: Mm, i: number): void {
  const { target, context, to, from } = migration
  const found = k.uffd.contexts.get(context)
  if (found === undefined || target.task.mm === undefined) return
  if (!hasPage(flagsAt(k, target.task.mm, to + i))) {
    uffdCopy(k, migration.source.task, found, { start: (to + i) * PAGE_SIZE, bytes: PAGE_SIZE, mode: 0 }, (from + i) * PAGE_SIZE)
    return
  }
  const access = { pfn: NO_PAGE, fault: 0 }
  k.vmf.vpn[0] = from + i
  accessPage(k, mm, false, access)
  const { pfn } = access
  k.vmf.vpn[0] = to + i
  accessPage(k, target.task.mm, true, access)
  if (access.fault === 0) writeContent(k, access.pfn, pageContent(k, pfn), pageContentIndex(k, pfn))
}

// ------------------------------------------------------------------------------------------- the switch

/** The source stops, what it has written since is thrown away at the target, and the target may run. */
function switchOver(run: Run, migration: Migration): void {
  const { k } = run
  const { source, target, bitmap, figures } = migration
  const { mm } = source.task
  if (mm === undefined) return endMigration(run, migration)
  source.stopped = true
  for (let i = 0; i < bitmap.length; i++) {
    if (bitmap[i] === SENT && !isDirty(k, migration, mm, i)) continue
    bitmap[i] = hasPage(flagsAt(k, mm, migration.from + i)) ? WANTED : ABSENT
    if (bitmap[i] === WANTED) sysMadvise(k, target.task, (migration.to + i) * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED)
  }
  figures.left = bitmap.reduce((sum, state) => sum + Number(state === WANTED), 0)
  figures.missing = figures.left
  figures.downtimeNs = k.uffd.migration.latencyNs + (bitmap.length / 8 / PAGE_SIZE) * pageNs(k)
  figures.switchNs = now(k)
  migration.linkNs = now(k) + figures.downtimeNs
  migration.phase = 'postcopy'
  migration.readyNs = migration.linkNs
}

// ------------------------------------------------------------------------------------------- post-copy

/** Reads who misses what, sends the next page, takes in those that have arrived. */
function postcopy(run: Run, migration: Migration): void {
  const { k } = run
  const context = k.uffd.contexts.get(migration.context)
  if (context === undefined) return endMigration(run, migration)
  readRequests(k, migration, context)
  takeArrived(k, migration, context)
  sendNext(k, migration)
  if (migration.figures.left === 0 && migration.arriving.length === 0 && migration.requests.length === 0) endMigration(run, migration)
  else migration.readyNs = nextNs(k, migration)
}

function readRequests(k: Kernel, migration: Migration, context: UffdContext): void {
  for (let msg = uffdRead(k, migration.target.task, context); typeof msg !== 'number'; msg = uffdRead(k, migration.target.task, context)) {
    spend(k, COST.syscall, 1)
    if (msg.event === UFFD_EVENT_PAGEFAULT)
      insertByTime(migration.requests, {
        page: Math.floor(msg.a / PAGE_SIZE) - migration.to,
        ns: now(k) + k.uffd.migration.latencyNs,
        zero: false,
      })
  }
}

function takeArrived(k: Kernel, migration: Migration, context: UffdContext): void {
  while (migration.arriving.length > 0 && migration.arriving[0].ns <= now(k)) {
    const { page, zero } = migration.arriving.splice(0, 1)[0]
    const fill = { start: (migration.to + page) * PAGE_SIZE, bytes: PAGE_SIZE, mode: 0 }
    if (zero) uffdZeropage(k, context, fill)
    else uffdCopy(k, migration.source.task, context, fill, (migration.from + page) * PAGE_SIZE)
  }
}

/** While the link is free: a request that has reached the source, else the next page from the seek point on. */
function sendNext(k: Kernel, migration: Migration): void {
  const { bitmap, figures, requests } = migration
  while (requests.length > 0 && requests[0].ns <= now(k)) {
    const { page } = requests.splice(0, 1)[0]
    if (bitmap[page] === ABSENT) {
      figures.zeros++
      insertByTime(migration.arriving, { page, zero: true, ns: now(k) + k.uffd.migration.latencyNs })
    } else if (bitmap[page] === WANTED) {
      figures.urgent++
      transmit(k, migration, page)
      migration.seek = (page + 1) % bitmap.length
    }
  }
  if (migration.linkNs > now(k) || figures.left === 0) return
  const page = nextWanted(migration)
  if (page < 0) return
  figures.pushed++
  transmit(k, migration, page)
  migration.seek = (page + 1) % bitmap.length
}

function nextWanted({ bitmap, seek }: Migration): number {
  const behind = bitmap.indexOf(WANTED, seek)
  return behind >= 0 ? behind : bitmap.indexOf(WANTED)
}

function transmit(k: Kernel, migration: Migration, page: number): void {
  migration.bitmap[page] = SENT
  migration.figures.left--
  migration.linkNs = Math.max(migration.linkNs, now(k)) + pageNs(k)
  insertByTime(migration.arriving, { page, zero: false, ns: migration.linkNs + k.uffd.migration.latencyNs })
}

/** Puts what is under way where its time is; what was sent when the latency was longer may come after it. */
function insertByTime(underway: Underway[], each: Underway): void {
  let at = underway.length
  while (at > 0 && underway[at - 1].ns > each.ns) at--
  underway.splice(at, 0, each)
}

/** When something happens next at the network; a fault at the target wakes the thread earlier. */
function nextNs(k: Kernel, { arriving, requests, figures, linkNs }: Migration): number {
  const times = [arriving[0]?.ns, requests[0]?.ns, figures.left > 0 ? linkNs : undefined].flatMap(ns => ns ?? [])
  return Math.max(now(k), Math.min(Number.POSITIVE_INFINITY, ...times))
}

// ------------------------------------------------------------------------------------------- telling

/** What a migration has come to: the fields of its op, and lines of /mmtop/postcopy. */
export function postcopyFields(k: Kernel, migration: Migration): Fields {
  const { figures, round, bitmap } = migration
  const context = k.uffd.contexts.get(migration.context)
  const faults = context?.figures ?? migration.faults
  if (context !== undefined) migration.faults = context.figures
  return {
    source: migration.source.task.pid,
    target: migration.target.task.pid,
    phase: PHASES.indexOf(migration.phase),
    pages: bitmap.length,
    sent: bitmap.reduce((sum, state) => sum + Number(state === SENT), 0),
    rounds: round,
    bytes: (figures.precopied + figures.pushed + figures.urgent) * PAGE_SIZE + (figures.switchNs === 0 ? 0 : Math.ceil(bitmap.length / 8)),
    precopied: figures.precopied,
    missing: figures.missing,
    left: figures.left,
    pushed: figures.pushed,
    urgent: figures.urgent,
    zeros: figures.zeros,
    asked: migration.requests.length,
    underway: migration.arriving.length,
    ...Object.fromEntries(
      figures.passes.flatMap(({ sent, dirty }, i) => [
        [`round_${i + 1}_sent`, sent],
        [`round_${i + 1}_dirty`, dirty],
      ]),
    ),
    downtime_ns: Math.round(figures.downtimeNs),
    faults: faults?.woken ?? 0,
    fault_ns: faults === undefined || faults.woken === 0 ? 0 : Math.round(faults.waitedNs / faults.woken),
    longest_ns: Math.round(faults?.longestNs ?? 0),
    ...Object.fromEntries((faults?.histogram ?? []).map((count, i) => [`below_${2 ** (UFFD_FIRST_CLASS + i)}`, count])),
    total_ns: Math.round((figures.endNs === 0 ? now(k) : figures.endNs) - figures.startNs),
  }
}
