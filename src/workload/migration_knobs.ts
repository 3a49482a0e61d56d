/**
 * Knobs of live migrations, as files under /mmtop/migration: no kernel has them, but they are read, written and turned like its own. Whoever is
 * under way goes on by them: a migration with two rounds behind it switches over when it is told that two are enough.
 */
import { EINVAL, ENOENT } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { MigrationTerms } from '../kernel/base/state_uffd.ts'
import type { Tunable } from '../kernel/tunables.ts'

export const MIGRATION = '/mmtop/migration/'

interface MigrationKnob {
  /** What it sets, and how much of that its unit is. */
  readonly term: keyof MigrationTerms
  readonly scale: number
  readonly doc: Tunable & { readonly min: number; readonly max: number }
}

const knob = (
  name: string,
  term: keyof MigrationTerms,
  scale: number,
  doc: Pick<MigrationKnob['doc'], 'min' | 'max' | 'default' | 'unit' | 'meaning'>,
): MigrationKnob => ({
  term,
  scale,
  doc: { path: MIGRATION + name, type: 'integer', source: 'workload/interpreter_postcopy.ts of the model', ...doc },
})

const KNOBS: readonly MigrationKnob[] = [
  knob('bandwidth', 'bytesPerS', 1024, {
    min: 1,
    max: 2 ** 30,
    default: '131072',
    unit: 'KiB/s',
    meaning: 'How much the network between source and target of a live migration carries',
  }),
  knob('latency', 'latencyNs', 1000, {
    min: 0,
    max: 60e6,
    default: '200',
    unit: 'us',
    meaning: 'How long a page or a request is under way between source and target, beside what the bandwidth takes',
  }),
  knob('rounds', 'rounds', 1, {
    min: 0,
    max: 1000,
    default: '1',
    unit: 'rounds',
    meaning: 'Rounds of pre-copy before the source stops: more find less left to send, and send more in vain',
  }),
]

/** The same, as people see them. */
export const MIGRATION_TUNABLES: readonly Tunable[] = KNOBS.map(({ doc }) => doc)

const knobAt = (path: string): MigrationKnob | undefined => KNOBS.find(({ doc }) => doc.path === path)

/** The text of such a file, or -ENOENT. */
export function readMigrationKnob(k: Kernel, path: string): string | number {
  const found = knobAt(path)
  return found === undefined ? -ENOENT : `${Math.round(k.uffd.migration[found.term] / found.scale)}\n`
}

/** Bytes taken, or a negative errno. */
export function writeMigrationKnob(k: Kernel, path: string, text: string): number {
  const found = knobAt(path)
  if (found === undefined) return -ENOENT
  const { term, scale, doc } = found
  const value = /^\s*\d{1,10}\s*$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= doc.min && value <= doc.max)) return -EINVAL
  k.uffd.migration[term] = value * scale
  return text.length
}
