import { describe, expect, it } from 'vitest'
import type { Tunable } from '../../src/sample/source.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI, type PanelUi } from '../../src/view/panel.ts'
import { branchOf, foldBranch, tunables } from '../../src/view/panels/tunables.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

const knob = (path: string): Tunable => ({ path, type: 'integer', default: '1', meaning: `What ${path} does`, source: 'mm' })
const knobs = [
  ...Array.from({ length: 15 }, (_, i) => knob(`/proc/sys/vm/knob${i}`)),
  ...Array.from({ length: 9 }, (_, i) => knob(`/sys/kernel/mm/ksm/knob${i}`)),
]
const model = modelFrom([frameOf(1e9, Object.fromEntries(knobs.map(({ path }, i) => [path, i === 3 ? '7\n' : '1\n'])))], {
  title: 'test',
  tunables: knobs,
})
const show = (ui: Partial<PanelUi>) => tunables(model, { ...DEFAULT_UI, ...ui }, { width: 100, height: 40 })

describe('many knobs', () => {
  it('are a tree whose branches fold', () => {
    const open = show({})
    expect(plainLines(open.rows)[2]).toMatch(/^▾ vm \(15\)/)
    expect(plainLines(open.rows)[6]).toMatch(/^ {2}knob3 +7 \* +1 /)
    expect(open.list?.ids.length).toBe(26)
    const folded = show({ open: foldBranch('', 'vm', true) })
    expect(plainLines(folded.rows).slice(2, 5)).toEqual([
      expect.stringMatching(/^▸ vm/),
      expect.stringMatching(/^▾ ksm \(9\)/),
      expect.stringMatching(/^ {2}knob0/),
    ])
    expect(branchOf(folded.list?.ids[0] ?? '')).toBe('vm')
    expect(foldBranch(foldBranch('', 'vm', true), 'vm', false)).toBe('')
  })

  it('are a list when they are filtered or sorted', () => {
    expect(show({ filter: 'ksm' }).list?.ids.length).toBe(9)
    expect(plainLines(show({ sort: { key: 'value', descending: true } }).rows)[2]).toMatch(/^vm\/knob3 +7 \*/)
  })
})
