import { describe, expect, it } from 'vitest'
import { parseSlabinfo } from '../../src/sample/parse/slabinfo.ts'
import { scaleTop, shapesOf, svgOf } from '../../src/view/plot.ts'
import { slabReport } from '../../src/view/slab_report.ts'

const SLABS = parseSlabinfo(`slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>
dentry             20     42    192   21    1 : tunables    0    0    0 : slabdata      2      2      0
inode_cache        12     12    640   12    2 : tunables    0    0    0 : slabdata      1      1      0
dquot               0      0    256   16    1 : tunables    0    0    0 : slabdata      0      0      0
`)

describe('the extended slab report', () => {
  const lines = slabReport(SLABS, { rows: 1, scaled: false })

  it('says in bytes what all caches take and lose, where readers of slabinfo -X look for it', () => {
    const words = lines.find(line => line.startsWith('Memory used'))?.split(/\s+/)
    expect([words?.[2], words?.[6]]).toEqual(['16384', String(16384 - 20 * 192 - 12 * 640)])
  })

  it('lists the largest cache, and the one that loses most', () => {
    const below = (title: string) => lines[lines.indexOf(title) + 3]
    expect(below('Slabs sorted by size')).toMatch(/^dentry +20 +192 +8192 +2\/-\/- +21 0 /)
    expect(below('Slabs sorted by loss')).toMatch(/^dentry +20 +192 +4352 /)
  })

  it('scales sizes if asked to, and says so when there is nothing', () => {
    expect(slabReport(SLABS, { rows: 1, scaled: true }).join('\n')).toContain('16.0K')
    expect(slabReport([], { rows: 1, scaled: false })).toEqual(['No objects'])
  })
})

describe('a plot', () => {
  const plot = {
    title: 'Slabs <by> size',
    style: 'boxes' as const,
    series: [{ name: 'SIZE', values: [4096, Number.NaN, 8192] }],
    first: 40,
    names: ['a&b', 'c', 'd'],
    width: 600,
    height: 400,
  }

  it('has a box for each sample that has a value, within the picture', () => {
    const boxes = shapesOf(plot).flatMap(shape => (shape.kind === 'box' ? [shape] : []))
    expect(boxes).toHaveLength(2)
    for (const { x, y, width, height } of boxes) {
      expect(Math.min(x, y, width, height)).toBeGreaterThan(0)
      expect(x + width).toBeLessThan(600)
      expect(y + height).toBeLessThan(400)
    }
    expect(boxes[1].height).toBeCloseTo(2 * boxes[0].height)
  })

  it('is an SVG in which no name can be more than a name', () => {
    const svg = svgOf(plot)
    expect(svg).toContain('Slabs &#60;by&#62; size')
    expect(svg).toContain('a&#38;b')
    expect(svg).toContain('>40<')
  })

  it('has a scale in powers of two', () => {
    expect([scaleTop(0), scaleTop(5), scaleTop(4097), scaleTop(6 * 2 ** 20)]).toEqual([5, 5, 5120, 7.5 * 2 ** 20])
  })
})
