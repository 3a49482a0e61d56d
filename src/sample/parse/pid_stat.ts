/**
 * What one process is: /proc/PID/stat, statm and status.
 *
 * stat puts the name in parentheses and the name may hold blanks and parentheses itself, so the fields are counted
 * from the last ")". Fields beyond those used here differ by kernel and are not looked at.
 */
import { toInteger, words } from '../text.ts'

export interface PidStat {
  readonly name: string
  /** R, S, D, Z, T ... */
  readonly state: string
  readonly ppid: number
  readonly minflt: number
  readonly majflt: number
  /** Clock ticks (1/100 s). */
  readonly utimeTicks: number
  readonly stimeTicks: number
  readonly threads: number
  readonly vsizeBytes: number
  readonly rssPages: number
  /** CPU last run on, where printed. */
  readonly cpu: number | undefined
}

/** undefined where the text is not a stat line (the process ended while it was read). */
export function parsePidStat(text: string): PidStat | undefined {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  if (open < 0 || close < open) return undefined
  const fields = words(text.slice(close + 1))
  const numbers = fields.map(toInteger)
  if (fields.length < 22) return undefined
  return {
    name: text.slice(open + 1, close).replace(/\s/g, ' '),
    state: fields[0],
    ppid: numbers[1] ?? 0,
    minflt: numbers[7] ?? 0,
    majflt: numbers[9] ?? 0,
    utimeTicks: numbers[11] ?? 0,
    stimeTicks: numbers[12] ?? 0,
    threads: numbers[17] ?? 0,
    vsizeBytes: numbers[20] ?? 0,
    rssPages: numbers[21] ?? 0,
    cpu: numbers[36],
  }
}

/** /proc/PID/statm, in pages. */
export interface PidStatm {
  readonly sizePages: number
  readonly residentPages: number
  readonly sharedPages: number
  readonly dataPages: number
}

export function parsePidStatm(text: string): PidStatm | undefined {
  const [size, resident, shared, , , data] = words(text).map(toInteger)
  if (size === undefined || resident === undefined || shared === undefined) return undefined
  return { sizePages: size, residentPages: resident, sharedPages: shared, dataPages: data ?? 0 }
}

export interface PidStatus {
  readonly name: string
  /** "VmRSS" -> bytes, for every line in kB. */
  readonly bytes: ReadonlyMap<string, number>
  /** All other lines: "State" -> "S (sleeping)", "Mems_allowed_list" -> "0-1". */
  readonly texts: ReadonlyMap<string, string>
}

export function parsePidStatus(text: string): PidStatus {
  const bytes = new Map<string, number>()
  const texts = new Map<string, string>()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const key = line.slice(0, colon)
    const rest = line.slice(colon + 1).trim()
    const kb = rest.endsWith(' kB') ? toInteger(rest.slice(0, -3)) : undefined
    if (kb !== undefined) bytes.set(key, kb * 1024)
    else texts.set(key, rest.replace(/\t/g, ' '))
  }
  return { name: texts.get('Name') ?? '', bytes, texts }
}
