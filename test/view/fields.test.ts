import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseKeyValues } from '../../src/sample/parse/keyvalue.ts'
import { toSample } from '../../src/sample/sample.ts'
import { scalarsOf } from '../../src/sample/scalars.ts'
import { fieldOf, SCALARS } from '../../src/view/fields.ts'
import { fixturePath, lastFrame, newerText } from '../fixtures/load.ts'

describe('the table of fields', () => {
  it('describes every figure that the recorded kernel has, in any recording', async () => {
    const directory = new URL('.', `file://${fixturePath('x')}`).pathname
    const names = readdirSync(directory).map(file => file.replace(/\.ndjson\.gz$/, ''))
    expect(names.length).toBeGreaterThan(40)
    const unknown = new Set<string>()
    for (const name of names)
      for (const key of scalarsOf(toSample(await lastFrame(name))).keys())
        if (fieldOf(key).help.startsWith('Not described')) unknown.add(key)
    expect([...unknown]).toEqual([])
  })

  it('says where each figure comes from', () => {
    for (const field of SCALARS.values()) {
      expect(field.source).toMatch(/^\/(proc|sys|mmtop)\//)
      // What only a simulated machine has no kernel makes.
      if (!/^\/mmtop\/(costs|postcopy)/.test(field.source)) expect(field.kernel).toMatch(/^[a-z0-9/_.-]+\.[ch] \w+$/)
      expect(field.help).toMatch(/^[A-Z0-9t].{8,90}[^.]$/)
    }
    // A pool's files stand at a level, whatever their names look like.
    for (const key of [
      'hugetlb_2048kB_free_hugepages',
      'N1.hugetlb_2048kB_resv_hugepages',
      'N0.DMA32.free',
      'N0.MemFree',
      'N0.DMA32.nr_mlock',
    ])
      expect([key, fieldOf(key).kind]).toEqual([key, 'gauge'])
    expect(fieldOf('N0.numa_hit').kind).toBe('counter')
    expect(fieldOf('pgfault').source).toBe('/proc/vmstat pgfault')
    expect(fieldOf('psi_some_avg10').source).toBe('/proc/pressure/memory some avg10')
    expect(fieldOf('khugepaged_full_scans').source).toBe('/sys/kernel/mm/transparent_hugepage/khugepaged/full_scans')
    expect(fieldOf('N1.MemFree').source).toBe('/sys/devices/system/node/node1/meminfo MemFree')
    expect(fieldOf('N1.numa_hit').source).toBe('/sys/devices/system/node/node1/vmstat numa_hit')
    expect(fieldOf('N0.interleave_hit').source).toBe('/sys/devices/system/node/node0/numastat interleave_hit')
    expect(fieldOf('N0.DMA32.low')).toMatchObject({ source: '/proc/zoneinfo Node 0, zone DMA32: low', unit: 'pages', kind: 'gauge' })
    expect(fieldOf('N0.DMA32.order9').help).toBe('Free blocks of 512 pages (2048 KiB)')
    expect(fieldOf('N0.hugetlb_2048kB_free_hugepages').source).toBe(
      '/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages',
    )
  })

  it('answers for counters of kernels that it has never seen', () => {
    for (const key of parseKeyValues(newerText('vmstat')).keys()) expect(fieldOf(key).source).toBe(`/proc/vmstat ${key}`)
    expect(fieldOf('pgdemote_by_nobody')).toMatchObject({ kind: 'counter', group: 'other' })
    expect(fieldOf('nr_of_another_kernel')).toMatchObject({ kind: 'gauge', unit: 'pages' })
    expect(fieldOf('swpout_zero')).toMatchObject({ kind: 'counter', group: 'swap', unit: 'pages' })
    expect(fieldOf('mthp_64kB_swpin')).toMatchObject({
      kind: 'counter',
      source: '/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/swpin',
    })
    expect(fieldOf('SomeFutureLine')).toMatchObject({ unit: 'bytes', source: '/proc/meminfo SomeFutureLine' })
  })
})
