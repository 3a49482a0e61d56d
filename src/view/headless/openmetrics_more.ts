/**
 * The families that node_exporter has nothing like: what its users would have to read groups, swap areas, policies, userfaultfds and the
 * simulated machine's own accounts for. All are left out where the machine has nothing of it.
 */

import { kindOf } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import { ACTIVITIES } from '../fields/simulated.ts'
import { fieldOf } from '../fields.ts'
import { spentOn } from '../subjects/costs.ts'
import { agedRows, kindRows } from '../subjects/pages.ts'
import { policyRows } from '../subjects/policies.ts'

type Labels = Readonly<Record<string, string>>
type Type = 'counter' | 'gauge'
/** As openmetrics.ts adds a sample to its family. */
export type Add = (
  family: { readonly name: string; readonly type: 'counter' | 'gauge' | 'unknown' | 'info'; readonly unit: string; readonly help: string },
  labels: Labels,
  value: number | undefined,
) => void

const bytes = (name: string, help: string) => ({ name: `${name}_bytes`, type: 'gauge' as const, unit: 'bytes', help })
const count = (name: string, help: string, type: Type = 'gauge') => ({ name, type, unit: '', help })
const seconds = (name: string, help: string, type: Type = 'counter') => ({ name: `${name}_seconds`, type, unit: 'seconds', help })

export function addMore(model: Model, add: Add): void {
  addCgroups(model, add)
  addSwaps(model, add)
  addPolicies(model, add)
  addPages(model, add)
  addAccounts(model, add)
  addHandlers(model, add)
  for (const { kind } of model.sample.events()) {
    const all = model.sample.events().filter(event => event.kind === kind).length
    add(count('events', 'Events since the sample before, by kind'), { kind }, all)
  }
}

function addCgroups({ sample }: Model, add: Add): void {
  for (const { name, limits, stat, events, pressure } of sample.cgroups()) {
    const labels = { cgroup: name }
    for (const [file, value] of limits) add(bytes(`cgroup_${file.replaceAll('.', '_')}`, `${file} of the group`), labels, value)
    for (const [event, value] of events)
      add(count('cgroup_memory_events', 'Lines of memory.events', 'counter'), { ...labels, event }, value)
    for (const [line, value] of stat)
      add(count('cgroup_memory_stat', 'Lines of memory.stat: bytes, and events since the group was made'), { ...labels, stat: line }, value)
    const waiting = pressure.some?.totalUs
    add(
      seconds('cgroup_pressure_memory_waiting', 'Time in which some task of the group waited for memory'),
      labels,
      waiting === undefined ? undefined : waiting / 1e6,
    )
  }
}

function addSwaps({ sample }: Model, add: Add): void {
  for (const { name, sizeBytes, usedBytes } of sample.swaps()) {
    add(bytes('swap_size', 'Size of a swap area'), { area: name }, sizeBytes)
    add(bytes('swap_used', 'What of a swap area is in use'), { area: name }, usedBytes)
  }
}

/** Memory by the policy that governs it and the node that it is on. */
function addPolicies(model: Model, add: Add): void {
  const sums = new Map<string, { readonly labels: Labels; sum: number }>()
  for (const { area, scope, nodes, nodeBytes } of policyRows(model))
    for (const [i, value] of nodeBytes.entries()) {
      const labels = { policy: area.policy, scope, node: String(nodes[i]) }
      const key = Object.values(labels).join(' ')
      const known = sums.get(key)
      if (known === undefined) sums.set(key, { labels, sum: value })
      else known.sum += value
    }
  for (const { labels, sum } of sums.values())
    add(bytes('policy', 'Memory by the policy that governs it, whose that is, and the node it is on'), labels, sum)
}

function addPages(model: Model, add: Add): void {
  for (const { kind, frames } of kindRows(model)) add({ ...count('frames', 'Page frames by what they hold') }, { kind }, frames)
  const rounds = ['0', '1', '2-3', '4-7', '8-15', '16+']
  for (const { id, pages } of agedRows(model))
    for (const [i, value] of pages.entries())
      add(
        { name: 'idle_pages', type: 'gauge', unit: 'pages', help: 'Pages of a process by the rounds in which they were not used' },
        { pid: String(id), rounds: rounds[i] ?? '' },
        value,
      )
}

/** Where a simulated machine's time went. */
function addAccounts({ sample }: Model, add: Add): void {
  const spent = sample.costs()
  if (spent.size === 0) return
  for (const activity of ACTIVITIES)
    add(seconds('cost', 'Time that went into something, or was waited for it'), { activity: activity.key }, spentOn(spent, activity) / 1e9)
  for (const [who, own] of sample.accounts())
    for (const activity of ACTIVITIES) {
      const ns = spentOn(own, activity)
      if (ns > 0) add(seconds('account_cost', 'The same by who spent it'), { who, activity: activity.key }, ns / 1e9)
    }
}

/** Handlers of userfaultfds, and the latest live migration. */
function addHandlers({ scalars }: Model, add: Add): void {
  for (const [key, value] of scalars) {
    if (!/^(uffd|postcopy)_/.test(key)) continue
    const { help, unit } = fieldOf(key)
    const name = key.replace(/^uffd_/, 'userfaultfd_').replace(/_(ns|bytes)$/, '')
    if (unit === 'ns') add(seconds(name, help, kindOf(key) === 'counter' ? 'counter' : 'gauge'), {}, value / 1e9)
    else if (unit === 'bytes') add({ ...bytes(name, help), type: kindOf(key) === 'counter' ? 'counter' : 'gauge' }, {}, value)
    else add(count(name, help, kindOf(key) === 'counter' ? 'counter' : 'gauge'), {}, value)
  }
}
