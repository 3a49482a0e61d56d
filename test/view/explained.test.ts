/** No figure on any panel is without an explanation. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Model } from '../../src/sample/model.ts'
import { takeFrame, watchSimulation } from '../../src/sim/frames.ts'
import { runUntil } from '../../src/sim/simulation.ts'
import { drawPanel } from '../../src/view/chart_text.ts'
import { explain } from '../../src/view/explain.ts'
import { DEFAULT_UI, type Panel, plain, type Row } from '../../src/view/panel.ts'
import { header } from '../../src/view/panels/header.ts'
import { VIEWS } from '../../src/view/views.ts'
import { parseWorkload } from '../../src/workload/parse.ts'
import { modelFrom, modelOf } from './models.ts'

const SIZE = { width: 200, height: 60 }
/** Styles of words, names, scales and headings. */
const WORDS = ['text', 'dim', 'title', 'frame', 'head', 'label', 'series1', 'series2', 'series3', 'series4', 'series5', 'series6']

/** A simulated machine that watches ages of pages, merges, and moves a process. */
function migrating(): Model {
  const watched = watchSimulation(parseWorkload(WORKLOAD, 'test'), {})
  const first = takeFrame(watched)
  runUntil(watched.sim, 1030e6, () => {})
  return { ...modelFrom([first, takeFrame(watched)], { title: 'test', tunables: watched.tunables }), kind: 'simulation' }
}

const WORKLOAD = `machine mem=128M,128M cpus=2,2 nodes=2
cmdline transparent_hugepage=never
write /mmtop/working_set 100
write /sys/kernel/mm/ksm/run 1
spawn from cpu=1
from mmap R 8M
from touch R write content=page
spawn onto cpu=2
onto mmap R 8M
bg from touch R write pattern=random count=100000 rate=20M/s
sleep 50
postcopy from onto R bandwidth=16M/s latency=5ms rounds=2
bg onto touch R read pattern=random count=3000 rate=1M/s
postcopy_join onto
`

/** What stands there with a digit in it and cannot be explained. */
function unexplained(rows: readonly Row[], model: Model): string[] {
  return rows.flatMap(row =>
    row.flatMap(({ text, style, about }) => {
      if (!/\d/.test(text) || WORDS.includes(style)) return []
      if (about === undefined) return [`"${text.trim()}" says nothing of itself: ${plain(row).trim().slice(0, 60)}`]
      return explain(about, model) === undefined ? [`"${about}" is not explained`] : []
    }),
  )
}

describe('every figure', () => {
  const models = new Map<string, Model>()
  beforeAll(async () => {
    models.set('simulation', migrating())
    for (const name of ['numa-policies', 'cgroup-memory-max', 'zswap-lzo', 'hugetlb-mempolicy']) models.set(name, await modelOf(name, 2))
  })

  it('says what it is, in every panel and in what its rows are opened to', () => {
    for (const [source, model] of models)
      for (const { name, panel } of VIEWS) {
        const show = (open: string): Panel => panel(model, { ...DEFAULT_UI, open }, SIZE)
        const ids = show('').list?.ids ?? []
        for (const open of ['', ...ids.slice(0, 3)])
          expect([source, name, open, unexplained(drawPanel(show(open), false), model)]).toEqual([source, name, open, []])
      }
  })

  it('says what it is in the header', () => {
    for (const [source, model] of models) {
      const rows = header(model, DEFAULT_UI, { width: 200, height: 3 }).rows.map(row =>
        row.filter(({ text }) => text !== model.title && !/^\d\d:\d\d:\d\d \w+ /.test(text)),
      )
      expect([source, unexplained(rows, model)]).toEqual([source, []])
    }
  })
})
