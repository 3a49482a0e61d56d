/** The panels by name, in the order of the tabs. */
import type { PanelFunction } from './panel.ts'
import { balancing } from './panels/balancing.ts'
import { cgroups } from './panels/cgroups.ts'
import { compare } from './panels/compare.ts'
import { costs } from './panels/costs.ts'
import { events } from './panels/events.ts'
import { fragmentation } from './panels/fragmentation.ts'
import { hugetlb } from './panels/hugetlb.ts'
import { ksm } from './panels/ksm.ts'
import { memory } from './panels/memory.ts'
import { nodes } from './panels/nodes.ts'
import { overview } from './panels/overview.ts'
import { pages } from './panels/pages.ts'
import { policies } from './panels/policies.ts'
import { postcopy } from './panels/postcopy.ts'
import { processes } from './panels/processes.ts'
import { reclaim } from './panels/reclaim.ts'
import { slab } from './panels/slab.ts'
import { swap } from './panels/swap.ts'
import { thp } from './panels/thp.ts'
import { tunables } from './panels/tunables.ts'
import { userfaultfd } from './panels/userfaultfd.ts'
import { vmstat } from './panels/vmstat.ts'
import { workingSet } from './panels/working_set.ts'
import { zones } from './panels/zones.ts'

export interface View {
  readonly name: string
  /** Other names that it answers to; the first is the one on its tab. */
  readonly also?: readonly string[]
  /** The question it answers. */
  readonly answers: string
  readonly panel: PanelFunction
  /** Names of the tables that the headless formats give for it (see tables.ts); the first one is its CSV. */
  readonly tables: readonly string[]
}

export const VIEWS: readonly View[] = [
  { name: 'overview', answers: 'What is going on?', panel: overview, tables: ['overview', 'processes'] },
  { name: 'vmstat', answers: 'Which counter moves?', panel: vmstat, tables: ['vmstat'] },
  { name: 'memory', answers: 'Where is memory?', panel: memory, tables: ['meminfo'] },
  { name: 'thp', answers: 'How much is huge, and why not more?', panel: thp, tables: ['thp', 'thp_sizes'] },
  { name: 'hugetlb', answers: 'Who has the huge page pools?', panel: hugetlb, tables: ['hugetlb'] },
  { name: 'ksm', answers: 'What does merging save, and cost?', panel: ksm, tables: ['ksm', 'merged'] },
  { name: 'nodes', also: ['nodes', 'numa'], answers: 'Is memory where it is used?', panel: nodes, tables: ['nodes'] },
  { name: 'policies', answers: 'Who said where memory is to be, and is it?', panel: policies, tables: ['policies'] },
  { name: 'balancing', also: ['balance'], answers: 'Does memory follow who uses it?', panel: balancing, tables: ['balancing'] },
  { name: 'zones', answers: 'How much is free, against the marks?', panel: zones, tables: ['zones'] },
  { name: 'reclaim', answers: 'Who takes memory back, from whom, and does it come back?', panel: reclaim, tables: ['reclaim'] },
  { name: 'fragmentation', also: ['frag'], answers: 'Are there large blocks left?', panel: fragmentation, tables: ['buddyinfo'] },
  { name: 'pages', answers: 'What is where in physical memory?', panel: pages, tables: ['pages'] },
  { name: 'processes', also: ['procs'], answers: 'Who has it?', panel: processes, tables: ['processes'] },
  { name: 'slab', answers: 'What does the kernel itself use?', panel: slab, tables: ['slabs'] },
  { name: 'swap', answers: 'What is swapped or compressed, and does it come back?', panel: swap, tables: ['swaps', 'zram', 'zswap'] },
  { name: 'workingset', also: ['idle'], answers: 'What is not used?', panel: workingSet, tables: ['workingset', 'generations', 'damon'] },
  { name: 'cgroups', answers: 'Which group is at its limit?', panel: cgroups, tables: ['cgroups'] },
  { name: 'userfaultfd', also: ['uffd'], answers: 'Who waits for a fault handler?', panel: userfaultfd, tables: ['userfaultfd'] },
  { name: 'postcopy', answers: 'How far is the live migration, and what does it cost?', panel: postcopy, tables: ['postcopy'] },
  { name: 'costs', answers: 'Where did the time go?', panel: costs, tables: ['costs'] },
  { name: 'events', answers: 'What happened, and when?', panel: events, tables: ['events'] },
  { name: 'compare', answers: 'What changed since, or between two moments?', panel: compare, tables: ['overview'] },
  { name: 'tunables', also: ['knobs'], answers: 'Which knobs are there, and how are they set?', panel: tunables, tables: ['tunables'] },
]

export const VIEW_NAMES: readonly string[] = VIEWS.map(({ name }) => name)

/** The view of that name, its own or one that it answers to. */
export const viewNamed = (name: string): View | undefined => VIEWS.find(view => view.name === name || view.also?.includes(name) === true)

/** What stands on the view's tab. */
export const tabName = (view: View): string => view.also?.[0] ?? view.name
