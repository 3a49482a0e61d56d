import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/user_error.ts'
import { barChart, lineChart, niceMax } from '../../src/view/chart.ts'
import { chartRows, resample } from '../../src/view/chart_text.ts'
import { judge, parseExpectation } from '../../src/view/expectations.ts'
import { parseFilter } from '../../src/view/filter.ts'
import { formatBytes, formatClock, formatCount, formatDuration, formatExact, formatPercent, formatValue } from '../../src/view/format.ts'
import { segmentBar, sparkText } from '../../src/view/glyphs.ts'
import { rowWidth } from '../../src/view/layout.ts'
import { plain } from '../../src/view/panel.ts'
import { crop, displayWidth, fitText, wrap } from '../../src/view/width.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

describe('values as text', () => {
  it('have at most five characters, whatever their size', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e18, noNaN: true }), value => {
        expect(formatBytes(value).length).toBeLessThanOrEqual(5)
        expect(formatCount(value).length).toBeLessThanOrEqual(5)
        expect(formatPercent(value % 1000).length).toBeLessThanOrEqual(5)
      }),
    )
    fc.assert(fc.property(fc.double({ min: 0, max: 3.59e14, noNaN: true }), ns => formatDuration(ns).length <= 6))
  })

  it('are what one expects to read', () => {
    expect([0, 512, 1023, 1024, 2048, 10 * 2 ** 20, 1.84 * 2 ** 30, 1000 * 2 ** 30, 2 ** 50].map(formatBytes)).toEqual([
      '0',
      '512B',
      '1.00K',
      '1.00K',
      '2.00K',
      '10.0M',
      '1.84G',
      '0.98T',
      '1.00P',
    ])
    expect([0, 7, 0.25, 9.96, 212, 999, 1000, 182300, 1.84e6].map(formatCount)).toEqual([
      '0',
      '7',
      '0.3',
      '10',
      '212',
      '999',
      '1.00k',
      '182k',
      '1.84M',
    ])
    expect([0, 1.25, 9.96, 83.4, 100].map(formatPercent)).toEqual(['0%', '1.3%', '10%', '83%', '100%'])
    expect([380, 1234, 45e6, 3.14e9, 130e9, 3725e9].map(formatDuration)).toEqual(['380ns', '1.2us', '45ms', '3.1s', '2m10s', '1h02m'])
    expect(formatClock(192_480_999_999)).toBe('00:03:12.480')
    expect(formatExact(-1234567)).toBe('-1 234 567')
    expect([
      formatValue(2, 'pages'),
      formatValue(undefined, 'bytes'),
      formatValue(Number.NaN, 'count'),
      formatValue(Number.POSITIVE_INFINITY, 'bytes'),
    ]).toEqual(['8.00K', '-', '-', 'max'])
  })

  it('fit columns by what a terminal shows, and say when they were cut', () => {
    expect([displayWidth('abc'), displayWidth('日本'), displayWidth('é'), displayWidth('é'), displayWidth('▇⣿')]).toEqual([3, 4, 1, 1, 2])
    expect(crop('日本語', 4)).toBe('日…')
    expect(fitText('日本語', 4)).toBe('日… ')
    expect(fitText('7', 4, 'right')).toBe('   7')
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.nat(30), (text, width) => displayWidth(fitText(text, width)) === width))
    expect(wrap('a bb ccc dddd', 6)).toEqual(['a bb', 'ccc', 'dddd'])
  })
})

describe('bars, sparklines and charts', () => {
  it('show anything above nothing', () => {
    expect(sparkText([0, 0.001, 5, 10, Number.NaN], 10, false)).toBe('▁▂▅█ ')
    expect(sparkText([0, 0.001, 5, 10, Number.NaN], 10, true)).toBe('.:+@ ')
    const bar = segmentBar([{ value: 1 }, { value: 500 }, { value: 0 }], 1000, 20, false)
    expect(plain(bar)).toBe('█▓▓▓▓▓▓▓▓▓▓·········')
  })

  it('never exceed their width, however the parts add up', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e15, noNaN: true }), { maxLength: 8 }),
        fc.double({ min: 0, max: 1e15, noNaN: true }),
        fc.nat(80),
        (values, total, width) => {
          expect(
            rowWidth(
              segmentBar(
                values.map(value => ({ value })),
                total,
                width,
                false,
              ),
            ),
          ).toBe(width)
        },
      ),
    )
  })

  it('have round tops', () => {
    expect([0, 1, 3, 182300, 1e6].map(value => niceMax(value, 'count'))).toEqual([1, 1, 5, 200000, 1e6])
    expect([3 * 2 ** 20, 2 ** 30].map(value => niceMax(value, 'bytes'))).toEqual([4 * 2 ** 20, 2 ** 30])
    expect([0, 3, 83].map(value => niceMax(value, 'percent'))).toEqual([100, 5, 100])
  })

  it('are drawn in exactly their place, with a scale, times, and a mark where a knob was turned', () => {
    const frames = Array.from({ length: 12 }, (_, i) =>
      frameOf(i * 1e9, { '/proc/vmstat': `pgfault ${i * i * 100}\n`, '/mmtop/events': i === 8 ? '7500000000 knob swappiness 10\n' : '' }),
    )
    const spec = lineChart(modelFrom(frames), 'page faults', [{ name: 'all', keys: ['pgfault'] }], 60)
    expect(spec).toMatchObject({ kind: 'line', unit: 'count', max: 5000, markers: [{ index: 7, text: 'swappiness 10' }] })
    expect(lineChart(modelFrom(frames), 'later', [{ name: 'all', keys: ['pgfault'] }], 3).markers).toEqual([])
    expect(spec.series[0].values).toEqual(
      [100, 300, 500, 700, 900, 1100, 1300, 1500, 1700, 1900, 2100].slice(0, spec.series[0].values.length),
    )
    const rows = chartRows(spec, 40, 5, false)
    expect(rows.map(rowWidth)).toEqual([40, 40, 40, 40, 40])
    expect(plain(rows[0])).toBe('page faults, per second        max 5.00k')
    expect(plain(rows[4])).toBe('00:00:01                            ▴   ')
    expect(plain(chartRows(spec, 40, 5, true)[3])).toMatch(/^[ -~]*$/)
  })

  it('draw bars by name', () => {
    const bars = chartRows(
      barChart('by node', 'bytes', [
        { name: 'N0', value: 2 ** 30, about: 'a' },
        { name: 'N1', value: 2 ** 29, about: 'b' },
      ]),
      24,
      3,
      true,
    )
    expect(bars.map(plain)).toEqual(
      ['by node                 ', 'N0 ############### 1.00G', 'N1 ########....... 512M'.padEnd(18) + ' '].map((line, i) =>
        i === 2 ? 'N1 ########.......  512M' : line,
      ),
    )
  })

  it('draw more bars than there are rows in columns, and say what has no room', () => {
    const bars = ['a', 'b', 'c', 'd', 'e'].map((name, i) => ({ name, value: i + 1, about: name }))
    const drawn = (width: number, height: number) => chartRows(barChart('five', 'count', bars), width, height, true).map(plain)
    const wide = drawn(60, 4)
    expect(wide.map(row => row.length)).toEqual([60, 60, 60, 60])
    expect(wide[1]).toMatch(/^a .* 1 {2}d .* 4$/)
    expect(wide[3]).toMatch(/^c .* 3 +$/)
    expect(drawn(20, 4).slice(1)).toEqual([expect.stringMatching(/^a /), expect.stringMatching(/^b /), '... 3 more          '])
    expect(drawn(20, 1)).toHaveLength(1)
  })

  it('keep the mean when they are squeezed', () => {
    expect(resample([1, 3, 5, 7], 2)).toEqual([2, 6])
    expect(resample([1], 3)).toEqual([Number.NaN, Number.NaN, 1])
    expect(resample([1, 2], 0)).toEqual([])
  })
})

describe('filters', () => {
  it('never throw and never keep anyone waiting, whatever is typed', () => {
    const piece = fc.constantFrom(...'()[]{}|*+?\\/!&><=^$.,09aZ '.split(''), '(a+)+', '.*', '(.|a)*', '{1,99}', 'rate > 1', '\\1', '(?=')
    const row = { texts: ['a'.repeat(5000), 'what it counts, in words of some length: aaaaaaaaaaaaaaaa'], value: () => 1 }
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 25 }).map(pieces => `/${pieces.join('')}`),
        ),
        text => {
          const began = performance.now()
          const { test, problem } = parseFilter(text, ['rate'])
          expect([typeof test(row), typeof problem]).toEqual(['boolean', 'string'])
          expect(performance.now() - began).toBeLessThan(5000)
        },
      ),
      { numRuns: 2000 },
    )
    for (const costly of ['/(a+)+b', '/(a?a?){20}b', `/${'a?'.repeat(30)}b`])
      expect(parseFilter(costly, []).problem).toMatch(/take too long/)
    for (const fine of [
      '/^(?:pgscan|pgsteal)_.*?t$',
      '/colou?r(s?)',
      '/^pgscan_.*t$',
      '/^(thp|compact)_.*fail',
      '/a{2,3}b',
      '/[*+]+',
      '/x(y|z)?',
    ])
      expect(parseFilter(fine, []).problem).toBe('')
  })

  const row = { texts: ['thp_fault_alloc', 'thp'], value: (key: string) => (key === 'rate' ? 2048 : undefined) }
  const holds = (text: string) => parseFilter(text, ['rate', 'value']).test(row)
  it('understand text, its absence, patterns, comparisons, and all of them together', () => {
    expect(['', 'FAULT', 'thp & alloc', '/^thp_.*c$/', 'rate > 1K', 'rate<=2K', 'rate != 1', '!swap & rate = 2048'].map(holds)).toEqual(
      Array(8).fill(true),
    )
    expect(['swap', '!thp', '/^fault/', 'rate > 2K', 'value > 0', 'thp & swap'].map(holds)).toEqual(Array(6).fill(false))
  })
  it('let everything through and say so when they make no sense', () => {
    expect(parseFilter('rat > 1', ['rate', 'value'])).toMatchObject({ problem: 'no column "rat", did you mean "rate"?' })
    expect(parseFilter('/[/', []).problem).toBe('not a regular expression')
    expect(parseFilter('/[/', []).test(row)).toBe(true)
  })
})

describe('expectations', () => {
  const at = (ns: number, faults: number) =>
    frameOf(ns, {
      '/proc/vmstat': `pgfault ${faults}\nnr_free_pages 10\n`,
      '/proc/meminfo': 'MemFree:  2048 kB\n',
      '/sys/kernel/mm/ksm/run': '1\n',
      '/proc/9/status': 'Name:\tx\nVmRSS:\t  12 kB\n',
    })
  const model = modelFrom([at(0, 100), at(1e9, 150)])
  const verdict = (text: string) => judge(parseExpectation(text), model)
  const complaint = (text: string) => {
    try {
      verdict(text)
    } catch (error) {
      return error instanceof UserError ? error.oneLine : String(error)
    }
    return ''
  }

  it('hold or do not, and say what is instead', () => {
    expect(
      [
        'pgfault >= 150',
        'pgfault>149',
        'pgfault eq 150',
        'pgfault != 3',
        'MemFree == 2M',
        'pgfault >= +50',
        'nr_free_pages < 1K',
        'nr_free_pages <= +0',
      ].map(text => verdict(text).holds),
    ).toEqual(Array(8).fill(true))
    expect(verdict('pgfault > 150')).toEqual({ holds: false, found: 'pgfault is 150' })
    expect(verdict('pgfault >= +51')).toEqual({ holds: false, found: 'pgfault grew by 50' })
  })

  it('read files by path, as they print their numbers', () => {
    expect(
      [
        '/proc/vmstat:pgfault == 150',
        '/proc/vmstat:pgfault ge +50',
        '/proc/meminfo:MemFree == 2048',
        '/sys/kernel/mm/ksm/run == 1',
        '/proc/9/status:VmRSS == 12',
      ].map(text => verdict(text).holds),
    ).toEqual(Array(5).fill(true))
  })

  it('name the nearest word when they cannot be understood', () => {
    expect(complaint('pgfalt > 1')).toBe('this machine has no figure "pgfalt", did you mean "pgfault"?')
    expect(complaint('/proc/vmstt:pgfault > 1')).toBe('this machine has no file "/proc/vmstt", did you mean "/proc/vmstat"?')
    expect(complaint('/proc/vmstat > 1')).toBe('/proc/vmstat holds more than one number: write /proc/vmstat:KEY')
    expect(complaint('/proc/vmstat:nope > 1')).toBe('/proc/vmstat has no number after "nope"')
    expect(complaint('pgfault')).toMatch(/is no expectation: write NAME OP VALUE/)
    expect(complaint('pgfault > many')).toMatch(/"many" in .* is no number/)
  })
})
