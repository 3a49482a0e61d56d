/** Machines of other kernels than 6.1: what they have more is shown, and what they lack is said to be lacking. */
import { describe, expect, it } from 'vitest'
import { rowColumns } from '../../src/view/headless/rows.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { TABLES } from '../../src/view/tables.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf, newerText } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

const SIZE = { width: 120, height: 60 }
const panelOf = (name: string, files: readonly Readonly<Record<string, string>>[]) => {
  const model = modelFrom(files.map((each, i) => frameOf((i + 1) * 1e9, each)))
  const view = VIEWS.find(each => each.name === name)
  if (view === undefined) throw new Error(`no view ${name}`)
  const panel = view.panel(model, DEFAULT_UI, SIZE)
  return { model, panel, text: plainLines(panel.rows).join('\n') }
}

/** vmstat and meminfo as 4.19 has them: without the counters of later years. */
const OLD = {
  '/proc/vmstat':
    'nr_free_pages 1000\nnr_zone_inactive_anon 5\nnr_slab_reclaimable 7\npgfault 100\npgmajfault 1\nthp_fault_alloc 3\nthp_fault_fallback 0\npswpin 0\npswpout 0\npgscan_kswapd 0\nof_that_kernel_only 12\n',
  '/proc/meminfo': 'MemTotal: 4096000 kB\nMemFree: 4000 kB\nAnonPages: 100000 kB\nAnonHugePages: 6144 kB\n',
}

const THP = '/sys/kernel/mm/transparent_hugepage/'
const NEW = (faults: number) => ({
  '/proc/vmstat': newerText('vmstat'),
  '/proc/meminfo': newerText('meminfo'),
  [`${THP}enabled`]: 'always [madvise] never\n',
  [`${THP}hugepages-64kB/enabled`]: 'always [inherit] madvise never\n',
  [`${THP}hugepages-64kB/shmem_enabled`]: 'always inherit within_size advise [never]\n',
  [`${THP}hugepages-64kB/stats/anon_fault_alloc`]: `${faults}\n`,
  [`${THP}hugepages-64kB/stats/nr_anon`]: '32\n',
  [`${THP}hugepages-1024kB/enabled`]: 'always inherit madvise [never]\n',
})

const DAMON = '/sys/kernel/mm/damon/admin/kdamonds/'
const CONTEXT = `${DAMON}0/contexts/0/`
const DAEMON = {
  [`${DAMON}nr_kdamonds`]: '1\n',
  [`${DAMON}0/state`]: 'on\n',
  [`${DAMON}0/pid`]: '77\n',
  [`${CONTEXT}operations`]: 'paddr\n',
  [`${CONTEXT}monitoring_attrs/intervals/sample_us`]: '500000\n',
  [`${CONTEXT}monitoring_attrs/intervals/aggr_us`]: '5000000\n',
  [`${CONTEXT}monitoring_attrs/nr_regions/min`]: '10\n',
  [`${CONTEXT}monitoring_attrs/nr_regions/max`]: '1000\n',
  [`${CONTEXT}schemes/nr_schemes`]: '1\n',
}
const SCHEME = {
  [`${CONTEXT}schemes/0/action`]: 'pageout\n',
  [`${CONTEXT}schemes/0/access_pattern/age/min`]: '12\n',
  [`${CONTEXT}schemes/0/access_pattern/age/max`]: '4294967295\n',
  [`${CONTEXT}schemes/0/stats/sz_applied`]: '1048576\n',
}

describe('an old kernel', () => {
  it('shows the counters that it has, also those that nobody knows', () => {
    expect(panelOf('vmstat', [OLD]).text).toMatch(/of_that_kernel_only +12/)
  })

  it('says which of a panel it does not have', () => {
    const { text, model } = panelOf('thp', [OLD, OLD])
    expect(text).toMatch(/thp_fault_alloc +0\/s/)
    expect(text).toMatch(/not in this recording: thp_collapse_alloc thp_/)
    const here = { ...model, kind: 'host' as const }
    const [thp] = VIEWS.filter(view => view.name === 'thp').map(view => plainLines(view.panel(here, DEFAULT_UI, SIZE).rows).join('\n'))
    expect(thp).toContain('not on this kernel: thp_collapse_alloc')
  })

  it('says so of a counter that is looked for', () => {
    const { model } = panelOf('vmstat', [OLD])
    const [vmstat] = VIEWS.filter(view => view.name === 'vmstat').map(view =>
      view.panel(model, { ...DEFAULT_UI, filter: 'thp_split_pmd' }, SIZE),
    )
    expect(plainLines(vmstat.rows)[0]).toMatch(/^Counter thp_split_pmd is not in this recording/)
  })

  it('says so too where a figure is asked for by name', () => {
    const { model } = panelOf('vmstat', [OLD])
    expect(() => rowColumns({ ...model, kind: 'host' }, ['thp_split_pmd'])).toThrow('"thp_split_pmd" is not on this kernel')
    expect(() => rowColumns(model, ['nonsense'])).toThrow('no figure "nonsense"')
  })

  it('has no rows of huge pages by size, and no DAMON', () => {
    expect(panelOf('thp', [OLD]).text).not.toContain('by size')
    expect(panelOf('workingset', [OLD]).text).toMatch(/DAMON, which tells it of real ones, is not in this\s+recording/)
  })
})

describe('a new kernel', () => {
  it('shows huge pages of each size with their knobs, counts and rates', () => {
    const { text, model } = panelOf('thp', [NEW(100), NEW(150)])
    expect(text).toMatch(/64K inherit +never +2\.00M +50 /)
    expect(text).toMatch(/1M never /)
    expect(text).toMatch(/2\.00M more in smaller sizes/)
    expect(TABLES['thp_sizes'](model).rows[0].slice(0, 5)).toEqual([65536, 'inherit', 'never', 2097152, 50])
  })

  it('finds what DAMON does step by step, from what was read before', () => {
    const first = panelOf('workingset', [OLD])
    expect(first.panel.wants).toContain(`${DAMON}nr_kdamonds`)
    const second = panelOf('workingset', [{ ...OLD, ...DAEMON }])
    expect(second.panel.wants).toContain(`${CONTEXT}schemes/0/action`)
    expect(second.text).toMatch(/on, process 77: physical memory; samples every 500ms, aggregates 5s, 10 to 1000 regions/)
    const { text, model } = panelOf('workingset', [{ ...OLD, ...DAEMON, ...SCHEME }])
    expect(text).toMatch(/DAMON: 1 of 1 daemon on; 1\.00M given up or moved/)
    expect(text).toMatch(/pageout .*12 and more/)
    expect(TABLES['damon'](model).rows[0][0]).toBe('pageout')
  })

  it('is not misled by counts that cannot be', () => {
    const { panel } = panelOf('workingset', [{ ...OLD, [`${DAMON}nr_kdamonds`]: '999999999999\n' }])
    expect(panel.wants.length).toBeLessThan(1000)
    expect(panelOf('workingset', [{ ...OLD, [`${DAMON}nr_kdamonds`]: '-1\n' }]).text).toContain('nobody runs it')
  })
})
