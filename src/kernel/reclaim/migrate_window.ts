/**
 * Pages that are being moved, for those who come upon them meanwhile.
 *
 *     mover, CPU 1     ──unmap──| entries say "being moved" |──map── next page ──unmap──| ...
 *     program, CPU 0        ──────────touch: waits.........|touches
 *
 * Each CPU here works in its own time, one after the other: a mover is through with a page before another CPU comes to the time
 * when it began. So the move itself is one step, and what is kept of it is its window: from taking the entries out of use to
 * having put them back. Who touches the page within it waits for its end, as for any fault that Linux calls minor; who reads
 * page tables within it sees entries of swap type "migration" that name the old page.
 *
 * Windows are noted while somebody on another CPU touches memory at the time; of moves that nobody can come upon only those
 * are kept that are not over when the next one begins, for the readers of tables.
 *
 * Source: mm/migrate.c migration_entry_wait, mm/huge_memory.c pmd_migration_entry_wait, fs/proc/task_mmu.c.
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import type { PageMove } from '../base/state_reclaim.ts'
import type { Pfn } from '../base/units.ts'
import { compoundHead } from '../frames/page.ts'

/** The page or huge page `from` was moved to `to`, from `startNs` until now. */
export function noteMove(k: Kernel, from: Pfn, to: Pfn, startNs: number): void {
  const { moves } = k
  if (k.cpus.length === 1) return
  if (moves.watchedNs >= now(k)) forgetMoves(k, startNs)
  moves.byPage.delete(from)
  moves.byPage.set(to, { from, startNs, endNs: now(k) })
}

/** Drops the windows that were over by then. They stand in the order in which they began, about. */
export function forgetMoves({ moves }: Kernel, ns: number): void {
  for (const [page, { endNs }] of moves.byPage) {
    if (endNs > ns) return
    moves.byPage.delete(page)
  }
}

/** The move that the page, or the huge page that it is part of, is in the midst of. */
export function moveUnderWay(k: Kernel, pfn: Pfn): PageMove | undefined {
  if (k.moves.byPage.size === 0) return undefined
  const move = k.moves.byPage.get(compoundHead(k, pfn))
  return move !== undefined && move.startNs <= now(k) && now(k) < move.endNs ? move : undefined
}
