/** A session over a fake machine, with keys pressed by name and the screen read as text. */

import type { Frame, Source } from '../../src/sample/source.ts'
import { newCharts } from '../../src/tui/charts.ts'
import { readKeys } from '../../src/tui/keys.ts'
import { createSession, type Session } from '../../src/tui/session.ts'
import type { Recorder } from '../../src/tui/sitting.ts'
import type { Size } from '../../src/view/panel.ts'
import { plain } from '../../src/view/panel.ts'
import { busyFrame } from '../fixtures/load.ts'
import { fakeSource, settled } from './fake_source.ts'

export interface Sat {
  readonly session: Session
  /** Presses keys by their bytes: 'q', '\x1b[A'. */
  readonly type: (bytes: string) => Promise<void>
  readonly lines: () => string[]
  readonly text: () => string
  /** Exit status, once it has ended. */
  readonly ended: Promise<number>
}

export const UP = '\x1b[A'
export const DOWN = '\x1b[B'
export const RIGHT = '\x1b[C'
export const LEFT = '\x1b[D'
export const ESC = '\x1b'
export const ENTER = '\r'

export function sit(source: Source, size: Size = { width: 100, height: 40 }, record?: (path: string) => Recorder): Sat {
  const chart = newCharts({ ascii: false, colours: true, braille: true })
  const session = createSession({ source, size, looks: { ascii: false, chart }, record, now: () => performance.now() })
  const ended = session.run()
  const lines = () => {
    const { status, tabs, body, footer } = session.screen()
    return [...status, ...tabs, ...body, ...footer].map(plain)
  }
  return {
    session,
    type: async bytes => {
      const { keys, rest } = readKeys(bytes)
      session.keys(rest === ESC ? [...keys, { name: 'esc', text: '' }] : keys)
      await settled()
    },
    lines,
    text: () => lines().join('\n'),
    ended,
  }
}

const busy = busyFrame('numa-policies')

/** A frame of a real machine at another time, some texts replaced. */
export async function machineAt(ns: number, files: Readonly<Record<string, string>> = {}): Promise<Frame> {
  const { files: real } = await busy
  return { ns, files: new Map([...real, ...Object.entries(files)]) }
}

/** A machine with `count` samples, a second apart, and 1000 more page faults in each. */
export async function running(count: number, size?: Size, record?: (path: string) => Recorder) {
  const source = fakeSource()
  const sat = sit(source, size, record)
  for (let i = 0; i < count; i++) await source.give(await sample(i))
  return { source, ...sat }
}

export const sample = (i: number): Promise<Frame> =>
  machineAt((i + 1) * 1e9, { '/proc/vmstat': `pgfault ${i * 1000}\nthp_fault_alloc ${i * i}\nnr_free_pages ${70000 + i}\n` })
