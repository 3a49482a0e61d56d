/**
 * Every single figure of a machine under one flat name: what history keeps, filters and assertions ask for.
 *
 *   pgfault, nr_free_pages          /proc/vmstat, as spelled there
 *   MemFree, HugePages_Free         /proc/meminfo, as spelled there (kB lines in bytes)
 *   psi_some_avg10, psi_full_total  /proc/pressure/memory (percent; microseconds)
 *   khugepaged_pages_collapsed      /sys/kernel/mm/transparent_hugepage/khugepaged
 *   mthp_64kB_anon_fault_alloc      /sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats
 *   ksm_pages_shared, zswap_stored_pages
 *   hugetlb_2048kB_nr_hugepages     /sys/kernel/mm/hugepages
 *   N0.MemFree, N0.numa_hit, N0.hugetlb_2048kB_free_hugepages      one node's
 *   cgroup:web/db:current           /sys/fs/cgroup/web/db/memory.current; :swap for memory.swap.current
 *   N0.DMA32.free, N0.DMA32.nr_mlock, N0.DMA32.order9              one zone's: zoneinfo and buddyinfo
 *   cost_fault_entry                /mmtop/costs of a simulated machine: nanoseconds by what was done
 *   postcopy_left, postcopy_pushed  /mmtop/postcopy: the latest live migration
 *   uffd_faults, uffd_woken         /mmtop/userfaultfd: all descriptors together
 */
import type { Sample } from './sample.ts'
import { toInteger } from './text.ts'

export type Scalars = ReadonlyMap<string, number>

/** Prefix -> key -> both: names that were put together once, as the same ones come with every sample. */
export type Names = Map<string, Map<string, string>>

/** Prefixes kept, and names of each; a machine that has more has them put together again. */
const NAMES_KEPT = 2048

/** @param names of the samples before; it is kept up to date */
export function scalarsOf(sample: Sample, names: Names = new Map()): Scalars {
  const all = new Map<string, number>(sample.vmstat())
  const add = (prefix: string, part: ReadonlyMap<string, number>) => addAll(all, names, prefix, part)
  add('', sample.meminfo().bytes)
  add('', sample.meminfo().counts)
  addPressure(all, sample)
  addThp(all, names, sample)
  add('ksm_', sample.ksm())
  add('zswap_', sample.zswap())
  addCgroups(all, sample)
  for (const pool of sample.pools()) add(`${pool.node === undefined ? '' : `N${pool.node}.`}hugetlb_${pool.sizeKb}kB_`, pool.pages)
  for (const node of sample.nodes()) {
    const prefix = `N${node.node}.`
    for (const part of [node.meminfo.bytes, node.meminfo.counts, node.vmstat, node.numastat]) add(prefix, part)
  }
  for (const zone of sample.zones()) {
    const prefix = `N${zone.node}.${zone.zone}.`
    add(prefix, zone.pages)
    add(prefix, zone.stats)
  }
  for (const row of sample.buddy())
    for (const [order, blocks] of row.blocks.entries()) all.set(`N${row.node}.${row.zone}.order${order}`, blocks)
  add('cost_', sample.costs())
  addUserfault(all, sample)
  return all
}

/** Figures of a migration that do not stand once a round or a class of waits. */
const ONCE = /^(?!round_|below_)/

/** A live migration, and what all descriptors of userfaultfds together have seen. */
function addUserfault(all: Map<string, number>, sample: Sample): void {
  for (const [key, value] of sample.postcopy()) if (ONCE.test(key)) all.set(`postcopy_${key}`, value)
  for (const figures of sample.uffdFigures().values())
    for (const key of ['faults', 'woken', 'waited_ns', 'copied', 'zeroed', 'continued', 'events'])
      all.set(`uffd_${key}`, (all.get(`uffd_${key}`) ?? 0) + (figures.get(key) ?? 0))
}

function addAll(all: Map<string, number>, names: Names, prefix: string, part: ReadonlyMap<string, number>): void {
  if (prefix === '')
    part.forEach((value, key) => {
      all.set(key, value)
    })
  else {
    const known = namesOf(names, prefix)
    part.forEach((value, key) => {
      let name = known.get(key)
      if (name === undefined) {
        name = prefix + key
        known.set(key, name)
      }
      all.set(name, value)
    })
  }
}

function namesOf(names: Names, prefix: string): Map<string, string> {
  const known = names.get(prefix)
  if (known !== undefined && known.size <= NAMES_KEPT) return known
  if (names.size > NAMES_KEPT) names.clear()
  const fresh = new Map<string, string>()
  names.set(prefix, fresh)
  return fresh
}

function addPressure(all: Map<string, number>, sample: Sample): void {
  const pressure = sample.pressure()
  for (const which of ['some', 'full'] as const) {
    const stalled = pressure[which]
    if (stalled === undefined) continue
    all.set(`psi_${which}_avg10`, stalled.avg10)
    all.set(`psi_${which}_avg60`, stalled.avg60)
    all.set(`psi_${which}_avg300`, stalled.avg300)
    all.set(`psi_${which}_total`, stalled.totalUs)
  }
}

/** Groups whose memory has a history, at most. */
const CGROUPS_MAX = 64
const CURRENT = 'current'

/** What groups have; the rest of what is known of them is read when a panel asks for it. */
function addCgroups(all: Map<string, number>, sample: Sample): void {
  const { files } = sample.frame
  for (const { name, path } of sample.places().cgroups.slice(0, CGROUPS_MAX)) {
    const current = toInteger(files.get(path)?.trim())
    const swap = toInteger(files.get(`${path.slice(0, -CURRENT.length)}swap.current`)?.trim())
    if (current !== undefined) all.set(`cgroup:${name}:current`, current)
    if (swap !== undefined) all.set(`cgroup:${name}:swap`, swap)
  }
}

/** khugepaged's two totals and, on kernels that have them, the counters of each huge page size. */
function addThp(all: Map<string, number>, names: Names, sample: Sample): void {
  const known = namesOf(names, 'thp')
  sample.thp().forEach((text, file) => {
    let name = known.get(file)
    if (name === undefined) {
      name = thpName(file)
      known.set(file, name)
    }
    const value = name === '' ? undefined : toInteger(text)
    if (value !== undefined) all.set(name, value)
  })
}

/** What the number in a file of huge pages is called; '' for a setting. */
function thpName(file: string): string {
  const size = /^hugepages-(\d+kB)\/stats\/(\w+)$/.exec(file)
  if (size !== null) return `mthp_${size[1]}_${size[2]}`
  return file === 'khugepaged/full_scans' || file === 'khugepaged/pages_collapsed' ? file.replace('/', '_') : ''
}
