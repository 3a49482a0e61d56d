import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../src/kernel/base/errno.ts'
import type { Tunable } from '../../src/sample/source.ts'
import { answerText } from '../../src/tui/answer_text.ts'
import { figureBeside, figuresOf, pointedAt, withPointer } from '../../src/tui/figures.ts'
import { neighbour, whyNot } from '../../src/tui/knobs.ts'
import { nextSpeed, parseJump } from '../../src/tui/playback.ts'
import { completed, erased, moved, newPrompt, recalled, typed } from '../../src/tui/prompt.ts'
import { heightsOf } from '../../src/tui/screen.ts'
import { colourDepth, hasBraille, hasLightBackground, hasUnicode, makeTheme, STYLES } from '../../src/tui/theme.ts'
import { errnoText } from '../../src/user_error.ts'
import { span } from '../../src/view/panel.ts'
import { KNOBS } from './fake_source.ts'

describe('a prompt', () => {
  it('is edited by characters, also wide ones', () => {
    let prompt = typed(newPrompt('line', ': ', 'a漢c'), 'd')
    expect(prompt).toMatchObject({ text: 'a漢cd', cursor: 4 })
    prompt = erased(moved(prompt, -2), 'before')
    expect(prompt).toMatchObject({ text: 'acd', cursor: 1 })
    expect(erased(prompt, 'next').text).toBe('ad')
    expect(erased(newPrompt('line', ': ', 'one two  '), 'word').text).toBe('one ')
    expect(erased(prompt, 'line')).toMatchObject({ text: '', cursor: 0 })
    expect(typed(newPrompt('line', ': '), 'x'.repeat(5000)).text.length).toBe(1000)
  })

  it('recalls lines and returns to an empty one', () => {
    const lines = ['first', 'second']
    const back = recalled(recalled(recalled(newPrompt('line', ': '), lines, 1), lines, 1), lines, 1)
    expect(back.text).toBe('first')
    expect(recalled(recalled(back, lines, -1), lines, -1).text).toBe('')
  })

  it('is completed as far as the candidates agree', () => {
    expect(completed(newPrompt('line', ': ', 'A ma'), ['madvise']).text).toBe('A madvise ')
    expect(completed(newPrompt('line', ': ', 'A ma'), ['map', 'madvise'])).toMatchObject({ text: 'A ma', hint: 'map madvise' })
    expect(completed(newPrompt('line', ': ', 'A x order'), ['order=']).text).toBe('A x order=')
    expect(completed(newPrompt('line', ': ', 'zz'), []).hint).not.toBe('')
  })
})

describe('a knob under the arrows', () => {
  it('goes to the next word, or by its second digit, within its range', () => {
    const [number, choice] = KNOBS
    expect(['60', '99', '100', '200', '0'].map(value => neighbour(number, value, 1))).toEqual(['61', '100', '110', undefined, '1'])
    expect(['60', '100', '0', '1'].map(value => neighbour(number, value, -1))).toEqual(['59', '99', undefined, '0'])
    expect(neighbour({ ...number, max: undefined }, '4096', 1)).toBe('4196')
    expect(['always', 'madvise', 'never', 'else'].map(value => neighbour(choice, value, 1))).toEqual([
      'madvise',
      'never',
      undefined,
      'always',
    ])
    expect(neighbour({ ...number, type: 'vector' }, '256 256 32', 1)).toBeUndefined()
    expect(neighbour(number, 'max', 1)).toBeUndefined()
  })
})

describe('playback', () => {
  it('reads times from the begin, from here, as shares and as a clock', () => {
    const span = { startNs: 0, endNs: 600e9 }
    const at = (text: string) => parseJump(text, 100e9, span)
    expect(['90', '90s', '1.5m', '+10s', '-10s', '50%', '00:01:30.5', '1:30', '500ms'].map(at)).toEqual([
      90e9, 90e9, 90e9, 110e9, 90e9, 300e9, 90.5e9, 90e9, 0.5e9,
    ])
    expect([at('-1h'), at('2h'), at('200%')]).toEqual([0, 600e9, 600e9])
    expect(['', 'soon', '10 s', '1:2:3:4', '%'].map(at)).toEqual([undefined, undefined, undefined, undefined, undefined])
  })

  it('has a ladder of speeds', () => {
    expect([nextSpeed(1, 1), nextSpeed(1, -1), nextSpeed(3, 1), nextSpeed(3, -1)]).toEqual([2, 0.5, 5, 2])
    expect([nextSpeed(1000, 1), nextSpeed(Number.POSITIVE_INFINITY, 1), nextSpeed(0.01, -1)]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      0.01,
    ])
  })
})

describe('figures', () => {
  const rows = [
    [span('mem '), span('1G', 'value', 'free'), span(' '), span('2G', 'value', 'anon')],
    [span('enabled ', 'label', '/knob'), span('always ', 'dim', '/knob'), span('never', 'chosen', '/knob')],
    [span('  ', 'value', 'blank'), span('x'), span('3', 'value', 'anon')],
  ]

  it('are spans that say what they are about, neighbours about the same taken as one', () => {
    expect(figuresOf(rows)).toEqual([
      { about: 'free', row: 0, column: 4, first: 1, last: 1 },
      { about: 'anon', row: 0, column: 7, first: 3, last: 3 },
      { about: '/knob', row: 1, column: 0, first: 0, last: 2 },
      { about: 'anon', row: 2, column: 3, first: 2, last: 2 },
    ])
    const pointed = withPointer(rows, figuresOf(rows)[2])
    expect(pointed[1].map(({ style }) => style)).toEqual(['selected', 'selected', 'selected'])
  })

  it('are followed by name when rows move, and walked in all directions', () => {
    const figures = figuresOf(rows)
    expect(pointedAt(figures, { about: 'anon', row: 3, column: 3 })).toBe(figures[3])
    expect(pointedAt(figures, { about: 'gone', row: 1, column: 0 })).toBe(figures[2])
    expect(pointedAt([], { about: 'gone', row: 1, column: 0 })).toBeUndefined()
    expect(figureBeside(figures, figures[0], 'right')).toBe(figures[1])
    expect(figureBeside(figures, figures[1], 'down')).toBe(figures[2])
    expect(figureBeside(figures, figures[2], 'up')).toBe(figures[0])
    expect(figureBeside(figures, figures[0], 'up')).toBe(figures[0])
    expect(figureBeside(figures, figures[3], 'right')).toBe(figures[3])
  })
})

describe('colours', () => {
  it('are as many as the flag, FORCE_COLOR, NO_COLOR and the terminal say, in that order', () => {
    const xterm = { TERM: 'xterm-256color' }
    expect(colourDepth(false, { ...xterm, FORCE_COLOR: '3' })).toBe('none')
    expect(colourDepth(true, { ...xterm, FORCE_COLOR: '1', NO_COLOR: '1' })).toBe('16')
    expect(colourDepth(true, { ...xterm, FORCE_COLOR: '0' })).toBe('none')
    expect(colourDepth(true, { TERM: 'dumb', FORCE_COLOR: 'true' })).toBe('16')
    expect(colourDepth(true, { ...xterm, NO_COLOR: '1' })).toBe('none')
    expect(colourDepth(true, { ...xterm, NO_COLOR: '' })).toBe('256')
    expect(colourDepth(true, { ...xterm, COLORTERM: 'truecolor' })).toBe('true')
    expect(colourDepth(true, { TERM: 'xterm-16color', TMUX: '/tmp/tmux' })).toBe('16')
    expect(['linux', 'xterm', 'vt100', 'dumb', ''].map(TERM => colourDepth(true, { TERM }))).toEqual(['16', '16', 'none', 'none', 'none'])
    expect(colourDepth(true, { TERM: 'screen', TMUX: '/tmp/x' })).toBe('256')
  })

  it('use no colour where there is none, and no more than there are', () => {
    const all = (depth: Parameters<typeof makeTheme>[0]) => STYLES.map(style => makeTheme(depth, false).on[style]).join('')
    expect(all('none')).not.toMatch(/[34]\d|[39]\d;|38/)
    expect(all('16')).not.toContain('38;')
    expect(all('256')).not.toContain('38;2')
    expect(all('true')).toContain('38;2;86;180;233')
    expect(makeTheme('true', true)).not.toEqual(makeTheme('true', false))
  })

  it('and glyphs follow the environment', () => {
    expect(hasLightBackground({ COLORFGBG: '0;15' })).toBe(true)
    expect(hasLightBackground({ COLORFGBG: '15;0' })).toBe(false)
    expect(hasLightBackground({})).toBe(false)
    expect(hasUnicode({ LC_ALL: 'C', LANG: 'en_US.UTF-8' })).toBe(false)
    expect(hasUnicode({ LC_ALL: '', LC_CTYPE: 'C.utf8' })).toBe(true)
    expect(hasBraille({ LANG: 'C.UTF-8', TERM: 'linux' })).toBe(false)
  })
})

it('every errno of the kernel has a meaning', () => {
  for (const name of Object.keys(ERRNO)) expect(errnoText(name)).toMatch(/^E[A-Z0-9]+ \([a-z/ -]+\)$/)
})

it('an answer says line, result and errno once each', () => {
  const answer = (errno: string, text: string) => answerText('A brk 5', { errno, text })
  expect(answer('', '')).toBe('A brk 5: done')
  expect(answer('', 'A brk 5 = 0, 3us')).toBe('A brk 5 = 0, 3us')
  expect(answer('', '17')).toBe('A brk 5: 17')
  expect(answer('ENOMEM', '')).toBe('A brk 5 = ENOMEM (not enough memory)')
  expect(answer('ENOMEM', 'A brk 5 = ENOMEM')).toBe('A brk 5 = ENOMEM (not enough memory)')
  expect(answer('EINVAL', 'no worker A')).toBe('A brk 5: no worker A, EINVAL (invalid argument)')
})

it('the parts of a screen fill every height exactly', () => {
  for (let height = 0; height <= 120; height++)
    for (const expanded of [true, false]) {
      const { status, tabs, body, footer } = heightsOf(height, expanded)
      expect(status + tabs + body + footer).toBe(height)
      if (height >= 4) expect(body).toBeGreaterThan(1)
    }
})

describe('a value for a knob', () => {
  const knob = (rest: Partial<Tunable>): Tunable => ({ path: '/proc/x', type: 'integer', meaning: 'm', source: 's', ...rest })

  it('is looked at before it is written, as far as the knob is described', () => {
    expect(whyNot(knob({ min: 0, max: 200 }), '60')).toBeUndefined()
    expect(whyNot(knob({ min: 0, max: 200, unit: '%' }), '201')).toBe('takes 0..200 %')
    expect(whyNot(knob({}), 'much')).toBe('takes a number')
    expect(whyNot(knob({ type: 'bytes', max: 2 ** 30 }), '512M')).toBeUndefined()
    expect(whyNot(knob({ type: 'bytes', max: 2 ** 30 }), '2G')).toMatch(/takes/)
    expect(whyNot(knob({ type: 'choice', choices: ['always', 'never'] }), 'sometimes')).toBe('takes one of always never')
    expect(whyNot(knob({ type: 'choice', choices: ['Y', 'N'] }), '1')).toBeUndefined()
    expect(whyNot(knob({ type: 'vector' }), 'anything')).toBeUndefined()
    expect(whyNot(knob({ source: '' }), 'anything')).toBeUndefined()
  })
})
