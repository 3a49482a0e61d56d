import { beforeAll, describe, expect, it } from 'vitest'
import type { Model } from '../../src/sample/model.ts'
import { asCsv } from '../../src/view/headless/csv.ts'
import { asJson } from '../../src/view/headless/json.ts'
import { asOpenMetrics } from '../../src/view/headless/openmetrics.ts'
import { asText } from '../../src/view/headless/text.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { TABLES } from '../../src/view/tables.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom, modelOf } from './models.ts'

describe('headless formats', () => {
  let model: Model
  let numa: Model
  let hostile: Model
  beforeAll(async () => {
    model = await modelOf('zswap-lzo', 1)
    numa = await modelOf('numa-policies', 1)
    const at = (ns: number) =>
      frameOf(ns, {
        '/proc/7/stat': `7 (a"b,\\\x1b c) R 1 1 1 0 -1 0 ${ns} 0 0 0 0 0 0 0 20 0 1 0 0 4096 1\n`,
        '/proc/vmstat': 'odd"name{} 5\npgfault 5\n',
        '/sys/kernel/mm/ksm/sleep_millisecs': '20\n',
        '/proc/pressure/memory': 'some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\n',
        '/mmtop/machine': 'seed 7\n',
      })
    hostile = modelFrom([at(0), at(1e9)])
  })

  it('json: one line, a schema version, units in names, fixed keys, null for what is not known', () => {
    const text = asJson(
      Object.values(TABLES).map(make => make(model)),
      model,
    )
    expect(text.endsWith('}\n')).toBe(true)
    expect(text.trimEnd()).not.toContain('\n')
    const document = JSON.parse(text)
    expect(Object.keys(document)).toEqual(['schemaVersion', 'source', 'time_ns', 'interval_ns', 'tables', 'events'])
    expect(document.tables.vmstat.nr_free_pages).toBe(80045)
    expect(document.tables.vmstat.pswpout_pages).toBe(16384)
    expect(document.tables.vmstat.pswpout_pages_per_second).toBeTypeOf('number')
    expect(document.tables.meminfo.MemTotal_bytes).toBe(466136 * 1024)
    expect(document.tables.swaps[0]).toMatchObject({ name: '/dev/vda', size_bytes: 524284 * 1024 })
    expect(document.tables.processes[0]).toMatchObject({ pid: 87, name: 'A', activity: '' })
    expect(document.tables.zswap.zswap_pool_total_size_bytes).toBeGreaterThan(0)
    expect(document.tables.zones[0].managed_pages).toBe(3840)
    expect(
      asJson(
        Object.values(TABLES).map(make => make(model)),
        model,
      ),
    ).toBe(text)
  })

  it('json echoes what the machine is and escapes what it holds', () => {
    const document = JSON.parse(asJson([TABLES['processes'](hostile)], hostile))
    expect(document.source).toMatchObject({ kind: 'recording', title: 'test', seed: '7' })
    expect(document.tables.processes[0].name).toBe('a"b,\\? c')
  })

  it('csv: a heading, machine time first, quotes where they must be', () => {
    const table = TABLES['processes'](hostile)
    const [head, row] = asCsv(table, hostile, true).split('\r\n')
    expect(head).toMatch(/^time_ns,pid,name,state,rss_bytes,/)
    expect(row).toMatch(/^1000000000,7,"a""b,\\\? c",R,4096,,,/)
    expect(asCsv(table, hostile, false)).not.toContain('time_ns')
    const wide = asCsv(TABLES['vmstat'](numa), numa, true).split('\r\n')
    expect(wide[0].split(',').length).toBe(wide[1].split(',').length)
  })

  it('openmetrics: typed families, each once, unit and total where they belong, and an end', () => {
    for (const each of [model, numa, hostile]) {
      const text = asOpenMetrics(each)
      expect(text.endsWith('\n# EOF\n')).toBe(true)
      const lines = text.trimEnd().split('\n')
      const families = lines.filter(line => line.startsWith('# TYPE')).map(line => line.split(' ').slice(2, 4))
      expect(new Set(families.map(([name]) => name)).size).toBe(families.length)
      for (const [name, type] of families) {
        expect(name).toMatch(/^mmtop_[a-zA-Z0-9_]+$/)
        if (type === 'counter') expect(name).not.toMatch(/_total$/)
        const unit = lines.find(line => line.startsWith(`# UNIT ${name} `))?.split(' ')[3]
        if (unit !== undefined) expect(name.endsWith(`_${unit}`)).toBe(true)
        const suffix = type === 'counter' ? '_total' : type === 'info' ? '_info' : ''
        expect(lines.some(line => line.startsWith(`${name}${suffix} `) || line.startsWith(`${name}${suffix}{`))).toBe(true)
      }
      const samples = lines.filter(line => !line.startsWith('#')).map(line => line.slice(0, line.lastIndexOf(' ')))
      expect(new Set(samples).size).toBe(samples.length)
      for (const line of lines.filter(each => !each.startsWith('#')))
        expect(line).toMatch(/^[a-zA-Z0-9_]+(\{([a-z]+="(\\.|[^"\\\n])*",?)+\})? -?(\d[\d.e+-]*|\+Inf)$/)
    }
  })

  it("openmetrics: node_exporter's names after our own prefix", () => {
    const text = asOpenMetrics(numa)
    for (const name of [
      'mmtop_vmstat_pgfault ',
      'mmtop_memory_Active_anon_bytes ',
      'mmtop_memory_HugePages_Total ',
      'mmtop_memory_numa_MemFree{node="1"} ',
      'mmtop_memory_numa_numa_hit_total{node="0"} ',
      'mmtop_zoneinfo_low_pages{node="0",zone="DMA32"} ',
      'mmtop_zoneinfo_nr_free_pages{node="0",zone="DMA32"} ',
      'mmtop_buddyinfo_blocks{node="1",zone="DMA32",size="10"} ',
      'mmtop_ksmd_full_scans_total ',
      'mmtop_ksmd_sleep_seconds 0.02',
      'mmtop_knob_value{path="/proc/sys/vm/swappiness"} 60',
      'mmtop_knob_info{path="/sys/kernel/mm/transparent_hugepage/enabled",value="never"} 1',
    ])
      expect(text).toContain(`\n${name}`)
    expect(asOpenMetrics(hostile)).toContain('\nmmtop_pressure_memory_waiting_seconds_total 2.5\n')
  })

  it('text: the screens in full length, without blanks at the ends of lines', () => {
    for (const view of VIEWS) {
      const text = asText(view.panel, model, DEFAULT_UI, 100)
      expect(text).toMatch(/^mmtop zswap-lzo/)
      expect(text).not.toMatch(/ \n| more rows/)
    }
    expect(asText(VIEWS[1].panel, model, DEFAULT_UI, 100).split('\n').length).toBeGreaterThan(model.sample.vmstat().size)
  })

  it('knows a table for every view', () => {
    for (const view of VIEWS) for (const name of view.tables) expect(TABLES[name](numa).columns.length).toBeGreaterThan(0)
    expect(TABLES['slabs'](modelFrom([frameOf(0, {})])).rows).toEqual([])
  })
})
