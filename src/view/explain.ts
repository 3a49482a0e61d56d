/** What a figure on a screen is: by the name that its span carries (`Span.about`). */
import type { Model } from '../sample/model.ts'
import { type Field, fieldOf, SCALARS } from './fields.ts'
import { AREA_COLUMNS } from './subjects/areas.ts'
import { CGROUP_COLUMNS } from './subjects/cgroups.ts'
import { SCHEME_COLUMNS } from './subjects/damon.ts'
import { GENERATION_COLUMNS } from './subjects/generations.ts'
import { rangeOf } from './subjects/knobs.ts'
import { NODE_COLUMNS } from './subjects/nodes.ts'
import { POLICY_COLUMNS } from './subjects/policies.ts'
import { POOL_COLUMNS } from './subjects/pools.ts'
import { SLAB_COLUMNS } from './subjects/slabs.ts'
import { SWAP_COLUMNS, ZRAM_COLUMNS } from './subjects/swaps.ts'
import { TASK_COLUMNS } from './subjects/tasks.ts'
import { SIZE_COLUMNS } from './subjects/thp_sizes.ts'
import { UFFD_COLUMNS } from './subjects/uffd.ts'
import { ZONE_COLUMNS } from './subjects/zones.ts'

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

/** Where tables have columns of the same name, the later one is meant. */
const COLUMNS: ReadonlyMap<string, Field> = new Map(
  [
    ...[
      ...SIZE_COLUMNS,
      ...SCHEME_COLUMNS,
      ...GENERATION_COLUMNS,
      ...UFFD_COLUMNS,
      ...SLAB_COLUMNS,
      ...SWAP_COLUMNS,
      ...ZRAM_COLUMNS,
      ...CGROUP_COLUMNS,
    ],
    ...[...TASK_COLUMNS, ...NODE_COLUMNS, ...POOL_COLUMNS, ...ZONE_COLUMNS, ...POLICY_COLUMNS, ...AREA_COLUMNS],
  ].map((column): [string, Field] => [column.key, column]),
)

/** Names that can be explained without a machine. */
export const explainable = (): string[] => [...SCALARS.keys(), ...COLUMNS.keys()]

/** Everything that is explained and has the text in its name, its meaning or where it is made; names first. */
export function lookUp(text: string, model?: Pick<Model, 'scalars' | 'tunables'>): Explanation[] {
  const wanted = text.toLowerCase()
  const names = [...new Set([...explainable(), ...(model?.tunables.map(({ path }) => path) ?? [])])]
  const found = names.flatMap(name => explain(name, model) ?? [])
  const named = found.filter(({ name }) => name.toLowerCase().includes(wanted))
  const said = found.filter(each => !named.includes(each) && `${each.meaning} ${each.kernel}`.toLowerCase().includes(wanted))
  return [...named, ...said]
}

/** @param model the machine, for figures and knobs that not every one has */
export function explain(about: string, model?: Pick<Model, 'scalars' | 'tunables'>): Explanation | undefined {
  const knob = model?.tunables.find(tunable => tunable.path === about)
  if (knob !== undefined) return { name: about, meaning: knob.meaning, unit: rangeOf(knob), source: about, kernel: knob.source }
  const field = SCALARS.has(about) || model?.scalars.has(about) === true ? fieldOf(about) : COLUMNS.get(about)
  if (field === undefined) return undefined
  const per = field.kind === 'counter' ? ', growing since boot' : ''
  return { name: about, meaning: field.help, unit: field.unit + per, source: field.source, kernel: field.kernel }
}
