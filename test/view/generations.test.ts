/** The generations of the LRU on the screens, as a real kernel prints them. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LRU_GEN, LRU_GEN_ENABLED, parseGenerations } from '../../src/sample/parse/lru_gen.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { TABLES } from '../../src/view/tables.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

/** Of 6.1 on a machine of two nodes with one memory cgroup. */
const TEXT = `memcg     1 /
 node     0
          2      15640      10435           0${' '}
          3      15640       5143       23040${' '}
          4        820       5131        7680${' '}
          5        744          0           4${' '}
 node     1
          4        820         50           1${' '}
          5        744      15374           2${' '}
memcg     2 /G
 node     0
          0      36032          0           0${' '}
          1      36032          0           8${' '}
          2      36032         24           0${' '}
          3      36032         14          35${' '}
`
const SIZE = { width: 120, height: 60 }

function shown(enabled: string): string {
  const model = modelFrom([frameOf(1e9, { '/proc/vmstat': 'nr_free_pages 1\n', [LRU_GEN]: TEXT, [LRU_GEN_ENABLED]: enabled })])
  const view = VIEWS.find(each => each.name === 'workingset')
  return plainLines(view?.panel(model, DEFAULT_UI, SIZE).rows ?? []).join('\n')
}

describe('generations', () => {
  it('are read with group, node and what they count as', () => {
    const rows = parseGenerations(TEXT)
    expect(rows).toHaveLength(10)
    expect(rows[0]).toEqual({ cgroup: '/', node: 0, seq: 2, active: false, ageMs: 15640, anonPages: 10435, filePages: 0 })
    expect(rows.map(({ active }) => active)).toEqual([false, false, true, true, true, true, false, false, true, true])
    expect(rows.at(-1)).toMatchObject({ cgroup: '/G', node: 0, seq: 3 })
  })

  it('stand on the screen of working sets while they are on', () => {
    expect(shown('0x0007\n')).toMatch(/generations/)
    expect(shown('0x0007\n')).toMatch(/\/G +0 +3 active +36s +56\.0K +140K/)
    expect(shown('0x0006\n')).not.toMatch(/generations/)
  })

  it('that only root may look into are said to be there', () => {
    const files = { '/proc/vmstat': 'nr_free_pages 1\n', [LRU_GEN_ENABLED]: '0x0007\n', '/mmtop/unread': `${LRU_GEN} EACCES\n` }
    const view = VIEWS.find(each => each.name === 'workingset')
    const text = plainLines(view?.panel(modelFrom([frameOf(1e9, files)]), DEFAULT_UI, SIZE).rows ?? []).join(' ')
    expect(text).toMatch(/goes by\s+generations, and only root/)
  })

  it('are a table', () => {
    const model = modelFrom([frameOf(1e9, { '/proc/vmstat': 'nr_free_pages 1\n', [LRU_GEN]: TEXT, [LRU_GEN_ENABLED]: '0x0001\n' })])
    const { columns, rows } = TABLES['generations'](model)
    expect(columns.slice(0, 3)).toEqual(['generation_cgroup', 'generation_node', 'generation_seq'])
    expect(rows[1]).toEqual(['/', 0, 3, 'inactive', 15640, 5143, 23040])
  })

  it('of any text are rows or none', () => {
    fc.assert(
      fc.property(fc.nat(TEXT.length), fc.string({ maxLength: 20 }), (at, noise) => {
        for (const row of parseGenerations(TEXT.slice(0, at) + noise + TEXT.slice(at))) expect(row.anonPages).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 200 },
    )
  })
})
