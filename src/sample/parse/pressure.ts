/**
 * /proc/pressure/memory (PSI): the share of time in which some, and in which all, runnable tasks waited for memory.
 *
 *   some avg10=0.00 avg60=0.12 avg300=0.05 total=12345
 */
import { toNumber, words } from '../text.ts'

export interface Stalled {
  /** Percent of the last 10, 60 and 300 seconds. */
  readonly avg10: number
  readonly avg60: number
  readonly avg300: number
  /** Microseconds since boot. */
  readonly totalUs: number
}

export interface Pressure {
  readonly some: Stalled | undefined
  readonly full: Stalled | undefined
}

export function parsePressure(text: string): Pressure {
  const rows = new Map(text.split('\n').map(line => [words(line)[0] ?? '', line]))
  return { some: stalled(rows.get('some')), full: stalled(rows.get('full')) }
}

function stalled(line: string | undefined): Stalled | undefined {
  if (line === undefined) return undefined
  const values = new Map(words(line).map(word => [word.split('=')[0], toNumber(word.split('=')[1])]))
  const totalUs = values.get('total')
  if (totalUs === undefined) return undefined
  return { avg10: values.get('avg10') ?? 0, avg60: values.get('avg60') ?? 0, avg300: values.get('avg300') ?? 0, totalUs }
}
