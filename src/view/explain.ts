/** What a figure on a screen is: by the name that its span carries (`Span.about`). */
import type { Model } from '../sample/model.ts'
import { LISTS } from './columns.ts'
import { DERIVED } from './fields/derived.ts'
import { type Field, fieldOf, SCALARS } from './fields.ts'
import { AREA_COLUMNS } from './subjects/areas.ts'
import { rangeOf } from './subjects/knobs.ts'

export interface Explanation {
  readonly name: string
  /** One sentence, without a full stop. */
  readonly meaning: string
  readonly unit: string
  /** File and line it is read from. */
  readonly source: string
  /** Where the kernel makes it, or ''. */
  readonly kernel: string
}

/** Columns of all tables, and of the areas of a process. */
const COLUMNS: ReadonlyMap<string, Field> = new Map(
  [...Object.values(LISTS).flat(), ...AREA_COLUMNS].map((column): [string, Field] => [column.key, column]),
)

/** Names that can be explained without a machine. */
export const explainable = (): string[] => [...SCALARS.keys(), ...COLUMNS.keys(), ...DERIVED.keys()]

/** Everything that is explained and has the text in its name, its meaning or where it is made; names first. */
export function lookUp(text: string, model?: Pick<Model, 'scalars' | 'tunables'>): Explanation[] {
  const wanted = text.toLowerCase()
  const names = [...new Set([...explainable(), ...(model?.tunables.map(({ path }) => path) ?? [])])]
  const found = names.flatMap(name => explain(name, model) ?? [])
  const named = found.filter(({ name }) => name.toLowerCase().includes(wanted))
  const said = found.filter(each => !named.includes(each) && `${each.meaning} ${each.kernel}`.toLowerCase().includes(wanted))
  return [...named, ...said]
}

function fieldNamed(about: string, model?: Pick<Model, 'scalars'>): Field | undefined {
  if (SCALARS.has(about) || model?.scalars.has(about) === true) return fieldOf(about)
  const order = /^order(\d{1,2})_blocks$/.exec(about)
  if (order !== null) return { ...fieldOf(`N0.Normal.order${order[1]}`), source: '/proc/buddyinfo' }
  // Events of a group go by the names that the machine's have.
  const event = /^memory\.stat (\w+)$/.exec(about)
  const whole = event === null ? undefined : SCALARS.get(event[1])
  if (whole !== undefined)
    return { ...whole, help: `${whole.help}, by tasks and pages of the group`, source: `/sys/fs/cgroup/GROUP/${about}` }
  return COLUMNS.get(about) ?? DERIVED.get(about)
}

/** @param model the machine, for figures and knobs that not every one has */
export function explain(about: string, model?: Pick<Model, 'scalars' | 'tunables'>): Explanation | undefined {
  const knob = model?.tunables.find(tunable => tunable.path === about)
  if (knob !== undefined) return { name: about, meaning: knob.meaning, unit: rangeOf(knob), source: about, kernel: knob.source }
  const field = fieldNamed(about, model)
  if (field === undefined) return undefined
  const per = field.kind === 'counter' ? ', growing since boot' : ''
  return { name: about, meaning: field.help, unit: field.unit + per, source: field.source, kernel: field.kernel }
}
