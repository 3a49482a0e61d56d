/** Several panels on one screen: as text, as cells, under the keys. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { configText, DEFAULT_CONFIG, parseConfig } from '../../src/tui/config.ts'
import { rowWidth } from '../../src/view/layout.ts'
import { cellsOf, LAYOUTS, layoutNamed, viewsIn } from '../../src/view/layouts.ts'
import { VIEWS } from '../../src/view/views.ts'
import { ESC, running } from './sitting.ts'

const NAMES = VIEWS.map(view => view.name)
const WIDE = { width: 160, height: 50 }

describe('a layout', () => {
  it('is written with panels that there are, each once', () => {
    expect(layoutNamed('huge', NAMES)).toEqual({ text: LAYOUTS['huge'] })
    expect(layoutNamed(' thp|zones /vmstat', NAMES)).toEqual({ text: 'thp | zones / vmstat' })
    expect(layoutNamed('thp | zonse', NAMES)).toEqual({ problem: 'no layout or panel "zonse", did you mean "zones"?' })
    expect(layoutNamed('thp / thp', NAMES)).toEqual({ problem: 'a panel stands in a layout only once' })
    expect(layoutNamed('constructor', NAMES)).toMatchObject({ problem: expect.stringContaining('no layout or panel') })
    for (const name of Object.keys(LAYOUTS)) expect(layoutNamed(name, NAMES)).toHaveProperty('text')
  })

  it('has cells that fill the screen without overlap, or none where they would be too small', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(LAYOUTS)),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 120 }),
        (text, width, height) => {
          const cells = cellsOf(text, { width, height })
          if (cells === undefined) return
          expect(cells.map(({ view }) => view)).toEqual(viewsIn(text))
          const taken = new Uint8Array(width * height)
          for (const cell of cells) {
            expect(cell.left + cell.width <= width && cell.top + cell.height <= height && cell.top > 0).toBe(true)
            for (let y = cell.top - 1; y < cell.top + cell.height; y++)
              for (let x = cell.left; x < cell.left + cell.width; x++) taken[y * width + x]++
          }
          expect(Math.max(...taken)).toBe(1)
          // What no cell has is the lines between columns.
          expect(taken.filter(times => times === 0).length).toBeLessThanOrEqual(3 * height)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('on the screens', () => {
  it('L goes through the layouts and back to one panel, every row as wide as the screen', async () => {
    const { type, text, session } = await running(3, WIDE)
    for (const name of Object.keys(LAYOUTS)) {
      await type('L')
      expect(text()).toContain(`layout ${name}`)
      for (const view of viewsIn(LAYOUTS[name])) expect(text()).toMatch(new RegExp(`─ (▸ )?${view} ─`))
      const { body, size } = session.screen()
      expect(body.length).toBe(size.height - 5)
      for (const row of body) expect(rowWidth(row)).toBe(size.width)
    }
    await type('L')
    expect(text()).toContain('one panel alone')
    expect(text()).not.toMatch(/─ ▸ /)
  })

  it('Tab goes from panel to panel, keys are for the one that is marked, and another panel takes its place', async () => {
    const { type, text } = await running(3, WIDE)
    await type('playout thp | vmstat / processes\r')
    expect(text()).toMatch(/─ ▸ thp ─/)
    await type('\t')
    expect(text()).toMatch(/─ ▸ vmstat ─/)
    await type('/pgfault\r')
    expect(text()).toMatch(/1 counter|pgfault/)
    expect(text()).not.toMatch(/nr_free_pages +\d/)
    await type('8')
    expect(text()).toMatch(/─ thp ─.*─ ▸ zones ─/)
    await type('z')
    expect(text()).not.toMatch(/─ thp ─/)
    await type(`z${ESC}`)
    await type('plo nothing\r')
    expect(text()).toContain('no command "lo"')
    await type('playout none\r')
    expect(text()).not.toMatch(/─ ▸ /)
  })

  it('one panel stands alone where there is no room for several', async () => {
    const { type, session, text } = await running(3, WIDE)
    await type('L')
    session.resize({ width: 60, height: 15 })
    expect(text()).not.toMatch(/─ ▸ /)
    await type('\t')
    session.resize(WIDE)
    expect(text()).toMatch(/─ ▸ fragmentation ─/)
  })

  it('a click gives a panel the keys', async () => {
    const { type, text } = await running(3, WIDE)
    await type('L')
    await type('\x1b[<0;120;10M')
    expect(text()).toMatch(/─ ▸ fragmentation ─/)
  })
})

describe('the configuration', () => {
  it('has a layout by name or as it is written, and keeps it', () => {
    expect(parseConfig('{"layout":"numa"}', 'f').layout).toBe(LAYOUTS['numa'])
    expect(() => parseConfig('{"layout":"nmua"}', 'f')).toThrow('layout has no layout or panel "nmua", did you mean "numa"?')
    const text = configText({ ...DEFAULT_CONFIG, layout: 'thp | zones' })
    expect(parseConfig(text, 'f').layout).toBe('thp | zones')
  })
})
