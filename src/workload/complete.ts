/**
 * What could come next on a line that is being typed, from the same tables that read it.
 */
import { CONTROLLER_ROWS, FORM_OPS, WORKER_ROWS } from './ops_controller.ts'
import {
  ADVICES,
  COMPARISONS,
  CONTENT_KINDS,
  MLOCKALL_FLAGS,
  MMAP_FLAGS,
  PATTERN_KINDS,
  POLICY_MODES,
  RESULT_FIELDS,
  SIGNALS,
  UFFD_FEATURES,
  UFFD_REGISTER_MODES,
} from './program.ts'
import type { Shape } from './shape.ts'

/** The words that a placeholder of a usage line stands for. */
export const PLACEHOLDER_WORDS: Readonly<Record<string, readonly string[]>> = {
  ADVICE: ADVICES,
  CONTENT: CONTENT_KINDS,
  FEATURES: UFFD_FEATURES,
  FIELD: RESULT_FIELDS,
  FLAGS: MMAP_FLAGS,
  LOCKS: MLOCKALL_FLAGS,
  MODES: UFFD_REGISTER_MODES,
  OP: COMPARISONS,
  PATTERN: PATTERN_KINDS,
  POLICY: POLICY_MODES,
  SIGNAL: SIGNALS,
}

/** What is alive where the line is typed. */
export interface Alive {
  readonly workers: readonly string[]
  /** Regions by process. */
  readonly regions: ReadonlyMap<string, readonly string[]>
}

/** The words that could stand where the last word of the line is, those that begin as it does; sorted, each once. */
export function complete(text: string, alive: Alive): readonly string[] {
  const words = text.trimStart().split(/[ \t]+/)
  const typed = words.pop() ?? ''
  const list = /^(.*[,:=])?([^,:=]*)$/.exec(typed)
  const before = list?.[1] ?? ''
  const candidates = before === '' ? nextWords(words, alive) : /=[^:]*$/.test(before) ? optionValues(words, before) : []
  const matching = candidates.filter(word => word.startsWith(typed.slice(before.length)) && word !== '')
  return [...new Set(matching)].sort().map(word => before + word)
}

function nextWords(words: readonly string[], alive: Alive): readonly string[] {
  const { shapes, owner, rest } = opOf(words)
  if (shapes.length > 0) return shapes.flatMap(shape => inShape(shape, rest, owner, alive))
  if (owner !== undefined) return [...WORKER_ROWS.keys()]
  return words.length === 0 ? [...CONTROLLER_ROWS.keys(), 'bg', 'expect', 'mark', ...alive.workers] : alive.workers
}

/** The op whose words are being typed, and those of its words that stand already. */
function opOf(words: readonly string[]): {
  readonly shapes: readonly Shape[]
  readonly owner: string | undefined
  readonly rest: readonly string[]
} {
  const [head] = words
  if (head === undefined || (head === 'bg' && words.length === 1)) return { shapes: [], owner: undefined, rest: [] }
  const controller = head === 'expect' ? FORM_OPS.expect : CONTROLLER_ROWS.get(head)
  if (controller) return { shapes: controller.shapes, owner: undefined, rest: words.slice(1) }
  const skip = head === 'bg' ? 1 : 0
  const row = WORKER_ROWS.get(words[skip + 1] ?? '')
  return { shapes: row?.shapes ?? [], owner: words[skip], rest: words.slice(skip + 2) }
}

function inShape(shape: Shape, rest: readonly string[], owner: string | undefined, alive: Alive): readonly string[] {
  const positional = shape.slots.filter(slot => slot.kind !== 'range')
  const next = positional[rest.length]
  if (shape.fixed && rest.length > shape.fixed.index && rest[shape.fixed.index] !== shape.fixed.word) return []
  const options = [...[...shape.options.keys()].map(key => key + '='), ...shape.flags]
  if (!next) return options.filter(option => !rest.some(word => word === option || word.startsWith(option)))
  const words = next.key === 'R' ? (alive.regions.get(owner ?? '') ?? []) : /^[AB]$/.test(next.key) ? alive.workers : wordsOf(next.key)
  return next.optional ? [...words, ...options] : words
}

function optionValues(words: readonly string[], before: string): readonly string[] {
  const { shapes } = opOf(words)
  const key = before.slice(0, before.indexOf('='))
  return shapes.flatMap(shape => wordsOf(shape.options.get(key) ?? ''))
}

/** The words of a|b, of a,b, or of a placeholder. */
const wordsOf = (usage: string) => usage.split(/[|,]/).flatMap(word => PLACEHOLDER_WORDS[word] ?? (/^[A-Z.]+$/.test(word) ? [] : [word]))
