import { EventEmitter } from 'node:events'
import { Terminal as Xterm } from '@xterm/headless'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { markers, newCanvas, paintFrame, paintRow, setRows } from '../../src/tui/paint.ts'
import { newScreenWriter, type Terminal } from '../../src/tui/screen_writer.ts'
import { makeTheme } from '../../src/tui/theme.ts'
import { type Row, span } from '../../src/view/panel.ts'
import { settled } from './fake_source.ts'

const theme = makeTheme('none', false)

/** A terminal that notes what is written and can be full. */
class Screen extends EventEmitter implements Terminal {
  columns = 20
  rows = 5
  full = false
  readonly written: string[] = []
  write(text: string): boolean {
    this.written.push(text)
    return !this.full
  }
}

async function writing(rows: readonly string[], size = { columns: 20, rows: 5 }) {
  const out = Object.assign(new Screen(), size)
  const canvas = newCanvas()
  const writer = newScreenWriter(out, canvas, () => undefined)
  const draw = async (texts: readonly string[]) => {
    setRows(
      canvas,
      0,
      texts.map(text => [span(text.padEnd(out.columns))]),
      theme,
    )
    await settled(1)
  }
  writer.stream.write(markers(0, rows.length))
  writer.start()
  await draw(rows)
  return { out, canvas, writer, draw }
}

/** What a terminal shows after these bytes. */
async function shown(bytes: string, columns: number, rows: number): Promise<string[]> {
  const xterm = new Xterm({ cols: columns, rows, allowProposedApi: true })
  await new Promise<void>(resolve => xterm.write(`\x1b[?7l${bytes}`, resolve))
  return Array.from({ length: rows }, (_, y) => xterm.buffer.active.getLine(y)?.translateToString(true).trimEnd() ?? '')
}

describe('the screen writer', () => {
  it('clears once and then sends only the rows that changed, one write a frame', async () => {
    const { out, draw } = await writing(['one', 'two', 'three'])
    expect(out.written.length).toBe(1)
    expect(out.written[0].match(/\x1b\[2J/g)?.length).toBe(1)
    await draw(['one', 'TWO', 'three'])
    expect(out.written.length).toBe(2)
    expect(out.written[1]).toBe(`\x1b[?2026h\x1b[2;1H\x1b[0m${'TWO'.padEnd(20)}\x1b[0m\x1b[0m\x1b[?2026l`)
    await draw(['one', 'TWO', 'three'])
    expect(out.written.length).toBe(2)
    expect(await shown(out.written.join(''), 20, 5)).toEqual(['one', 'TWO', 'three', '', ''])
  })

  it('keeps the character in the last column', async () => {
    const { out } = await writing(['12345678901234567890'])
    expect((await shown(out.written.join(''), 20, 5))[0]).toBe('12345678901234567890')
  })

  it('clears once more after a resize, and paints what is there', async () => {
    const { out, draw } = await writing(['one', 'two', 'three'])
    out.written.length = 0
    out.columns = 10
    out.rows = 2
    out.emit('resize')
    await draw(['eins', 'zwei', 'drei'])
    expect(out.written.join('').match(/\x1b\[2J/g)?.length).toBe(1)
    expect(await shown(out.written.join(''), 10, 2)).toEqual(['eins', 'zwei'])
  })

  it('skips frames while the terminal is full, and shows the newest when it has drained', async () => {
    const { out, draw } = await writing(['a'])
    out.full = true
    await draw(['b'])
    const before = out.written.length
    await draw(['c'])
    await draw(['d'])
    expect(out.written.length).toBe(before)
    out.full = false
    out.emit('drain')
    await settled(1)
    expect(out.written.length).toBe(before + 1)
    expect((await shown(out.written.join(''), 20, 5))[0]).toBe('d')
  })

  it('writes nothing once stopped, and everything when started again', async () => {
    const { out, draw, writer } = await writing(['a', 'b'])
    writer.stop()
    out.written.length = 0
    await draw(['A', 'b'])
    expect(out.written).toEqual([])
    writer.start()
    await settled(1)
    expect(await shown(out.written.join(''), 20, 5)).toEqual(['A', 'b', '', '', ''])
    writer.close()
    expect(out.listenerCount('resize')).toBe(0)
  })

  it('takes no notice of what Ink writes about the cursor', async () => {
    const { out, writer } = await writing(['a'])
    out.written.length = 0
    writer.stream.write('\x1b[?25h')
    writer.stream.write('')
    await settled(1)
    expect(out.written).toEqual([])
  })

  it('shows the same after any history of frames as if the last one was the first', async () => {
    const frame = fc.array(fc.constantFrom('', 'a', 'bb', '漢字', 'x'.repeat(20), '\x1b[31mred'), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 6 }), async frames => {
        const out = new Screen()
        const canvas = newCanvas()
        const writer = newScreenWriter(out, canvas, () => undefined)
        writer.start()
        for (const texts of frames) {
          writer.stream.write(markers(0, texts.length))
          setRows(
            canvas,
            0,
            texts.map(text => [span(text)]),
            theme,
          )
          await Promise.resolve()
        }
        await settled(0)
        const last = frames[frames.length - 1].map(text => text.replaceAll('\x1b', '?').trimEnd())
        const lines = await shown(out.written.join(''), 20, 5)
        expect(lines).toEqual(Array.from({ length: 5 }, (_, y) => last[y] ?? ''))
      }),
      { numRuns: 40 },
    )
  })
})

describe('paint', () => {
  it('switches a style on once a run and lets no control character through', () => {
    const row: Row = [span('a', 'title'), span('b', 'title'), span(''), span('\x1b[2Jc\u009b\ue000', 'text')]
    expect(paintRow(row, theme)).toBe('\x1b[0;1mab\x1b[0m?[2Jc??')
  })

  it('puts panels side by side where Ink has put their markers', () => {
    const canvas = newCanvas()
    setRows(canvas, 0, [[span('left')], [span('LEFT')]], theme)
    setRows(canvas, 10, [[span('r')], [span('R')]], theme)
    const frame = `${markers(0, 1)}     ${markers(10, 1)}\n${markers(1, 1)}     ${markers(11, 1)}`
    expect(paintFrame(frame, canvas).map(({ text, width }) => [text.replaceAll(/\x1b\[[0-9;]*m/g, ''), width])).toEqual([
      ['left    r', 9],
      ['LEFT    R', 9],
    ])
  })
})
