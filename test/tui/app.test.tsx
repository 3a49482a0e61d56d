import { render } from 'ink-testing-library'
import { describe, expect, it } from 'vitest'
import { App } from '../../src/tui/app.tsx'
import { newCanvas, paintFrame } from '../../src/tui/paint.ts'
import type { Looks } from '../../src/tui/screen.ts'
import { createSession } from '../../src/tui/session.ts'
import { makeTheme } from '../../src/tui/theme.ts'
import { chartRows } from '../../src/view/chart_text.ts'
import { fakeSource, SWAPPINESS, settled } from './fake_source.ts'
import { sample } from './sitting.ts'

/** The screens in Ink, as far as a terminal: what stands on them. */
async function mounted(size = { width: 100, height: 30 }) {
  const source = fakeSource()
  const looks: Looks = { ascii: false, chart: (spec, width, height) => chartRows(spec, width, height, false) }
  const session = createSession({ source, size, looks, now: () => performance.now() })
  const canvas = newCanvas()
  const ended = session.run()
  const { lastFrame, stdin, unmount, frames } = render(<App session={session} canvas={canvas} themes={() => makeTheme('none', false)} />)
  const rows = () => paintFrame(lastFrame() ?? '', canvas).map(({ text }) => text.replaceAll(/\x1b\[[0-9;]*m/g, ''))
  const type = async (bytes: string) => {
    stdin.write(bytes)
    await settled(40)
  }
  await source.give(await sample(1))
  await source.give(await sample(2))
  await settled(60)
  return { source, session, rows, type, unmount, frames, ended }
}

describe('the screens in Ink', () => {
  it('show status, tabs, a panel and a footer, each row as wide as the screen', async () => {
    const { rows, unmount } = await mounted()
    expect(rows().length).toBe(30)
    expect(rows()[0]).toMatch(/^mmtop fake\.workload/)
    expect(rows()[3]).toContain('1overview')
    expect(rows()[4]).toContain('free')
    expect(rows().at(-1)).toMatch(/q quit +\? help *$/)
    for (const row of rows()) expect([...row].length).toBe(100)
    unmount()
  })

  it('take keys from the terminal, Escape and arrows too, and end with q', async () => {
    const { rows, type, source, ended, unmount } = await mounted()
    await type('t')
    expect(rows().join('\n')).toContain('vm/swappiness')
    await type('\x1b[C')
    expect(source.knobs.get(SWAPPINESS)).toBe('61\n')
    await type('/thp')
    expect(rows().at(-1)).toMatch(/^\/thp/)
    await type('\x1b')
    expect(rows().at(-1)).not.toMatch(/^\//)
    await type('q')
    expect(await ended).toBe(0)
    unmount()
  })

  it('put the help in the place of the panel', async () => {
    const { rows, type, unmount } = await mounted({ width: 80, height: 24 })
    await type('?')
    expect(rows().join('\n')).toContain('Keys. Up, Down')
    expect(rows().length).toBe(24)
    await type('\x1b')
    expect(rows().join('\n')).not.toContain('Keys. Up, Down')
    unmount()
  })

  it('let Ink work only when the layout changes, not for every sample', async () => {
    const { source, frames, rows, unmount } = await mounted()
    const before = frames.length
    for (let i = 3; i < 8; i++) {
      await source.give(await sample(i))
      await settled(60)
    }
    expect(rows()[0]).toContain('00:00:08.000')
    expect(frames.length).toBe(before)
    unmount()
  })

  it('fit any size', async () => {
    const { rows, session, unmount } = await mounted()
    for (const [width, height] of [
      [20, 5],
      [80, 24],
      [400, 120],
      [10, 3],
    ]) {
      session.resize({ width, height })
      await settled(20)
      expect(rows().length).toBe(height)
    }
    unmount()
  })
})
