/** The columns of the tables that are lists, by the table's name: for who says what a figure is rather than what it is now. */
import type { Field } from './fields/field.ts'
import { CGROUP_COLUMNS } from './subjects/cgroups.ts'
import { COST_COLUMNS } from './subjects/costs.ts'
import { SCHEME_COLUMNS } from './subjects/damon.ts'
import { EVENT_COLUMNS } from './subjects/events.ts'
import { GENERATION_COLUMNS } from './subjects/generations.ts'
import { KNOB_COLUMNS } from './subjects/knobs.ts'
import { MERGED_COLUMNS } from './subjects/ksm.ts'
import { NODE_TABLE } from './subjects/nodes.ts'
import { AGED_COLUMNS, KIND_COLUMNS } from './subjects/pages.ts'
import { POLICY_COLUMNS } from './subjects/policies.ts'
import { POOL_COLUMNS } from './subjects/pools.ts'
import { RECLAIM_COLUMNS } from './subjects/reclaim.ts'
import { SLAB_COLUMNS } from './subjects/slabs.ts'
import { SWAP_COLUMNS, ZRAM_COLUMNS } from './subjects/swaps.ts'
import { TASK_COLUMNS } from './subjects/tasks.ts'
import { SIZE_COLUMNS } from './subjects/thp_sizes.ts'
import { UFFD_COLUMNS } from './subjects/uffd.ts'
import { ZONE_COLUMNS } from './subjects/zones.ts'

/** Where several have a column of one name, the name alone means the later one's. buddyinfo is not here: it has a column for each order there is. */
export const LISTS: Readonly<Record<string, readonly Field[]>> = {
  tunables: KNOB_COLUMNS,
  events: EVENT_COLUMNS,
  costs: COST_COLUMNS,
  pages: KIND_COLUMNS,
  workingset: AGED_COLUMNS,
  merged: MERGED_COLUMNS,
  thp_sizes: SIZE_COLUMNS,
  damon: SCHEME_COLUMNS,
  generations: GENERATION_COLUMNS,
  userfaultfd: UFFD_COLUMNS,
  reclaim: RECLAIM_COLUMNS,
  slabs: SLAB_COLUMNS,
  swaps: SWAP_COLUMNS,
  zram: ZRAM_COLUMNS,
  cgroups: CGROUP_COLUMNS,
  processes: TASK_COLUMNS,
  nodes: NODE_TABLE,
  hugetlb: POOL_COLUMNS,
  zones: ZONE_COLUMNS,
  policies: POLICY_COLUMNS,
}
