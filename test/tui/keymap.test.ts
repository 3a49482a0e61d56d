import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { activeBindings, bindingOf, KEYMAP, keyName, keyTable, PLACES, VIEW_KEYS } from '../../src/tui/keymap.ts'
import { helpPanel } from '../../src/tui/popups.ts'
import { plain } from '../../src/view/panel.ts'
import { VIEWS } from '../../src/view/views.ts'

const README = new URL('../../README.md', import.meta.url)

describe('the table of keys', () => {
  it('binds no key twice in one place', () => {
    for (const place of Object.keys(PLACES)) {
      const keys = KEYMAP.filter(({ where }) => where === place).flatMap(({ keys: bound }) => bound)
      expect(new Set(keys).size).toBe(keys.length)
    }
  })

  it('gives every panel a key of its own', () => {
    expect(VIEWS.map(({ name }) => VIEW_KEYS[name])).not.toContain(undefined)
    expect(new Set(Object.values(VIEW_KEYS)).size).toBe(VIEWS.length)
    for (const key of Object.values(VIEW_KEYS)) expect(['view', 'knobs']).toContain(bindingOf(key, ['anywhere'])?.action)
  })

  it('names in the footer only keys that are bound', () => {
    for (const { footer, where } of KEYMAP)
      for (const key of footer?.[0].split(' ') ?? [])
        expect(KEYMAP.some(binding => binding.where === where && binding.keys.map(keyName).includes(key))).toBe(true)
  })

  it('lets the nearer place win', () => {
    expect(bindingOf('left', ['explain', 'knobs', 'anywhere'])?.action).toBe('figure-left')
    expect(bindingOf('left', ['knobs', 'anywhere'])?.action).toBe('turn-down')
    expect(
      activeBindings(['knobs', 'list', 'anywhere'])
        .filter(({ keys }) => keys.includes('enter'))
        .map(({ action }) => action),
    ).toEqual(['edit'])
  })

  it('is the help, line by line', () => {
    const rows = helpPanel({ width: 120, height: 300 }, 0, false).rows.map(plain).join('\n')
    for (const { keys, help } of KEYMAP) {
      expect(rows).toContain(help)
      for (const key of keys) expect(rows).toContain(keyName(key))
    }
  })

  it('is the table in README.md', () => {
    const table = keyTable()
    expect(table.split('\n')[0]).toMatch(/^\| key +\| what it does +\| where +\|$/)
    if (existsSync(README)) expect(readFileSync(README, 'utf8')).toContain(table)
  })
})
