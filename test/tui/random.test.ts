import fc from 'fast-check'
import { expect, it } from 'vitest'
import { newCharts } from '../../src/tui/charts.ts'
import { KEYMAP } from '../../src/tui/keymap.ts'
import { paintRow } from '../../src/tui/paint.ts'
import { createSession } from '../../src/tui/session.ts'
import { makeTheme } from '../../src/tui/theme.ts'
import { plain } from '../../src/view/panel.ts'
import { displayWidth } from '../../src/view/width.ts'
import { fakeSource, settled } from './fake_source.ts'
import { machineAt, sample } from './sitting.ts'

const KEYS = [...new Set(KEYMAP.filter(({ action }) => !['quit', 'suspend'].includes(action)).flatMap(({ keys }) => keys))]
const theme = makeTheme('256', false)

const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...KEYS).map(name => ({ name, text: [...name].length === 1 ? name : '' })) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }).map(text => ({ name: 'paste', text })) },
)
const size = fc.record({ width: fc.integer({ min: 1, max: 400 }), height: fc.integer({ min: 1, max: 120 }) })

it('any keys at any size leave a screen that fits and holds no control character', async () => {
  const hostile = await machineAt(3e9, {
    '/proc/99/stat': '99 (\x1b]0;x\x07\u202e\u{1f600}漢字\ue000) R 1 1 1 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 0 4096 1\n',
    '/mmtop/events': '1 knob \x1b[2Jthp\n2 oom \x9b31mkilled\n',
    '/proc/vmstat': 'pgfault 18446744073709551615\nodd\x1bname 5\n',
  })
  const frames = [await sample(1), await sample(2), hostile, await sample(4), await sample(5)]
  await fc.assert(
    fc.asyncProperty(
      fc.array(key, { maxLength: 40 }),
      fc.array(size, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (keys, sizes, ascii) => {
        const source = fakeSource()
        const chart = newCharts({ ascii, colours: true, braille: true })
        const session = createSession({ source, size: sizes[0], looks: { ascii, chart }, now: () => performance.now() })
        const ended = session.run()
        for (const frame of frames.slice(0, 3)) await source.give(frame)
        for (const [i, each] of keys.entries()) {
          if (i % 10 === 9) session.resize(sizes[i % sizes.length])
          session.keys([each])
          const screen = session.screen()
          const rows = [...screen.status, ...screen.tabs, ...screen.body, ...screen.footer]
          expect(rows.length).toBe(screen.size.height)
          for (const row of rows) {
            expect(displayWidth(plain(row))).toBe(screen.size.width)
            expect(paintRow(row, theme).replaceAll(/\x1b\[[0-9;]*m/g, '')).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\ue000-\uf8ff]/)
            if (ascii) expect(plain(row)).not.toMatch(/[\u2500-\u28ff]/)
          }
        }
        await settled(0)
        for (const frame of frames.slice(3)) await source.give(frame)
        session.keys([
          { name: 'esc', text: '' },
          { name: 'esc', text: '' },
          { name: 'q', text: 'q' },
          { name: 'ctrl-c', text: '' },
          { name: 'ctrl-c', text: '' },
        ])
        expect([0, 130]).toContain(await ended)
      },
    ),
    { numRuns: 40 },
  )
}, 60_000)
