/** What every panel lets a user do with its list, at sizes where it has room and where it has none. */
import { describe, expect, it } from 'vitest'
import { VIEW_KEYS } from '../../src/tui/keymap.ts'
import { VIEWS } from '../../src/view/views.ts'
import { DOWN, ENTER, ESC, running, UP } from './sitting.ts'

const SIZES = [
  { width: 40, height: 10 },
  { width: 80, height: 24 },
]
/** Panels of what a recorded machine has nothing of. */
const LACKING = [
  'slab',
  'balancing',
  'ksm',
  'swap',
  'pages',
  'userfaultfd',
  'postcopy',
  'costs',
  'workingset',
  'tunables',
  'cgroups',
  'policies',
  'reclaim',
]

const keyOf = (name: string) => (name === 'tunables' ? 'tt' : (VIEW_KEYS[name] ?? ''))

describe('the list of every panel', () => {
  for (const size of SIZES)
    it(`is reached with Down and left with Up at ${size.width}x${size.height}, and what is around it is scrolled to`, async () => {
      const { type, session } = await running(6, size)
      for (const { name } of VIEWS.filter(view => !LACKING.includes(view.name) && !(view.name === 'overview' && size.height < 24))) {
        await type(keyOf(name))
        const seen = new Set<number>()
        for (let i = 0; i < 12; i++) {
          await type(DOWN.repeat(i < 9 ? 8 : 1))
          const { panel, body } = session.screen()
          const at = panel?.list?.selected ?? -1
          seen.add(at)
          const chosen = body.some(row => row.some(({ style, text }) => style === 'selected' && text.trim() !== ''))
          // What follows a list of few rows is scrolled to from its last one.
          const left = at === (panel?.list?.ids.length ?? 0) - 1
          if (at >= 0 && !left) expect([name, at, chosen]).toEqual([name, at, true])
        }
        expect([name, Math.max(...seen) >= 0]).toEqual([name, true])
        await type(UP.repeat(80))
        expect([name, (session.screen().panel?.list?.selected ?? 0) <= 0]).toEqual([name, true])
        await type(ESC + ESC)
      }
    })

  it('is sorted, inverted, filtered by text, pattern and figure, and cut down to what moves', async () => {
    const { type, text, session } = await running(3, { width: 160, height: 50 })
    const ids = () => session.screen().panel?.list?.ids ?? []
    for (const { name } of VIEWS.filter(view => !LACKING.includes(view.name) && view.name !== 'compare')) {
      await type(keyOf(name))
      const all = ids()
      const { sortKeys } = session.screen().panel?.list ?? { sortKeys: [] }
      expect([name, sortKeys.length > 0]).toEqual([name, true])
      await type('s')
      expect(text()).toContain(sortKeys[0])
      await type(ENTER)
      expect([name, session.screen().panel?.list?.sort?.key]).toEqual([name, expect.any(String)])
      await type('I')
      await type('/surely nothing has this\r')
      expect([name, ids()]).toEqual([name, []])
      expect([name, text().includes('nothing passes the filter')]).toEqual([name, true])
      await type(ESC)
      expect([name, [...ids()].sort()]).toEqual([name, [...all].sort()])
      await type('/!surely nothing has this\r')
      expect([name, ids().length]).toEqual([name, all.length])
      await type(ESC)
      await type('m')
      expect([name, ids().length <= all.length]).toEqual([name, true])
      await type('m')
    }
  })
})
