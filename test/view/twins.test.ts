/** Every panel has its twins without a screen: text, CSV, JSON that keeps to the schema, OpenMetrics. */
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Model } from '../../src/sample/model.ts'
import { asCsv } from '../../src/view/headless/csv.ts'
import { asJson } from '../../src/view/headless/json.ts'
import { asOpenMetrics } from '../../src/view/headless/openmetrics.ts'
import { snapshotSchema } from '../../src/view/headless/schema.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { TABLES } from '../../src/view/tables.ts'
import { VIEWS } from '../../src/view/views.ts'
import { migratingModel, modelOf } from './models.ts'

/** A family that tells what each panel tells; a panel may go by those of others. */
const FAMILIES: Readonly<Record<string, string>> = {
  overview: 'mmtop_vmstat_pgfault',
  vmstat: 'mmtop_vmstat_pgfault',
  memory: 'mmtop_memory_MemFree_bytes',
  thp: 'mmtop_vmstat_thp_fault_alloc',
  hugetlb: 'mmtop_hugetlb_nr_hugepages',
  ksm: 'mmtop_ksmd_pages_shared',
  nodes: 'mmtop_memory_numa_numa_hit',
  balancing: 'mmtop_vmstat_numa_hint_faults',
  zones: 'mmtop_zoneinfo_low_pages',
  reclaim: 'mmtop_vmstat_pgscan_kswapd',
  fragmentation: 'mmtop_buddyinfo_blocks',
  processes: 'mmtop_task_resident_bytes',
  postcopy: 'mmtop_postcopy_left',
  userfaultfd: 'mmtop_userfaultfd_faults',
  costs: 'mmtop_cost_seconds',
  tunables: 'mmtop_knob_value',
}

describe('every panel', () => {
  const models = new Map<string, Model>()
  beforeAll(async () => {
    models.set('simulation', migratingModel())
    for (const name of ['numa-policies', 'cgroup-memory-max', 'zswap-lzo', 'hugetlb-mempolicy']) models.set(name, await modelOf(name, 2))
    const host = models.get('numa-policies')
    if (host !== undefined) models.set('host', { ...host, kind: 'host' })
  })

  it('is text, CSV with a cell a heading, and JSON that keeps to the schema', () => {
    const schema = z.fromJSONSchema(JSON.parse(JSON.stringify(snapshotSchema())))
    for (const [source, model] of models)
      for (const { name, panel, tables } of VIEWS) {
        const text = plainLines(panel(model, DEFAULT_UI, { width: 100, height: Number.POSITIVE_INFINITY }).rows)
        expect([source, name, text[0]?.length ?? 0]).toEqual([source, name, expect.toSatisfy((length: number) => length > 10)])
        expect(tables.length).toBeGreaterThan(0)
        const made = tables.map(table => TABLES[table](model))
        for (const table of made) {
          expect([name, new Set(table.columns).size]).toEqual([name, table.columns.length])
          for (const row of table.rows) expect([source, table.name, row.length]).toEqual([source, table.name, table.columns.length])
          expect(asCsv(table, model, true).startsWith('time_ns')).toBe(true)
        }
        expect([source, name, schema.safeParse(JSON.parse(asJson(made, model))).error?.issues ?? []]).toEqual([source, name, []])
      }
  })

  it('is in OpenMetrics, which has all of them', () => {
    const simulation = models.get('simulation')
    const text = simulation === undefined ? '' : asOpenMetrics(simulation)
    for (const [name, family] of Object.entries(FAMILIES)) expect([name, text.includes(`\n# TYPE ${family} `)]).toEqual([name, true])
    const groups = models.get('cgroup-memory-max')
    const more = groups === undefined ? '' : asOpenMetrics(groups)
    for (const family of ['cgroup_memory_current_bytes{', 'cgroup_memory_events_total{', 'cgroup_memory_stat{', 'swap_size_bytes{'])
      expect([family, more.includes(`\nmmtop_${family}`)]).toEqual([family, true])
    expect([...models.values()].some(model => /\nmmtop_events\{kind="\w+"\} [1-9]/.test(asOpenMetrics(model)))).toBe(true)
    const numa = models.get('numa-policies')
    expect(numa === undefined ? '' : asOpenMetrics(numa)).toMatch(/\nmmtop_policy_bytes\{policy="bind:1",scope="\w+",node="1"\} \d/)
  })
})
