/** Where the time of a simulated machine went, told by what was done and by who did it. */
import { describe, expect, it } from 'vitest'
import { COST_NAMES } from '../../src/kernel/base/cost.ts'
import type { Model } from '../../src/sample/model.ts'
import { takeFrame, watchSimulation } from '../../src/sim/frames.ts'
import { runToEnd, runUntil } from '../../src/sim/simulation.ts'
import { ACTIVITIES } from '../../src/view/fields/simulated.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { busyNs, costRows, lockRows } from '../../src/view/subjects/costs.ts'
import { VIEWS } from '../../src/view/views.ts'
import { parseWorkload } from '../../src/workload/parse.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

/** A merged pair of processes, one of which ends, and their machine half way and at the end. */
const WORKLOAD = `machine mem=256M cpus=2
cmdline transparent_hugepage=never
write /sys/kernel/mm/ksm/sleep_millisecs 2
write /sys/kernel/mm/ksm/run 1
spawn A
A mmap R 16M
A madvise R mergeable
A touch R write content=const:7
spawn B
B mmap R 16M
bg B touch R write repeat=8
sleep 250
join B
kill B
sleep 250
`

function modelAt(seconds: number | undefined): Model {
  const watched = watchSimulation(parseWorkload(WORKLOAD, 'test'), {})
  const first = takeFrame(watched)
  if (seconds === undefined) runToEnd(watched.sim, () => {})
  else runUntil(watched.sim, seconds * 1e9, () => {})
  return modelFrom([first, takeFrame(watched)])
}

const panelOf = (model: Model, width: number, height: number): string[] => {
  const view = VIEWS.find(({ name }) => name === 'costs')
  return view === undefined ? [] : plainLines(view.panel(model, DEFAULT_UI, { width, height }).rows)
}

describe('the account of costs', () => {
  it('has every kind of cost in one activity', () => {
    expect(ACTIVITIES.flatMap(({ kinds }) => kinds).sort()).toEqual([...COST_NAMES].sort())
  })

  it('adds up: what all have spent, with those who have ended, is what the machine has', () => {
    for (const at of [0.1, undefined]) {
      const model = modelAt(at)
      const total = busyNs(model.sample.costs())
      const sum = costRows(model).reduce((ns, row) => ns + row.busyNs, 0)
      expect(Math.abs(sum - total)).toBeLessThan(COST_NAMES.length * 20)
    }
  })

  it('has what KSM does on the account of its thread, and faults on that of who takes them', () => {
    const rows = costRows(modelAt(0.1))
    const of = (who: string, kind: string) => rows.find(row => row.who === who || row.name === who)?.spent.get(kind) ?? 0
    expect(of('ksmd', 'ksm_checksum')).toBeGreaterThan(1e5)
    expect(of('ksmd', 'fault_entry')).toBe(0)
    expect(of('A', 'fault_entry')).toBeGreaterThan(4096 * 100)
    expect(of('A', 'ksm_checksum')).toBe(0)
    expect(of('B', 'access')).toBeGreaterThan(of('A', 'access'))
  })

  it('keeps the time of processes that have ended', () => {
    const ended = costRows(modelAt(undefined)).filter(({ name }) => name === 'B')
    expect(ended.map(({ who }) => who)).toEqual(['B(ended)'])
    expect(ended[0].spent.get('access')).toBeGreaterThan(1e5)
  })
})

describe('the costs panel', () => {
  it('says what most time goes to, and lists who spent it', () => {
    const lines = panelOf(modelAt(undefined), 120, 40).join('\n')
    expect(lines).toMatch(/CPUs at work: ksm \d+%/)
    expect(lines).toMatch(/ksmd +kernel +[\d.]+%/)
    expect(lines).toMatch(/faults .* fault entry and table entry/)
  })

  it('fits a small screen, and says what it leaves out', () => {
    const lines = panelOf(modelAt(0.1), 78, 17)
    expect(lines).toHaveLength(17)
    expect(lines.join('\n')).toMatch(/… \d+ more rows| \+\d+$/m)
    expect(lines.join('\n')).toMatch(/time by what was done/)
  })

  it('says that only a simulated machine has such an account', () => {
    expect(panelOf(modelFrom([frameOf(1e9, {})]), 80, 20).join('\n')).toMatch(/only a simulated machine/i)
  })

  it('lists the locks of zones with their waits', () => {
    const rows = lockRows(modelAt(0.1))
    expect(rows.map(({ lock }) => lock)).toContain('zone N0.DMA32')
    expect(rows.find(({ lock }) => lock === 'zone N0.DMA32')?.taken).toBeGreaterThan(100)
  })
})
