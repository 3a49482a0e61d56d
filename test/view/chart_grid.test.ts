import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chartsOfMany } from '../../src/view/chart.ts'
import { chartGrid, chartRoom } from '../../src/view/chart_grid.ts'
import { rowWidth } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

const line = (name: string, key = name) => ({ name, keys: [key] })
const counters = (i: number) => ({ '/proc/vmstat': `pgfault ${i * 10}\npswpin ${i}\npswpout ${i * 2}\n` })
const model = modelFrom(Array.from({ length: 5 }, (_, i) => frameOf(i * 1e9, counters(i))))
const CHARTS = ['pgfault', 'pswpin', 'pswpout', 'nothing here', 'pgfault', 'pswpin'].map(key => ({ title: key, lines: [line(key)] }))

describe('charts that share a room', () => {
  it('fill it without overlap, each large enough, without those that the machine does not have', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 120 }), (width, height) => {
        const [grid] = chartGrid(model, DEFAULT_UI, CHARTS, width, height)
        if (grid === undefined) {
          expect(height).toBeLessThan(6)
          return
        }
        expect([grid.rows.length, ...new Set(grid.rows.map(rowWidth))]).toEqual([height, width])
        const taken = new Uint8Array(width * height)
        for (const chart of grid.charts) {
          expect(chart.spec.title).not.toBe('nothing here')
          expect(chart.height >= 6 && (chart.width >= 48 || chart.width === width)).toBe(true)
          for (let y = chart.top; y < chart.top + chart.height; y++)
            for (let x = chart.left; x < chart.left + chart.width; x++) taken[y * width + x]++
        }
        expect(Math.max(...taken)).toBe(1)
        // Every row has a chart: only the gaps between columns are empty.
        for (let y = 0; y < height; y++) expect(taken.subarray(y * width, (y + 1) * width).some(times => times > 0)).toBe(true)
      }),
    )
  })

  it('below a list have what it leaves, a share of a high screen, and stay when it grows by a row', () => {
    expect([chartRoom(20, 5), chartRoom(20, 8), chartRoom(20, 18), chartRoom(40, 500)]).toEqual([12, 12, 0, 10])
    expect(new Set([9, 10, 11, 12].map(rows => chartRoom(60, rows))).size).toBe(1)
  })
})

describe('a chart of more lines than can be told apart', () => {
  const nodes = Array.from({ length: 8 }, (_, node) => node)
  const files = (i: number) =>
    Object.fromEntries(
      nodes.map(node => [
        `/sys/devices/system/node/node${node}/meminfo`,
        `Node ${node} MemTotal: 1000 kB\nNode ${node} MemFree: ${500 + (node >= 3 ? i * node : 0)} kB\n`,
      ]),
    )
  const machine = modelFrom(Array.from({ length: 4 }, (_, i) => frameOf(i * 1e9, files(i))))

  it('shows those that move most and the one that was selected, says so, and the others where there is room', () => {
    const chart = { title: 'free', lines: nodes.map(node => line(`N${node}`, `N${node}.MemFree`)) }
    const [most, ...groups] = chartsOfMany(machine, 60, chart, 'nodes')
    expect(most.title).toBe('free: those of 8 nodes that move most')
    expect(most.lines.map(({ name }) => name)).toEqual(['N3', 'N4', 'N5', 'N6', 'N7'])
    expect(groups.map(({ title, lines }) => [title, lines.length])).toEqual([
      ['free: N0 to N4', 5],
      ['free: N5 to N7', 3],
    ])
    const [chosen] = chartsOfMany(machine, 60, chart, 'nodes', 'N0')
    expect(chosen.title).toBe('free: N0 and those of 8 nodes that move most')
    expect(chosen.lines.map(({ name }) => name)).toEqual(['N0', 'N4', 'N5', 'N6', 'N7'])
    expect(chartsOfMany(machine, 60, { ...chart, lines: chart.lines.slice(0, 5) }, 'nodes')).toHaveLength(1)
  })

  it('is on the panel of nodes, where a node is selected and opened', () => {
    const view = VIEWS.find(({ name }) => name === 'nodes')
    const show = (ui: object, height = 60) => view?.panel(machine, { ...DEFAULT_UI, ...ui }, { width: 200, height })
    const titles = (ui: object, height?: number) => show(ui, height)?.charts.map(({ spec }) => spec.title) ?? []
    expect(titles({})[0]).toBe('free memory: those of 8 nodes that move most')
    expect(titles({ selected: 1 })[0]).toBe('free memory: N1 and those of 8 nodes that move most')
    expect(titles({}, 110)).toContain('free memory: N5 to N7')
    expect(show({ open: 'N2' })?.list?.ids).toContain('N2.MemFree')
  })
})
