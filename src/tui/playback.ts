/** Where to jump in a recording and how fast to go: what is typed and pressed, as numbers. */

/** Machine seconds per wall second, from slow motion to as fast as it goes. */
const SPEEDS: readonly number[] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, Number.POSITIVE_INFINITY]

/** The next speed of the ladder above or below. */
export function nextSpeed(speed: number, direction: 1 | -1): number {
  if (direction === 1) return SPEEDS.find(each => each > speed) ?? Number.POSITIVE_INFINITY
  return SPEEDS.findLast(each => each < speed) ?? SPEEDS[0]
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, '': 1e9 }

export interface Span {
  readonly startNs: number
  readonly endNs: number
}

/**
 * "90s", "1.5m", "+10s", "-5s", "50%", "00:01:30.5" or "1:30" as a machine time within the recording.
 * @param nowNs what + and - count from
 */
export function parseJump(text: string, nowNs: number, { startNs, endNs }: Span): number | undefined {
  const ns = jumpNs(text.trim(), nowNs, { startNs, endNs })
  return ns === undefined || !Number.isFinite(ns) ? undefined : Math.min(endNs, Math.max(startNs, ns))
}

function jumpNs(text: string, nowNs: number, { startNs, endNs }: Span): number | undefined {
  const share = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text)
  if (share !== null) return startNs + (Number(share[1]) / 100) * (endNs - startNs)
  const clock = /^(?:(\d{1,4}):)?(\d{1,3}):(\d{1,2}(?:\.\d{1,9})?)$/.exec(text)
  if (clock !== null) return (Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3])) * 1e9
  const time = /^([+-]?)(\d{1,12}(?:\.\d{1,9})?)(ns|us|ms|s|m|h|)$/.exec(text)
  if (time === null) return undefined
  const length = Number(time[2]) * UNITS[time[3]]
  if (time[1] === '') return length
  return time[1] === '+' ? nowNs + length : nowNs - length
}
