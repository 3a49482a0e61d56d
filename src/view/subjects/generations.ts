/** Generations of the multi-generational LRU as rows: how old they are and what is in them. */
import type { Model } from '../../sample/model.ts'
import { type Generation, generationsOn, LRU_GEN, LRU_GEN_ENABLED, parseGenerations } from '../../sample/parse/lru_gen.ts'
import { type Column, column } from '../table.ts'

const KERNEL = 'mm/vmscan.c lru_gen_seq_show'

/** The generations of the machine, the oldest of each group and node first; none while they are off. */
export function generationRows(model: Model): Generation[] {
  const { files } = model.sample.frame
  return generationsOn(files.get(LRU_GEN_ENABLED)) ? parseGenerations(files.get(LRU_GEN) ?? '') : []
}

const spec = (key: string, title: string, unit: 'count' | 'pages' | 'ms', help: string, value: (row: Generation) => number) =>
  column<Generation>({ key, title, unit, priority: 0, help, source: LRU_GEN, kernel: KERNEL, value })

export const GENERATION_COLUMNS: readonly Column<Generation>[] = [
  column<Generation>({
    key: 'generation_cgroup',
    title: 'cgroup',
    unit: 'text',
    width: 16,
    kind: 'label',
    priority: 1,
    help: 'Memory cgroup whose pages these are',
    source: LRU_GEN,
    kernel: KERNEL,
    value: row => row.cgroup,
  }),
  { ...spec('generation_node', 'node', 'count', 'Node on which they are', row => row.node), priority: 2, kind: 'label' },
  {
    ...spec('generation_seq', 'number', 'count', 'Running number of the generation: the higher, the younger', row => row.seq),
    kind: 'label',
  },
  column<Generation>({
    key: 'generation_counts_as',
    title: 'counts-as',
    unit: 'text',
    width: 9,
    kind: 'label',
    priority: 3,
    help: 'The two youngest generations count as active in meminfo and vmstat, the others as inactive',
    source: LRU_GEN,
    kernel: 'include/linux/mm_inline.h lru_gen_is_active',
    value: row => (row.active ? 'active' : 'inactive'),
  }),
  spec('generation_age', 'age', 'ms', 'Time since the generation was begun', row => row.ageMs),
  spec('generation_anon', 'anon', 'pages', 'Anonymous and shared memory in it', row => row.anonPages),
  spec('generation_file', 'file', 'pages', 'Pages of files in it', row => row.filePages),
]
