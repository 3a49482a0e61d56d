import { inflateSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { pngOf } from '../../src/cli/png.ts'

it('a plot as PNG has the size asked for, a palette, and a row of dots for each of its rows', () => {
  const series = [{ name: 'SIZE', values: [1, 2, 3] }]
  const png = pngOf({ title: 'Totals', style: 'lines', series, first: 0, names: [], width: 300, height: 200 })
  expect(png.subarray(1, 4).toString('latin1')).toBe('PNG')
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([300, 200])
  const at = png.indexOf('IDAT')
  const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
  expect(rows.length).toBe(301 * 200)
  expect(new Set(rows).size).toBeGreaterThan(3)
  expect(png.subarray(-8, -4).toString('latin1')).toBe('IEND')
  expect(png.readUInt32BE(png.length - 4)).toBe(0xae426082)
})
