import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Model } from '../../src/sample/model.ts'
import { drawPanel } from '../../src/view/chart_text.ts'
import { fieldOf } from '../../src/view/fields.ts'
import { rowWidth } from '../../src/view/layout.ts'
import { DEFAULT_UI, type Panel, type PanelUi, plain } from '../../src/view/panel.ts'
import { header } from '../../src/view/panels/header.ts'
import { tabName, VIEWS, viewNamed } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom, modelOf } from './models.ts'

const viewOf = (name: string) => VIEWS.find(view => view.name === name)?.panel ?? VIEWS[0].panel
const linesOf = (panel: Panel, ascii = false) => drawPanel(panel, ascii).map(row => plain(row).trimEnd())
const show = (name: string, model: Model, ui: Partial<PanelUi> = {}, width = 100, height = 30) =>
  linesOf(viewOf(name)(model, { ...DEFAULT_UI, ...ui }, { width, height }))
const NAMES = ['numa-policies', 'thp-khugepaged-none', 'cgroup-memory-max', 'zswap-lzo', 'hugetlb-mempolicy'] as const

describe('every panel', () => {
  const models = new Map<string, Model>()
  beforeAll(async () => {
    for (const name of NAMES) models.set(name, await modelOf(name, 2))
    models.set('empty', modelFrom([frameOf(0, {})]))
    models.set(
      'hostile',
      modelFrom(
        [1, 2].map(i =>
          frameOf(i * 1e9, {
            '/proc/7/stat': `7 (\x1b[2J日本語の長い名前👩‍👩‍👧‍👦${'x'.repeat(500)}) R 1 1 1 0 -1 0 ${i * 9e15} 0 0 0 0 0 0 0 20 0 1 0 0 9e99 18446744073709551615\n`,
            '/proc/vmstat': `${'k'.repeat(300)} 18446744073709551615\npgfault ${i}\nnr_free_pages 99999999999999999999\n`,
            '/proc/meminfo': 'MemTotal: 0 kB\nMemFree: 99999999999999999999 kB\nAnonPages: -5 kB\n',
            '/proc/zoneinfo': 'Node 0, zone \x07Evil\n  pages free 99999999999\n  min 1\n  low 0\n  high 0\n  managed 5\n',
            '/proc/buddyinfo': `Node 0, zone Normal ${'1 '.repeat(200)}\n`,
            '/mmtop/events': `${i} knob \x1b]0;title\x07\n`,
            '/mmtop/daemons': 'kswapd 0 running\n',
          }),
        ),
      ),
    )
  })

  it('fills its rectangle exactly, whatever the size, the source and the glyphs', () => {
    const anyUi = fc.record({
      ascii: fc.boolean(),
      moving: fc.boolean(),
      selected: fc.integer({ min: -1, max: 300 }),
      zoom: fc.integer({ min: 1, max: 600 }),
      scroll: fc.nat(40),
      filter: fc.constantFrom('', 'thp', '!p', '/^(nr|pg)_/', 'rate > 1', 'nothing > 1', '/[/', '日本'),
      open: fc.constantFrom('', '107', '7', 'nothing'),
      sort: fc.constantFrom(
        undefined,
        { key: 'name', descending: false },
        { key: 'value', descending: true },
        { key: 'no such', descending: true },
      ),
    })
    const size = fc.record({ width: fc.integer({ min: 20, max: 220 }), height: fc.integer({ min: 3, max: 70 }) })
    fc.assert(
      fc.property(
        fc.constantFrom(...models.keys()),
        fc.constantFrom(...VIEWS.map(view => view.name)),
        anyUi,
        size,
        (source, name, ui, wanted) => {
          const model = models.get(source) ?? modelFrom([frameOf(0, {})])
          const panel = viewOf(name)(model, { ...DEFAULT_UI, ...ui }, wanted)
          const rows = drawPanel(panel, ui.ascii)
          expect(rows.length).toBe(wanted.height)
          expect(rows.map(rowWidth).filter(width => width !== wanted.width).length).toBe(0)
          const text = rows.map(plain).join('\n')
          expect(text).not.toMatch(/[\p{Cf}\p{Co}\p{Cs}]|[^\n\P{Cc}]|NaN|undefined|Infinity/u)
          if (ui.ascii && source !== 'hostile') expect(text).toMatch(/^[\n -~]*$/)
          for (const chart of panel.charts) {
            expect(chart.left + chart.width).toBeLessThanOrEqual(wanted.width)
            expect(chart.top + chart.height).toBeLessThanOrEqual(wanted.height)
            expect(Number.isFinite(chart.spec.max) && chart.spec.max > 0).toBe(true)
            for (const series of chart.spec.series)
              expect(series.values.every(value => Number.isNaN(value) || value <= chart.spec.max)).toBe(true)
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  it('opens with words and ends complete without a limit of rows', () => {
    for (const name of NAMES)
      for (const view of VIEWS) {
        const model = models.get(name)
        if (model === undefined) continue
        const panel = view.panel(model, DEFAULT_UI, { width: 120, height: Number.POSITIVE_INFINITY })
        expect(plain(panel.rows[0])).toMatch(/^[A-Z0-9].*[a-z]/)
        expect(linesOf(panel).join('\n')).not.toMatch(/more rows/)
        expect(panel.below).toBe(0)
      }
  })

  it('knows the field of every figure that it shows', () => {
    for (const name of NAMES)
      for (const view of VIEWS) {
        const model = models.get(name)
        if (model === undefined) continue
        const abouts = view.panel(model, DEFAULT_UI, { width: 160, height: 60 }).rows.flatMap(row => row.flatMap(each => each.about ?? []))
        const scalars = abouts.filter(about => model.scalars.has(about))
        expect(scalars.filter(about => fieldOf(about).help.startsWith('Not described'))).toEqual([])
      }
  })

  it('keeps its columns in place when values change', () => {
    const calm = modelFrom([
      frameOf(0, { '/proc/vmstat': 'pgfault 1\nthp_split_pmd 2\n' }),
      frameOf(1e9, { '/proc/vmstat': 'pgfault 1\nthp_split_pmd 2\n' }),
    ])
    const busy = modelFrom([
      frameOf(0, { '/proc/vmstat': 'pgfault 1\nthp_split_pmd 2\n' }),
      frameOf(1e9, { '/proc/vmstat': 'pgfault 987654321987\nthp_split_pmd 2\n' }),
    ])
    const tail = (model: Model) => show('vmstat', model, {}, 120, 5).map(line => line.slice(0, 12))
    expect(tail(calm).slice(1)).toEqual(tail(busy).slice(1))
  })
})

describe('the header', () => {
  it('says what is watched, where memory is, and what happened', async () => {
    const model = await modelOf('zswap-lzo', 1)
    const lines = linesOf(header(model, DEFAULT_UI, { width: 140, height: 3 }))
    expect(lines[0]).toMatch(/^mmtop zswap-lzo · Linux 6\.1\.0.*00:00:02\.\d{3} ▶ x1$/)
    expect(lines[1]).toMatch(/^mem {2}█.*anon .*free \d+M\/455M$/)
    expect(lines[2]).toMatch(/^swap .*\/512M {2}zswap \S+ in \S+ \(\d\.\d:1\) {2}last /)
  })

  it('says when the pace is not what was asked for, in words as well as colour', () => {
    const base = modelFrom([
      frameOf(5e9, {
        '/proc/pressure/memory': 'some avg10=12.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0 avg300=0 total=0\n',
      }),
    ])
    const first = (pace: Partial<Model['pace']>) =>
      linesOf(header({ ...base, pace: { ...base.pace, ...pace } }, DEFAULT_UI, { width: 100, height: 3 }))
    expect(first({ speed: 10, ratio: 3.2 })[0]).toMatch(/▶ x10 \(x3\.2\)$/)
    expect(first({ paused: true })[0]).toMatch(/❚❚ paused$/)
    expect(first({ ended: true })[0]).toMatch(/■ ended$/)
    expect(first({ speed: Number.POSITIVE_INFINITY, ratio: 250 })[0]).toMatch(/▶ max \(x250\)$/)
    expect(first({})[1]).toMatch(/psi some 12%! full 0%$/)
  })

  it('says when it shows the past, and gives way from the right where there is little room', () => {
    const daemons = 'kswapd0 0 running\nkswapd1 1 sleeping\nkhugepaged - sleeping\n'
    const model = modelFrom([frameOf(5e9, { '/mmtop/daemons': daemons, '/proc/meminfo': 'MemTotal: 1000 kB\nMemFree: 1 kB\n' })])
    const first = (width: number, back = 0) => linesOf(header(model, { ...DEFAULT_UI, back }, { width, height: 3 }))[0]
    expect(first(100)).toMatch(/00:00:05\.000 ▶ x1 {2}kswapd ●○ {2}khugepaged ○$/)
    expect(first(100, 1)).toMatch(/00:00:05\.000 ◂◂ 1 sample back · ▶ x1 /)
    expect(first(60)).toMatch(/^mmtop test .*00:00:05\.000 ▶ x1$/)
    expect(first(34)).toMatch(/^mmtop test.* 00:00:05 ▶ x1$/)
  })
})

describe('subject panels say in words what the figures mean', () => {
  it('thp', async () => {
    const lines = show('thp', await modelOf('thp-khugepaged-none', 1))
    expect(lines[0]).toBe('100% of anonymous memory is huge (48.0M of 48.2M); enabled=always: any mapping may get them; most of')
    expect(lines.join('\n')).toMatch(/thp_collapse_alloc +6\.2\/s/)
    expect(lines.join('\n')).toMatch(/enabled ‹always› madvise never/)
    expect(lines.join('\n')).toMatch(/max_ptes_none 511/)
  })

  it('thp names the zone that has no block left when faults fall back', () => {
    const at = (ns: number, fallback: number) =>
      frameOf(ns, {
        '/proc/vmstat': `thp_fault_alloc 5\nthp_fault_fallback ${fallback}\n`,
        '/proc/meminfo': 'AnonPages: 4096 kB\nAnonHugePages: 2048 kB\n',
        '/proc/buddyinfo': 'Node 1, zone   Normal 5 5 5 0 0 0 0 0 0 0 0\nNode 0, zone Normal 0 0 0 0 0 0 0 0 0 3 1\n',
        '/sys/kernel/mm/transparent_hugepage/defrag': 'always defer [madvise] never\n',
        '/sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never\n',
      })
    const text = show('thp', modelFrom([at(0, 0), at(1e9, 188)]), {}, 200).join('\n')
    expect(text).toContain('50% of anonymous memory is huge')
    expect(text).toContain('0 huge faults/s, 188 fallbacks/s; no free 2 MiB block in node 1 Normal; defrag=madvise')
    expect(text).toMatch(/free N0 Normal +10\.0M +5 blocks/)
    expect(text).toMatch(/free N1 Normal +0 +0 blocks ▲ none/)
  })

  it('hugetlb', async () => {
    const text = show('hugetlb', await modelOf('hugetlb-mempolicy', 4), {}, 120).join('\n')
    expect(text).toMatch(/\d+ pages of 2M \(\S+\): \d+ in use, \d+ reserved, \d+ surplus/)
    expect(text).toMatch(/2M +N1/)
  })

  it('nodes', async () => {
    const text = show('nodes', await modelOf('numa-policies', 1), {}, 120).join('\n')
    expect(text).toMatch(/^Node 1 holds \d+% of the \S+ in use on 2 nodes;/)
    expect(text).toMatch(/N1 +21 +10/)
  })

  it('memory adds up to the whole', async () => {
    const text = show('memory', await modelOf('zswap-lzo', 1), {}, 120).join('\n')
    expect(text).toMatch(/19% of swap used/)
    expect(text).toMatch(/· free +313M +69%/)
  })

  it('zones and fragmentation', async () => {
    const model = await modelOf('numa-policies', 1)
    expect(show('zones', model)[0]).toMatch(/^Node \d DMA32 has \d+ times its low watermark free; no reclaim now\.$/)
    expect(show('fragmentation', model)[0]).toMatch(/free memory is in blocks of 2 MiB and more: \d+ huge pages without compaction/)
  })

  it('zones tell a zone below its watermarks by a word', () => {
    const zone = (free: number) =>
      `Node 0, zone   Normal\n  pages free     ${free}\n        min      100\n        low      150\n        high     200\n        managed  9000\n`
    expect(show('zones', modelFrom([frameOf(0, { '/proc/zoneinfo': zone(120) })])).join(' ')).toMatch(
      /below its low watermark: kswapd is wanted.*▲ low/,
    )
    expect(show('zones', modelFrom([frameOf(0, { '/proc/zoneinfo': zone(50) })])).join(' ')).toMatch(/below its min watermark.*▲ min/)
  })

  it('overview', async () => {
    const lines = show('overview', await modelOf('zswap-lzo', 1), {}, 80, 19)
    expect(lines[0]).toBe('313M of 455M free; 83.0k faults/s, 3.46k of them major; no reclaim.')
    expect(lines[2]).toMatch(/^ +time +free +anon +file +thp +flt\/s/)
    expect(lines.find(line => line.includes(' 87 '))).toMatch(/^ +87 A +96\.9M/)
  })
})

describe('lists', () => {
  let model: Model
  beforeAll(async () => {
    model = await modelOf('numa-policies', 1)
  })
  const listOf = (name: string, ui: Partial<PanelUi>) => viewOf(name)(model, { ...DEFAULT_UI, ...ui }, { width: 120, height: 20 }).list

  it('are filtered by text, by regular expression and by value', () => {
    expect(listOf('vmstat', { filter: 'thp_split' })?.ids.every(id => id.includes('thp_split'))).toBe(true)
    expect(listOf('vmstat', { filter: '/^thp_.*alloc$/' })?.ids).toContain('thp_fault_alloc')
    expect(
      listOf('vmstat', { filter: 'value > 100K & !nr_' })?.ids.every(id => (model.scalars.get(id) ?? 0) > 102400 && !id.startsWith('nr_')),
    ).toBe(true)
    expect(listOf('vmstat', { filter: 'ratee > 1' })?.problem).toBe('no column "ratee", did you mean "rate"?')
    expect(listOf('vmstat', { filter: '/(/' })?.problem).toBe('not a regular expression')
  })

  it('show only what moved', () => {
    const all = listOf('vmstat', {})?.ids ?? []
    const moving = listOf('vmstat', { moving: true })?.ids ?? []
    expect(all.length).toBe(model.sample.vmstat().size)
    expect(moving.length).toBeGreaterThan(0)
    expect(moving.length).toBeLessThan(all.length)
    expect(moving.every(id => model.scalars.get(id) !== model.before?.get(id))).toBe(true)
  })

  it('are sorted, and rows without a value come last either way', () => {
    const byRate = listOf('vmstat', { sort: { key: 'rate', descending: true } })?.ids ?? []
    expect(byRate[0]).toMatch(/^(pg|numa)/)
    expect(byRate.at(-1)).toMatch(/^nr_|^workingset_nodes$/)
    const byRss = listOf('processes', {})
    expect(byRss?.sort).toEqual({ key: 'rss_bytes', descending: true })
    expect(byRss?.ids[0]).toBe('112')
  })

  it('keep the selected row in sight and within the list', () => {
    const list = listOf('vmstat', { selected: 100 })
    expect(list?.first).toBeLessThanOrEqual(100)
    expect((list?.first ?? 0) + 18).toBeGreaterThan(100)
    expect(listOf('processes', { selected: 99 })?.selected).toBe((listOf('processes', {})?.ids.length ?? 0) - 1)
  })

  it('open a process area by area', () => {
    const panel = viewOf('processes')(model, { ...DEFAULT_UI, open: '112' }, { width: 160, height: 20 })
    const text = linesOf(panel).join('\n')
    expect(text).toMatch(/^Process L \(112\) has 16\.9M resident; 0% of it huge/)
    expect(text).toMatch(/not eligible/)
    expect(panel.wants).toEqual(['/proc/112/smaps', '/proc/112/numa_maps'])
  })
})

describe('a panel that is taller than its place', () => {
  it('says how much is hidden and can be scrolled to its end under its first line', async () => {
    const model = await modelOf('zswap-lzo', 1)
    const full = linesOf(viewOf('memory')(model, DEFAULT_UI, { width: 80, height: 18 }))
    expect(full.at(-1)).toMatch(/^… \d+ more rows$/)
    const { below } = viewOf('memory')(model, DEFAULT_UI, { width: 80, height: 18 })
    expect(below).toBeGreaterThan(0)
    const end = linesOf(viewOf('memory')(model, { ...DEFAULT_UI, scroll: below }, { width: 80, height: 18 }))
    expect(end[0]).toBe(full[0])
    expect(end.at(-1)).not.toMatch(/more rows/)
  })
})

describe('names of panels', () => {
  it('are the full one and the one on the tab, and none means two panels', () => {
    const names = VIEWS.flatMap(({ name, also = [] }) => [...new Set([name, ...also])])
    expect(new Set(names).size).toBe(names.length)
    expect(viewNamed('frag')?.name).toBe('fragmentation')
    expect(viewNamed('numa')?.name).toBe('nodes')
    for (const view of VIEWS) expect([viewNamed(view.name), viewNamed(tabName(view))]).toEqual([view, view])
    expect(viewNamed('nothing')).toBeUndefined()
  })
})
