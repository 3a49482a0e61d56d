/**
 * Which files are knobs, where only their texts tell (a raw recording's header, a real machine), and what is known of
 * them: descriptions by path, in which {size}, {node} and {cpu} stand for a number each.
 */
import { parseChoice } from './parse/choice.ts'
import type { Tunable } from './source.ts'
import { toInteger, words } from './text.ts'

const KNOB = /^\/(proc\/sys\/|sys\/kernel\/mm\/|sys\/module\/zswap\/parameters\/|sys\/devices\/system\/node\/)/

/** Files of those directories that only report. */
const REPORT =
  /\/(full_scans|pages_(shared|sharing|unshared|volatile|collapsed|scanned|skipped)|ksm_(zero_pages|rmap_items)|general_profit|(free|resv|surplus)_hugepages|stable_node_(chains|dups)|hpage_pmd_size|stats\/\w+|numastat|meminfo|vmstat|distance|cpulist)$/

/** Whether a path can be a knob's. */
export const maybeKnob = (path: string): boolean => KNOB.test(path) && !REPORT.test(path)

/** Finds the description of a path; the result is of this path. */
export function describer(known: readonly Tunable[]): (path: string) => Tunable | undefined {
  const exact = new Map(known.filter(({ path }) => !path.includes('{')).map(tunable => [tunable.path, tunable]))
  const patterns = known
    .filter(({ path }) => path.includes('{'))
    .map(tunable => ({ tunable, pattern: new RegExp(`^${tunable.path.replace(/\{\w+\}/g, '\\d+')}$`) }))
  return path => {
    const found = exact.get(path) ?? patterns.find(({ pattern }) => pattern.test(path))?.tunable
    return found === undefined ? undefined : { ...found, path }
  }
}

/**
 * @param texts path -> text
 * @param known descriptions, used where there is one; otherwise the text itself tells the type
 */
export function knobsIn(texts: ReadonlyMap<string, string>, known: readonly Tunable[]): Tunable[] {
  const describe = describer(known)
  return [...texts].flatMap(([path, text]) =>
    maybeKnob(path) ? [describe(path) ?? { path, ...typeOf(text), meaning: '', source: '' }] : [],
  )
}

/** What a knob accepts, as far as its text tells. */
export function typeOf(text: string): Pick<Tunable, 'type' | 'choices'> {
  const { choices, chosen } = parseChoice(text)
  if (chosen !== undefined) return { type: 'choice', choices }
  const parts = words(text)
  if (parts.length > 1) return { type: 'vector' }
  if (parts.length === 1 && toInteger(parts[0]) === undefined) return { type: 'choice' }
  return { type: 'integer' }
}
