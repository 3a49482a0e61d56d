import { beforeAll, describe, expect, it } from 'vitest'
import { parseMaps, parseNumaMaps, parseSmaps } from '../../../src/sample/parse/pid_maps.ts'
import { parsePidStat, parsePidStatm, parsePidStatus } from '../../../src/sample/parse/pid_stat.ts'
import type { Frame } from '../../../src/sample/source.ts'
import { busyFrame, newerText } from '../../fixtures/load.ts'

describe('the files of one process', () => {
  let frame: Frame
  let pid: string
  beforeAll(async () => {
    frame = await busyFrame('numa-policies')
    pid = [...frame.files.keys()].map(path => /^\/proc\/(\d+)\//.exec(path)?.[1]).find(found => found !== undefined) ?? ''
  })
  const text = (name: string) => frame.files.get(`/proc/${pid}/${name}`) ?? ''

  it('reads status: memory in bytes, the rest as text', () => {
    const status = parsePidStatus(text('status'))
    expect(status.name).toBe('init')
    expect(status.bytes.get('VmRSS')).toBeGreaterThan(8 << 20)
    expect(status.texts.get('Mems_allowed_list')).toBe('0-1')
    expect(status.texts.get('State')).toBe('S (sleeping)')
  })

  it('reads smaps area by area, and maps and numa_maps agree with it', () => {
    const areas = parseSmaps(text('smaps'))
    expect(areas.length).toBeGreaterThan(0)
    expect(areas[0].bytes.get('Rss')).toBe(8 << 20)
    expect(areas[0].flags).toContain('rd')
    expect(areas[0].thpEligible).toBe(false)
    expect(parseMaps(text('maps')).map(area => area.start)).toEqual(areas.map(area => area.start))
    const numa = parseNumaMaps(text('numa_maps'))
    expect(numa.map(area => area.start)).toEqual(areas.map(area => area.start))
    const pages = [...numa[0].pages].filter(([key]) => /^N\d+$/.test(key)).reduce((sum, [, count]) => sum + count, 0)
    expect(pages * numa[0].pageBytes).toBe(areas[0].bytes.get('Rss'))
  })

  it('reads smaps_rollup of a newer kernel', () => {
    const [rollup] = parseSmaps(newerText('smaps_rollup'))
    expect(rollup.name).toBe('[rollup]')
    expect(rollup.bytes.get('Pss_Anon')).toBeGreaterThan(0)
  })

  it('reads stat by the last parenthesis, as names may hold any', () => {
    const stat = parsePidStat(
      '77 (a) R (b) S 1 77 77 0 -1 4194560 99 0 3 0 12 34 0 0 20 0 5 0 81755 3133440 383 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 2 0 0\n',
    )
    expect(stat).toMatchObject({ name: 'a) R (b', state: 'S', ppid: 1, minflt: 99, majflt: 3, utimeTicks: 12, stimeTicks: 34 })
    expect(stat).toMatchObject({ threads: 5, vsizeBytes: 3133440, rssPages: 383, cpu: 2 })
    expect(parsePidStat('')).toBeUndefined()
    expect(parsePidStat('77 (gone')).toBeUndefined()
  })

  it('reads statm', () => {
    expect(parsePidStatm('765 383 355 5 0 101 0\n')).toEqual({ sizePages: 765, residentPages: 383, sharedPages: 355, dataPages: 101 })
  })

  it('reads policies and huge pages of numa_maps', () => {
    const [area] = parseNumaMaps(
      '7f0000000000 interleave:0-1 file=/anon_hugepage\\040(deleted) huge anon=4 dirty=4 N0=2 N1=2 kernelpagesize_kB=2048\n',
    )
    expect(area).toMatchObject({ policy: 'interleave:0-1', huge: true, pageBytes: 2 << 20, file: '/anon_hugepage\\040(deleted)' })
    expect(area.pages.get('N1')).toBe(2)
  })

  it('keeps the name of a mapping', () => {
    const [heap, file] = parseMaps(
      '00400000-00500000 rw-p 00000000 00:00 0                          [heap]\n7f00-7f10 r-xp 00001000 08:01 12 /lib/a b.so\n',
    )
    expect(heap.name).toBe('[heap]')
    expect(file).toEqual({ start: '7f00', end: '7f10', perms: 'r-xp', name: '/lib/a b.so' })
  })
})
