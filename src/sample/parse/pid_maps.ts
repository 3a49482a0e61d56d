/**
 * What one process has mapped: /proc/PID/maps, smaps, smaps_rollup and numa_maps. All four list the same areas by
 * start address, so a detail view joins them by it. Addresses stay text: they need 64 bits and are only shown and
 * compared.
 */
import { toInteger, words } from '../text.ts'

/** One line of maps, or the heading of an area in smaps. */
export interface Mapping {
  /** Hexadecimal, without 0x. */
  readonly start: string
  readonly end: string
  readonly perms: string
  /** File, "[heap]", "[anon:name]" or ''. */
  readonly name: string
}

/** An area of smaps: its mapping, what it holds, and its VmFlags ("rd", "wr", "hg" ...). */
export interface SmapsArea extends Mapping {
  /** "Rss" -> bytes */
  readonly bytes: ReadonlyMap<string, number>
  readonly flags: readonly string[]
  readonly thpEligible: boolean | undefined
}

/** One line of numa_maps. */
export interface NumaArea {
  readonly start: string
  /** "default", "bind:0", "interleave:0-1" ... */
  readonly policy: string
  readonly file: string
  /** "anon" -> pages of `pageBytes`, "N0" among them */
  readonly pages: ReadonlyMap<string, number>
  readonly pageBytes: number
  readonly huge: boolean
  /** What kind of memory the line says it is. */
  readonly kind: 'heap' | 'stack' | 'private'
}

const HEAD = /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) (\S{4}) \S+ \S+ \d+ *(.*)$/

export function parseMaps(text: string): Mapping[] {
  return text.split('\n').flatMap(line => mapping(line) ?? [])
}

function mapping(line: string): Mapping | undefined {
  const match = HEAD.exec(line)
  return match === null ? undefined : { start: match[1], end: match[2], perms: match[3], name: match[4].trim() }
}

interface SmapsDraft extends Mapping {
  bytes: Map<string, number>
  flags: string[]
  thpEligible: boolean | undefined
}

/** smaps, and smaps_rollup (whose one area is named "[rollup]"). */
export function parseSmaps(text: string): SmapsArea[] {
  const areas: SmapsDraft[] = []
  for (const line of text.split('\n')) {
    const area = areas.at(-1)
    const colon = line.indexOf(':')
    const head = colon < 0 || /^[0-9a-f]+-/.test(line) ? mapping(line) : undefined
    if (head !== undefined) areas.push({ ...head, bytes: new Map(), flags: [], thpEligible: undefined })
    else if (area !== undefined && colon > 0) addSmapsLine(area, line.slice(0, colon), line.slice(colon + 1).trim())
  }
  return areas
}

function addSmapsLine(area: SmapsDraft, key: string, rest: string): void {
  if (key === 'VmFlags') area.flags = words(rest)
  else if (key === 'THPeligible') area.thpEligible = rest === '1'
  else if (rest.endsWith(' kB')) {
    const kb = toInteger(rest.slice(0, -3))
    if (kb !== undefined) area.bytes.set(key, kb * 1024)
  }
}

export function parseNumaMaps(text: string): NumaArea[] {
  return text.split('\n').flatMap(line => {
    const [start, policy, ...rest] = words(line)
    if (start === undefined || policy === undefined || !/^[0-9a-f]{1,16}$/.test(start)) return []
    const pages = new Map<string, number>()
    let file = ''
    let pageBytes = 4096
    for (const word of rest) {
      const equals = word.indexOf('=')
      const key = equals < 0 ? word : word.slice(0, equals)
      const value = word.slice(equals + 1)
      if (key === 'file') file = value
      else if (key === 'kernelpagesize_kB') pageBytes = (toInteger(value) ?? 4) * 1024
      else if (equals > 0) pages.set(key, toInteger(value) ?? 0)
    }
    const kind = rest.includes('heap') ? 'heap' : rest.includes('stack') ? 'stack' : 'private'
    return [{ start, policy, file, pages, pageBytes, huge: rest.includes('huge'), kind }]
  })
}
