import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { configSchema, configText, DEFAULT_CONFIG, keymapOf, parseConfig, presetsOf } from '../../src/tui/config.ts'
import { bindingOf } from '../../src/tui/keymap.ts'
import { UserError } from '../../src/user_error.ts'

const parse = (value: unknown) => parseConfig(typeof value === 'string' ? value : JSON.stringify(value, null, 1), 'config.json')
const whatOf = (value: unknown): string => {
  try {
    parse(value)
  } catch (error) {
    if (error instanceof UserError) return error.oneLine
    throw error
  }
  return ''
}

describe('the configuration file', () => {
  it('may say nothing', () => {
    expect(parse('{}')).toEqual(DEFAULT_CONFIG)
  })

  it('gives actions other keys, which are taken from what had them', () => {
    const keymap = keymapOf(parse({ keys: { quit: ['x'], 'list.open': ['o'] } }))
    expect(bindingOf('x', ['anywhere'], keymap)?.action).toBe('quit')
    expect(bindingOf('q', ['anywhere'], keymap)).toBeUndefined()
    expect(bindingOf('o', ['list', 'anywhere'], keymap)?.action).toBe('open')
    expect(bindingOf('enter', ['list'], keymap)).toBeUndefined()
    expect(keymap.find(({ action }) => action === 'quit')?.footer).toEqual(['x', 'quit'])
  })

  it('adds presets', () => {
    expect(presetsOf(parse({ presets: { mine: { '/proc/sys/vm/swappiness': 10 } } }))['mine'].knobs).toEqual({
      '/proc/sys/vm/swappiness': '10',
    })
  })

  it('says what is wrong, and where', () => {
    expect(whatOf('{ "zoom": 60,\n "theme": "ligth" }')).toBe('config.json:2:2: theme is one of auto dark light contrast mono')
    expect(whatOf({ thme: 'light' })).toMatch(/^config\.json:2:2: no setting "thme", did you mean "theme"\?/)
    expect(whatOf({ constructor: 1 })).toMatch(/no setting "constructor"/)
    expect(whatOf({ zoom: 'long' })).toMatch(/zoom is a number from 15 to 1800/)
    expect(whatOf({ keys: { quitt: ['x'] } })).toMatch(/no action "quitt", did you mean "quit"\?/)
    expect(whatOf({ keys: { 'lists.open': ['x'] } })).toMatch(/no place "lists"/)
    expect(whatOf('{')).toMatch(/^config\.json:1:\d: not JSON/)
  })

  it('is a configuration or one line about why not, whatever the bytes', () => {
    const json = fc.json({ maxDepth: 4 })
    const close = fc.record(
      { theme: fc.anything(), keys: fc.anything(), presets: fc.anything(), view: fc.anything(), layout: fc.anything() },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          json,
          fc.string(),
          close.map(value => JSON.stringify(value) ?? ''),
        ),
        text => {
          const what = whatOf(text)
          expect(what).not.toMatch(/\n/)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('can be written and read again, and keeps to its schema', () => {
    const config = {
      ...DEFAULT_CONFIG,
      view: 'thp',
      theme: 'light' as const,
      keys: { quit: ['x'] },
      presets: { a: { '/proc/sys/vm/swappiness': '1' } },
    }
    expect(parse(configText(config))).toEqual(config)
    expect(configText(DEFAULT_CONFIG)).toBe('{}\n')
    const schema = z.fromJSONSchema(JSON.parse(JSON.stringify(configSchema())))
    expect(schema.safeParse(JSON.parse(configText(config))).success).toBe(true)
    expect(schema.safeParse({ theme: 'pink' }).success).toBe(false)
    expect(schema.safeParse({ keys: { nothing: ['x'] } }).success).toBe(false)
  })
})
