/**
 * The recent past of every scalar: fixed rings over Float64Arrays.
 *
 *     seq        ... 7   8   9  10  11        one number a sample, never reused
 *     slot           3   0   1   2   3        seq mod capacity (4 here)
 *     times                8s  9s 10s 11s
 *     "pgfault"            52  60  61  70     raw totals; rates are made of neighbours when they are read
 *
 * Memory is bounded: capacity x series x 8 bytes, and at most MAX_SERIES series (a hostile vmstat cannot grow it).
 * Appending costs one store a key. A key that is missing in a sample reads NaN there.
 */
import { growth } from './counters.ts'

const MAX_SERIES = 8192

export interface History {
  readonly capacity: number
  /** Number of samples ever pushed: the next one's seq. */
  pushed: number
  /** Seq of the oldest sample still held. */
  oldest: number
  readonly times: Float64Array
  readonly series: Map<string, Float64Array>
}

/** @param capacity samples kept */
export function newHistory(capacity: number): History {
  return { capacity, pushed: 0, oldest: 0, times: new Float64Array(capacity), series: new Map() }
}

/** What is noted of a sample beside its values: names that were never seen before, and figures smaller than in the sample before. */
interface News {
  readonly fresh: string[]
  readonly fallen: { readonly key: string; readonly from: number }[]
}

/** Appends one sample. */
export function push(history: History, ns: number, values: ReadonlyMap<string, number>): News {
  const { series, capacity } = history
  const slot = history.pushed % capacity
  const before = history.pushed > history.oldest ? (history.pushed - 1) % capacity : undefined
  const news: News = { fresh: [], fallen: [] }
  let stored = 0
  history.times[slot] = ns
  values.forEach((value, key) => {
    let ring = series.get(key)
    if (ring === undefined) {
      if (series.size >= MAX_SERIES) return
      ring = new Float64Array(capacity).fill(Number.NaN)
      series.set(key, ring)
      news.fresh.push(key)
    } else if (before !== undefined && value < ring[before]) news.fallen.push({ key, from: ring[before] })
    ring[slot] = value
    stored++
  })
  // Where each series got its value, none holds one of long ago.
  if (stored < series.size) for (const [key, ring] of series) if (!values.has(key)) ring[slot] = Number.NaN
  history.pushed++
  history.oldest = Math.max(history.oldest, history.pushed - capacity)
  return news
}

/** Forgets all samples (after a jump back in time); seqs go on. */
export function forget(history: History): void {
  history.oldest = history.pushed
}

/**
 * The last `count` values of a series up to the sample `seq`, oldest first; NaN where there was none. Values before the
 * oldest sample are left out, so the result may be shorter.
 */
export function levels(history: History, key: string, seq: number, count: number): number[] {
  const ring = history.series.get(key)
  const values: number[] = []
  for (let at = Math.max(history.oldest, seq - count + 1); at <= seq && at < history.pushed; at++)
    values.push(ring === undefined ? Number.NaN : ring[at % history.capacity])
  return values
}

/** As `levels`, for a total: its growth per second between each sample and the one before it. */
export function perSecond(history: History, key: string, seq: number, count: number): number[] {
  const values = levels(history, key, seq, count + 1)
  const times = timesOf(history, seq, count + 1)
  const rates: number[] = []
  for (let i = 1; i < values.length; i++) {
    const seconds = (times[i] - times[i - 1]) / 1e9
    rates.push(seconds > 0 ? growth(values[i], values[i - 1]) / seconds : Number.NaN)
  }
  return rates
}

/** Machine times (ns) of the last `count` samples up to `seq`, oldest first. */
export function timesOf(history: History, seq: number, count: number): number[] {
  const times: number[] = []
  for (let at = Math.max(history.oldest, seq - count + 1); at <= seq && at < history.pushed; at++)
    times.push(history.times[at % history.capacity])
  return times
}
