import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { showPlain } from '../../src/cli/plain.ts'
import { parseConfig } from '../../src/tui/config.ts'
import { createSession } from '../../src/tui/session.ts'
import { plain } from '../../src/view/panel.ts'
import { ENABLED, fakeSource, SWAPPINESS, settled } from './fake_source.ts'
import { DOWN, ENTER, ESC, RIGHT, running, sample, sit } from './sitting.ts'

describe('the palette', () => {
  it('does what is typed: panels, themes, knobs, every action', async () => {
    const { type, text, session, source } = await running(3)
    await type('pview swap\r')
    expect(text()).toContain('areas')
    await type('ptheme contrast\r')
    expect(session.theme()).toBe('contrast')
    await type(`pset ${SWAPPINESS} 10\r`)
    expect(source.asked).toContain(`write ${SWAPPINESS} 10`)
    await type('phelp\r')
    expect(text()).toContain('Esc closes')
    await type(`${ESC}pvieww\r`)
    expect(text()).toContain('no command "vieww", did you mean "view"?')
    await type('ppreset constructor\r')
    expect(text()).toContain('write preset NAME')
  })

  it('completes commands and their words', async () => {
    const { type, text } = await running(2)
    await type('ppreset den\t')
    expect(text()).toContain('> preset density')
  })
})

describe('presets', () => {
  it('show what they would change, set all of it, and are taken back together', async () => {
    const { type, text, source } = await running(2)
    source.knobs.set(ENABLED, 'always madvise [never]\n')
    await source.give(await sample(3))
    await type('P')
    expect(text()).toMatch(/vm\/swappiness +60 to 10/)
    expect(text()).toMatch(/khugepaged\/defrag +not on this machine/)
    await type(DOWN)
    expect(text()).toMatch(/vm\/swappiness +60, as it is/)
    await type(`${DOWN}${ENTER}`)
    expect(source.asked.filter(line => line.startsWith('write'))).toEqual([`write ${ENABLED} madvise`, `write ${SWAPPINESS} 100`])
    await source.give(await sample(4))
    await type('u')
    expect(source.asked.filter(line => line.startsWith('write')).slice(2)).toEqual([`write ${SWAPPINESS} 60`, `write ${ENABLED} never`])
  })
})

describe('marks and bookmarks', () => {
  it('compare two moments', async () => {
    const { type, text, source } = await running(2)
    await type('A')
    for (const i of [3, 4, 5]) await source.give(await sample(i))
    await type('Bx')
    expect(text()).toMatch(/From A at 00:00:02\.000 to B at 00:00:06\.000: 4s/)
    expect(text()).toMatch(/pgfault +0\/s +1\.00k\/s/)
    await type('X')
    expect(text()).toMatch(/The later half of the last 5s against the earlier: 2 figures differ; set mark A and then B/)
  })

  it('compare before and after a knob was turned', async () => {
    const source = fakeSource()
    const { type, text } = sit(source)
    for (const i of [0, 1, 2, 3]) await source.give(await sample(i))
    const turned = await sample(4)
    await source.give({
      ns: turned.ns,
      files: new Map([
        ...turned.files,
        ['/proc/vmstat', 'pgfault 9000\nnr_free_pages 9\n'],
        ['/mmtop/events', `${turned.ns} knob swappiness 10\n`],
      ]),
    })
    await type('x')
    expect(text()).toMatch(/Since 00:00:05\.000: swappiness 10/)
    expect(text()).toMatch(/pgfault +1\.00k\/s +6\.00k\/s +\+5\.00k\/s +x6\.00/)
  })

  it('come back to a moment', async () => {
    const { type, text, source } = await running(3)
    await type('M')
    for (const i of [5, 6, 7]) await source.give(await sample(i))
    await type("'")
    expect(text()).toContain('00:00:03')
    expect(text()).toMatch(/3 samples back/)
  })
})

describe('looking up', () => {
  it('explains a figure by a part of its name, on any panel', async () => {
    const { type, text } = await running(2)
    await type('e/thp_split_pm\r')
    expect(text()).toContain('Huge entries split into a table of small ones')
    expect(text()).toContain('__split_huge_pmd_locked')
  })
})

describe('the mouse', () => {
  it('chooses panels by their tabs, and rows', async () => {
    const { type, text, lines } = await running(2, { width: 140, height: 30 })
    const column = lines()[3].indexOf('2vmstat')
    await type(`\x1b[<0;${column + 2};4M`)
    expect(text()).toMatch(/counters; \d+ moved/)
    const row = lines().findLastIndex(line => line.includes(' thp_fault_alloc '))
    await type(`\x1b[<0;5;${row + 1}M${ENTER}`)
    expect(text()).toMatch(/─ thp_fault_alloc: /)
  })
})

describe('the configuration', () => {
  it('decides keys, theme and the first panel, and is written on demand', async () => {
    const source = fakeSource()
    const config = parseConfig('{"view":"memory","theme":"light","keys":{"quit":["Q"]}}', 'config.json')
    let written = ''
    const session = createSession({
      source,
      size: { width: 100, height: 30 },
      looks: { ascii: true, chart: () => [] },
      config,
      save: text => {
        written = text
        return 'config.json'
      },
      now: () => performance.now(),
    })
    const ended = session.run()
    await source.give(await sample(1))
    expect(session.theme()).toBe('light')
    session.keys([
      { name: 'q', text: 'q' },
      { name: '4', text: '4' },
      { name: 'W', text: 'W' },
    ])
    expect(JSON.parse(written)).toEqual({ view: 'thp', theme: 'light', keys: { quit: ['Q'] } })
    expect(session.screen().status.map(plain).join('\n')).toContain('written: config.json')
    session.keys([{ name: 'Q', text: 'Q' }])
    expect(await ended).toBe(0)
  })
})

describe('a knob of the real host', () => {
  it('is asked about, with the old value, before it is written', async () => {
    const source = { ...fakeSource(), kind: 'host' as const }
    const { type, text } = sit(source)
    await source.give(await sample(1))
    await type(`t${RIGHT}`)
    expect(source.asked.filter(line => line.startsWith('write'))).toEqual([])
    expect(text()).toMatch(/vm\/swappiness, now 60: 61 +Enter writes to this machine/)
    await type(ENTER)
    expect(source.asked).toContain(`write ${SWAPPINESS} 61`)
  })
})

describe('lines instead of screens', () => {
  it('say what a panel says, when it is new, and obey', async () => {
    const source = fakeSource()
    const input = new PassThrough()
    let out = ''
    const ended = showPlain(source, input, { view: 'overview', count: Number.POSITIVE_INFINITY }, async text => {
      out += text
    })
    await settled()
    await source.give(await sample(0))
    await source.give(await sample(1))
    expect(out).toMatch(/overview: .* 1\.00k faults\/s/)
    input.write(`memory\nset ${SWAPPINESS} 10\n: A touch\nnonsense\n`)
    await settled(20)
    expect(out).toContain('all memory')
    expect(source.asked).toContain(`write ${SWAPPINESS} 10`)
    expect(out).toContain(': A touch: done 2 ms')
    expect(out).toContain('no command "nonsense"')
    input.write('quit\n')
    source.end()
    expect(await ended).toBe(0)
    expect(out).not.toMatch(/\x1b/)
  })
})
