/**
 * Knobs of live migrations, as files under /mmtop/migration: no kernel has them, but they are read, written and turned like its own. Whoever is
 * under way goes on by them: a migration with two rounds behind it switches over when it is told that two are enough.
 */
import { EINVAL, ENOENT } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { MigrationTerms } from '../kernel/base/state_uffd.ts'
import type { Tunable } from '../kernel/tunables.ts'

export const MIGRATION = '/mmtop/migration/'

interface MigrationKnob extends Tunable {
  readonly min: number
  readonly max: number
  readonly get: (terms: MigrationTerms) => number
  readonly set: (terms: MigrationTerms, value: number) => void
}

const SOURCE = 'workload/interpreter_postcopy.ts of the model'

const KNOBS: readonly MigrationKnob[] = [
  {
    path: `${MIGRATION}bandwidth`,
    type: 'integer',
    min: 1,
    max: 2 ** 30,
    default: '131072',
    unit: 'KiB/s',
    meaning: 'How much the network between source and target of a live migration carries',
    source: SOURCE,
    get: terms => Math.round(terms.bytesPerS / 1024),
    set: (terms, value) => {
      terms.bytesPerS = value * 1024
    },
  },
  {
    path: `${MIGRATION}latency`,
    type: 'integer',
    min: 0,
    max: 60e6,
    default: '200',
    unit: 'us',
    meaning: 'How long a page or a request is under way between source and target, beside what the bandwidth takes',
    source: SOURCE,
    get: terms => Math.round(terms.latencyNs / 1000),
    set: (terms, value) => {
      terms.latencyNs = value * 1000
    },
  },
  {
    path: `${MIGRATION}rounds`,
    type: 'integer',
    min: 0,
    max: 1000,
    default: '1',
    unit: 'rounds',
    meaning: 'Rounds of pre-copy before the source stops: more find less left to send, and send more in vain',
    source: SOURCE,
    get: terms => terms.rounds,
    set: (terms, value) => {
      terms.rounds = value
    },
  },
]

/** The same, as people see them. */
export const MIGRATION_TUNABLES: readonly Tunable[] = KNOBS.map(({ get, set, ...doc }) => doc)

/** The text of such a file, or -ENOENT. */
export function readMigrationKnob(k: Kernel, path: string): string | number {
  const knob = KNOBS.find(each => each.path === path)
  return knob === undefined ? -ENOENT : `${knob.get(k.uffd.migration)}\n`
}

/** Bytes taken, or a negative errno. */
export function writeMigrationKnob(k: Kernel, path: string, text: string): number {
  const knob = KNOBS.find(each => each.path === path)
  if (knob === undefined) return -ENOENT
  const value = /^\s*\d{1,10}\s*$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= knob.min && value <= knob.max)) return -EINVAL
  knob.set(k.uffd.migration, value)
  return text.length
}
