/** /mmtop/working_set: pages of processes and cgroups by the rounds in which they were not used. */
import { cleanLine } from '../text.ts'

export interface AgedRow {
  readonly id: number
  /** Pages used in the last round, and those not used for 1, 2-3, 4-7, 8-15, 16 and more rounds. */
  readonly pages: readonly number[]
}

export interface WorkingSet {
  /** 0: the estimator is off. */
  readonly intervalMs: number
  readonly rounds: number
  readonly tasks: readonly AgedRow[]
  readonly cgroups: readonly AgedRow[]
}

const BUCKETS = 6

export function parseWorkingSet(text: string): WorkingSet {
  const lines = text.split('\n').map(line => cleanLine(line).split(' '))
  const number = (key: string) => count(lines.find(([first]) => first === key)?.[1])
  const rows = (key: string, skip: number) =>
    lines
      .filter(([first, ...rest]) => first === key && rest.length === skip + 1 + BUCKETS)
      .map(([, id, ...rest]) => ({ id: count(id), pages: rest.slice(skip).map(count) }))
  return { intervalMs: number('interval'), rounds: number('rounds'), tasks: rows('task', 1), cgroups: rows('cgroup', 0) }
}

const count = (word: string | undefined): number => (/^\d{1,15}$/.test(word ?? '') ? Number(word) : 0)
