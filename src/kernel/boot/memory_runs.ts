/** Runs of pages or bytes, [start, end), and what is done with lists of them. */
export interface Run {
  readonly start: number
  readonly end: number
}

/** The part of `run` inside `within`; undefined when there is none. */
export function clip<R extends Run>(run: R, within: Run): R | undefined {
  const start = Math.max(run.start, within.start)
  const end = Math.min(run.end, within.end)
  return start < end ? { ...run, start, end } : undefined
}

export const clipAll = <R extends Run>(runs: readonly R[], within: Run): R[] => runs.flatMap(run => clip(run, within) ?? [])

/** The parts of a run outside all of `holes`, which are ascending. */
export function without(run: Run, holes: readonly Run[]): Run[] {
  const out: Run[] = []
  let at = run.start
  for (const hole of clipAll(holes, run)) {
    if (hole.start > at) out.push({ start: at, end: hole.start })
    at = hole.end
  }
  return at < run.end ? [...out, { start: at, end: run.end }] : out
}

/** Appends a run to ascending ones, joining it with the last one when they touch or overlap. */
export function push(runs: Run[], next: Run): void {
  const last = runs.at(-1)
  if (last !== undefined && last.end >= next.start) runs[runs.length - 1] = { start: last.start, end: Math.max(last.end, next.end) }
  else runs.push(next)
}

export const byStart = (a: Run, b: Run) => a.start - b.start

/** How many pages or bytes runs hold. */
export const lengthOf = (runs: readonly Run[]): number => runs.reduce((sum, run) => sum + run.end - run.start, 0)
