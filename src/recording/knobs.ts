/** Which files of a raw recording's header are knobs, and what is known of them. */
import { parseChoice } from '../sample/parse/choice.ts'
import type { Tunable } from '../sample/source.ts'
import { toInteger, words } from '../sample/text.ts'

const KNOB = /^\/(proc\/sys\/|sys\/kernel\/mm\/|sys\/module\/zswap\/parameters\/)/

/** Files of those directories that only report. */
const REPORT =
  /\/(full_scans|pages_(shared|sharing|unshared|volatile|collapsed|scanned)|(free|resv|surplus)_hugepages|stable_node_(chains|dups)|hpage_pmd_size)$/

/**
 * @param texts path -> text at boot
 * @param known descriptions by path, used where there is one; otherwise the text itself tells the type
 */
export function knobsIn(texts: ReadonlyMap<string, string>, known: readonly Tunable[]): Tunable[] {
  const described = new Map(known.map(tunable => [tunable.path, tunable]))
  return [...texts].flatMap(([path, text]) => {
    if (!KNOB.test(path) || REPORT.test(path)) return []
    return [described.get(path) ?? { path, ...typeOf(text), meaning: '', source: '' }]
  })
}

function typeOf(text: string): Pick<Tunable, 'type' | 'choices'> {
  const { choices, chosen } = parseChoice(text)
  if (chosen !== undefined) return { type: 'choice', choices }
  const parts = words(text)
  if (parts.length > 1) return { type: 'vector' }
  if (parts.length === 1 && toInteger(parts[0]) === undefined) return { type: 'choice' }
  return { type: 'integer' }
}
