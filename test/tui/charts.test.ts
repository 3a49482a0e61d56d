import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newCharts } from '../../src/tui/charts.ts'
import { type ChartSpec, plain, type Row } from '../../src/view/panel.ts'
import { displayWidth } from '../../src/view/width.ts'

const charts = newCharts({ ascii: false, colours: true, braille: true })

const spec = (values: readonly (readonly number[])[], more: Partial<ChartSpec> = {}): ChartSpec => ({
  kind: 'line',
  title: 'faults',
  unit: 'count',
  axis: 'per second',
  series: values.map((each, i) => ({ name: `line${i}`, style: i === 0 ? 'series1' : 'series2', values: each })),
  labels: (values[0] ?? []).map((_, i) => String(i * 1e9)),
  span: 60,
  max: 100,
  markers: [],
  ...more,
})

const lines = (rows: readonly Row[]) => rows.map(plain)
const dots = (row: Row) =>
  row
    .filter(({ style }) => style.startsWith('series'))
    .flatMap(({ text }) => [...text])
    .filter(each => each > '\u2800')

describe('line charts', () => {
  it('have a title, figures, a scale and ages, and fill their rectangle', () => {
    const rows = charts(spec([Array.from({ length: 60 }, (_, i) => i), Array.from({ length: 60 }, (_, i) => 100 - i)]), 70, 14)
    const text = lines(rows)
    expect(rows.length).toBe(14)
    for (const line of text) expect(displayWidth(line)).toBe(70)
    expect(text[0]).toMatch(/^faults, per second +━ line0 59 +━ line1 41$/)
    expect(text[1]).toMatch(/^ {2}100 /)
    expect(text.join('\n')).toMatch(/^ {4}0 /m)
    expect(text.at(-1)).toMatch(/-59s .*now$/)
  })

  it('have a scale in equal steps, as its marks are written', () => {
    for (const max of [1, 2, 5, 10, 20, 50, 100, 200, 500])
      for (const [unit, height] of [
        ['count', 14],
        ['percent', 14],
        ['count', 8],
      ] as const) {
        const rows = lines(charts(spec([[0, max]], { max, unit }), 70, height))
        const marks = rows.slice(1, -2).flatMap(row => {
          const text = row.slice(0, 6).trim()
          return text === '' ? [] : [Number.parseFloat(text)]
        })
        expect(marks[0]).toBe(max)
        marks.forEach((mark, i) => {
          expect(mark).toBeCloseTo(max * (1 - i / (marks.length - 1)), 9)
        })
      }
  })

  it('look as they do on a screen of their own, whatever was drawn before', () => {
    const specs = [
      spec([[1, 2, 3]]),
      spec([[1, 2, 3]], { labels: ['0', '5000000000', '9000000000'] }),
      spec([[1, 2, Number.NaN]]),
      spec([[1, 2, Number.NaN]], { max: 10 }),
      spec([[1, 2, Number.NaN]], { max: 10, markers: [{ index: 1, text: 'knob' }] }),
      spec([[1, 2, Number.NaN]], { max: 10, markers: [{ index: 2, text: 'knob' }] }),
      spec([[0, 0, 0]], { unit: 'bytes' }),
      spec([[0, 0, 0]], { unit: 'count' }),
    ]
    for (const height of [7, 14])
      for (const each of [...specs, ...specs.toReversed()])
        for (const _ of [1, 2])
          expect(charts(each, 60, height)).toEqual(newCharts({ ascii: false, colours: true, braille: true })(each, 60, height))
  })

  it('show values at the top, at the bottom and the newest, where other charts lose them', () => {
    const flat = (value: number) => charts(spec([Array.from({ length: 60 }, () => value), [value]]), 70, 14)
    expect(dots(flat(100)[1]).length).toBeGreaterThan(40)
    expect(
      flat(0)
        .slice(1)
        .some(row => dots(row).length > 40),
    ).toBe(true)
    for (const width of [30, 47, 70, 133]) {
      const peak = charts(spec([[...Array.from({ length: 59 }, () => 0), 100], [0]]), width, 14)
      expect(dots(peak[1]).length).toBeGreaterThan(0)
    }
  })

  it('leave gaps, keep single points, and put the newest at the right', () => {
    const rows = charts(spec([[50, Number.NaN, 50], [0]]), 70, 14)
    expect(rows.reduce((sum, row) => sum + dots(row).length, 0)).toBe(3)
    for (const line of lines(rows.slice(1, -2))) expect(line.slice(7, 60).trim()).toBe('')
  })

  it('fill the area below a single line', () => {
    const rows = charts(spec([Array.from({ length: 60 }, () => 100)]), 70, 14)
    const full = rows.slice(1, 9).map(row => dots(row).filter(dot => dot === '⣿').length)
    expect(Math.min(...full)).toBeGreaterThan(50)
  })

  it('mark where a knob was turned', () => {
    const values = Array.from({ length: 60 }, () => 1)
    const marked = charts(spec([values, [0]], { markers: [{ index: 30, text: 'thp/enabled' }] }), 70, 14)
    expect(marked.flat().filter(({ style }) => style === 'knob').length).toBeGreaterThan(4)
  })

  it('never hang or overflow, whatever the figures', () => {
    const hostile = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1e300, 1e300, -0))
    fc.assert(
      fc.property(
        fc.array(fc.array(hostile, { maxLength: 80 }), { minLength: 0, maxLength: 3 }),
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 1800 }),
        (values, width, height, span) => {
          const rows = charts(spec(values, { span, markers: [{ index: 5, text: 'x' }] }), width, height)
          expect(rows.length).toBe(height)
          for (const row of rows) expect(displayWidth(plain(row))).toBe(width)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('are blocks or ASCII where colours, braille or room are missing', () => {
    const values = [
      [1, 2, 3],
      [3, 2, 1],
    ]
    const has = (rows: readonly Row[], pattern: RegExp) => pattern.test(lines(rows).join('\n'))
    expect(has(charts(spec(values), 70, 14), /[\u2801-\u28ff]/)).toBe(true)
    expect(has(charts(spec(values), 70, 4), /[\u2801-\u28ff]/)).toBe(false)
    expect(has(newCharts({ ascii: false, colours: false, braille: true })(spec(values), 70, 14), /[\u2801-\u28ff]/)).toBe(false)
    expect(has(newCharts({ ascii: false, colours: true, braille: false })(spec(values), 70, 14), /[\u2801-\u28ff]/)).toBe(false)
    expect(has(newCharts({ ascii: true, colours: true, braille: true })(spec(values), 70, 14), /[^\n\x20-\x7e]/)).toBe(false)
  })
})
