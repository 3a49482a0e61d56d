/** No figure on any panel is without an explanation. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Model } from '../../src/sample/model.ts'
import { drawPanel } from '../../src/view/chart_text.ts'
import { explain } from '../../src/view/explain.ts'
import { DEFAULT_UI, type Panel, plain, type Row } from '../../src/view/panel.ts'
import { header } from '../../src/view/panels/header.ts'
import { VIEWS } from '../../src/view/views.ts'
import { migratingModel, modelOf } from './models.ts'

const SIZE = { width: 200, height: 60 }
/** Styles of words, names, scales and headings. */
const WORDS = ['text', 'dim', 'title', 'frame', 'head', 'label', 'series1', 'series2', 'series3', 'series4', 'series5', 'series6']

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
    models.set('simulation', migratingModel())
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
