/** The panel of reclaim: who does it, what he gets, and whether it comes back. */
import { describe, expect, it } from 'vitest'
import { LRU_GEN_ENABLED } from '../../src/sample/parse/lru_gen.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { TABLES } from '../../src/view/tables.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

const NAMES = [
  ...['pgscan_kswapd', 'pgscan_direct', 'pgscan_anon', 'pgscan_file', 'pgsteal_anon', 'pgsteal_file'],
  ...['workingset_refault_anon', 'workingset_refault_file', 'allocstall_movable'],
]

/** A machine whose counters went from 0 to these in a second. */
function moved(counters: Readonly<Record<string, number>>, files: Readonly<Record<string, string>> = {}) {
  const text = (of: Readonly<Record<string, number>>) => NAMES.map(name => `${name} ${of[name] ?? 0}\n`).join('')
  return modelFrom([frameOf(1e9, { '/proc/vmstat': text({}), ...files }), frameOf(2e9, { '/proc/vmstat': text(counters), ...files })])
}

const said = (model: ReturnType<typeof moved>) =>
  plainLines(VIEWS.find(each => each.name === 'reclaim')?.panel(model, DEFAULT_UI, { width: 200, height: 60 }).rows ?? [])

describe('the panel of reclaim', () => {
  it('says when nobody reclaims', () => {
    expect(said(moved({}))[0]).toMatch(/^Nobody reclaims now\. *$/)
  })

  it('tells kswapd from processes that reclaim themselves, and from limits of groups, which count for neither', () => {
    expect(said(moved({ pgscan_kswapd: 300, pgscan_file: 300, pgsteal_file: 300 }))[0]).toMatch(
      /^Kswapd reclaims: 300 pages\/s looked at, 100%/,
    )
    const both = said(moved({ pgscan_kswapd: 300, pgscan_direct: 100, pgscan_file: 400, pgsteal_file: 400, allocstall_movable: 3 })).join(
      ' ',
    )
    expect(both).toMatch(/^Kswapd and, for 25% of it, processes themselves reclaim/)
    expect(both).toMatch(/3 allocations\/s wait for memory/)
    expect(said(moved({ pgscan_file: 32, pgsteal_file: 32 }))[0]).toMatch(/^A limit or a request makes groups give pages back/)
  })

  it('warns of work for little, and says what goes and what comes back', () => {
    const text = said(
      moved({ pgscan_kswapd: 1000, pgscan_anon: 600, pgscan_file: 400, pgsteal_anon: 50, pgsteal_file: 50, workingset_refault_anon: 40 }),
    ).join(' ')
    expect(text).toMatch(/10% of them got; hard work for little/)
    expect(text).toMatch(/50% of what goes is anonymous; 40 pages\/s come back/)
  })

  it('says that pages age by generations only while they do', () => {
    expect(said(moved({}, { [LRU_GEN_ENABLED]: '0x0007\n' }))[0]).toMatch(/pages age by generations/)
    expect(said(moved({}, { [LRU_GEN_ENABLED]: '0x0000\n' }))[0]).not.toMatch(/generations/)
  })

  it('has a row for each kind in its table; what is reclaimed of nothing is no percentage', () => {
    const { columns, rows } = TABLES.reclaim(moved({ pgscan_anon: 8, pgsteal_anon: 2 }))
    const at = (row: number, name: string) => rows[row][columns.indexOf(name)]
    expect(rows).toHaveLength(2)
    expect([at(0, 'reclaim_kind'), at(0, 'scanned_pages_per_second'), at(0, 'efficiency_percent')]).toEqual(['anon', 8, 25])
    expect([at(1, 'reclaim_kind'), at(1, 'efficiency_percent')]).toEqual(['file', undefined])
  })
})
