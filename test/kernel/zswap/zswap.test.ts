import { describe, expect, it } from 'vitest'
import { EV } from '../../../src/kernel/base/counters.ts'
import { figure, run, zswapFigure } from './lab.ts'

const MACHINE = `machine mem=128M cpus=2 swap=64M modules=zsmalloc,lz4,zstd
cmdline transparent_hugepage=never zswap.enabled=1
spawn A
A mmap R 16M`

const PARAMETERS = '/sys/module/zswap/parameters'
const PAGES = 4096

describe('zswap', () => {
  it('keeps pages of one word as that word, others two to a page, and turns away what cannot be compressed', () => {
    const { k } = run(
      MACHINE,
      `A touch R write 0 4M content=const:7
       A touch R write 4M 8M content=comp:30
       A touch R write 12M 4M content=unique
       A madvise R pageout`,
    )
    expect(zswapFigure(k, 'same_filled_pages')).toBe(1024)
    expect(zswapFigure(k, 'stored_pages')).toBe(3072)
    expect(zswapFigure(k, 'pool_total_size')).toBe((2048 / 2) * 4096)
    expect([k.event[EV.zswpout], k.event[EV.pswpout]]).toEqual([3072, 1024])
    expect([figure(k, '/proc/meminfo', 'Zswap:'), figure(k, '/proc/meminfo', 'Zswapped:')]).toEqual([4096, 12288])
    // lzo does not say so when its output does not fit; a pool that finds a page too large does.
    expect(zswapFigure(k, 'reject_compress_poor')).toBe(0)
  })

  it('counts pages that compress but not enough to share one', () => {
    const { k } = run(MACHINE, 'A touch R write content=comp:95\nA madvise R pageout')
    expect(zswapFigure(k, 'reject_compress_poor')).toBe(PAGES)
    expect(zswapFigure(k, 'stored_pages')).toBe(0)
  })

  it('gives back what was written, and forgets it when nobody needs it', () => {
    const { k } = run(
      MACHINE,
      `A touch R write content=comp:40
       A madvise R pageout
       A check R content=comp:40
       A munmap R
       swapoff /dev/vda`,
    )
    expect(k.event[EV.zswpin]).toBeGreaterThanOrEqual(PAGES)
    expect([zswapFigure(k, 'stored_pages'), zswapFigure(k, 'pool_total_size')]).toEqual([0, 0])
  })

  it('keeps what is stored when it is switched off, and stores no more', () => {
    const { k } = run(
      MACHINE,
      `A touch R write content=comp:40
       A madvise R pageout 0 8M
       write ${PARAMETERS}/enabled N
       A madvise R pageout 8M 8M
       A check R content=comp:40`,
    )
    expect(k.event[EV.zswpout]).toBe(PAGES / 2)
    expect(k.event[EV.pswpout]).toBe(PAGES / 2)
    expect(zswapFigure(k, 'stored_pages')).toBe(PAGES / 2)
  })

  it('leaves the kinds of pages that it is told to leave', () => {
    const { k } = run(
      MACHINE,
      `write ${PARAMETERS}/non_same_filled_pages_enabled 0
       A touch R write 0 8M content=comp:40
       A touch R write 8M 8M content=zero
       A madvise R pageout
       write ${PARAMETERS}/same_filled_pages_enabled 0
       A touch R write 8M 8M content=const:1
       A madvise R pageout 8M 8M`,
    )
    expect([k.event[EV.zswpout], k.event[EV.pswpout]]).toEqual([PAGES / 2, PAGES])
  })

  it('keeps a pool of another kind or compressor until it is empty', () => {
    const { k, results } = run(
      MACHINE,
      `A touch R write content=comp:40
       A madvise R pageout 0 4M
       write ${PARAMETERS}/compressor lz4
       A madvise R pageout 4M 4M
       write ${PARAMETERS}/zpool zsmalloc
       A madvise R pageout 8M 4M
       write ${PARAMETERS}/zpool zbud
       write ${PARAMETERS}/compressor lzo
       A madvise R pageout 12M 4M
       A munmap R 4M 4M
       swapoff /dev/vda`,
    )
    expect(results).not.toContain('ENOENT')
    expect(k.zswap.pools.map(({ zpool, entries }) => `${zpool.kind} ${entries}`)).toEqual(['zbud 0'])
  })

  it('has one pool for each pair of both, whatever the order', () => {
    const { k } = run(
      MACHINE,
      `A touch R write content=comp:40
       A madvise R pageout 0 4M
       write ${PARAMETERS}/compressor zstd
       A madvise R pageout 4M 4M
       write ${PARAMETERS}/compressor lzo
       A madvise R pageout 8M 4M`,
    )
    expect(k.zswap.pools.map(({ entries }) => entries)).toEqual([2048, 1024])
  })

  it('turns pages away at its limit, writes old ones back, and takes more below the threshold', () => {
    const limit = `${MACHINE}\nwrite ${PARAMETERS}/max_pool_percent 4`
    const full = run(limit, 'A touch R write content=comp:40\nA madvise R pageout\nsleep 10')
    expect(zswapFigure(full.k, 'pool_limit_hit')).toBeGreaterThan(0)
    expect(zswapFigure(full.k, 'written_back_pages')).toBeGreaterThan(0)
    const pages = zswapFigure(full.k, 'pool_total_size') / 4096
    const most = Math.floor((full.k.totalramPages * 4) / 100)
    // The size was taken before the page that made room was freed.
    expect(pages).toBeLessThanOrEqual(most + 1)
    expect(pages).toBeGreaterThan(most - 8)
    expect(full.k.zswap.poolReachedFull).toBe(true)
    const { k } = run(
      limit,
      `A touch R write content=comp:40
       A madvise R pageout
       A munmap R 0 8M
       A mmap S 1M
       A touch S write content=comp:40
       A madvise S pageout
       A check R 8M 8M content=comp:40
       A check S content=comp:40`,
    )
    expect(k.zswap.poolReachedFull).toBe(false)
  })

  it('writes few pages back while many are turned away: its worker has the CPU in turns with who reclaims', () => {
    const { k } = run(
      MACHINE,
      `A touch R write content=comp:40
       A madvise R pageout 0 8M
       write ${PARAMETERS}/max_pool_percent 0
       A madvise R pageout 8M 8M`,
    )
    expect(zswapFigure(k, 'pool_limit_hit')).toBeGreaterThan(2000)
    expect(zswapFigure(k, 'written_back_pages')).toBeGreaterThan(50)
    expect(zswapFigure(k, 'written_back_pages')).toBeLessThan(600)
  })

  it('cannot make room in a pool that does not evict', () => {
    const { k } = run(
      MACHINE,
      `write ${PARAMETERS}/zpool zsmalloc
       write ${PARAMETERS}/max_pool_percent 1
       A touch R write content=comp:40
       A madvise R pageout
       sleep 10`,
    )
    expect(zswapFigure(k, 'reject_reclaim_fail')).toBeGreaterThan(0)
    expect(zswapFigure(k, 'written_back_pages')).toBe(0)
  })

  it('takes what the command line says before modules are loaded', () => {
    const { k } = run(
      'machine mem=128M modules=lz4\ncmdline zswap.compressor=lz4 zswap.zpool=zsmalloc zswap.max_pool_percent=7 zswap.enabled',
      'sleep 1',
    )
    expect([k.zswap.compressor, k.zswap.zpool, k.zswap.maxPoolPercent, k.zswap.enabled]).toEqual(['lzo', 'zbud', 7, true])
  })

  it('refuses what the real kernel refuses', () => {
    const { results } = run(
      'machine mem=128M modules=lz4',
      `write ${PARAMETERS}/enabled maybe
       write ${PARAMETERS}/zpool zsmalloc
       write ${PARAMETERS}/compressor 842
       write ${PARAMETERS}/compressor lz4
       write ${PARAMETERS}/max_pool_percent -1
       write ${PARAMETERS}/max_pool_percent 5000000000
       write ${PARAMETERS}/max_pool_percent 200
       write ${PARAMETERS}/accept_threshold_percent abc
       write /sys/kernel/debug/zswap/stored_pages 1`,
    )
    expect(results).toEqual(['EINVAL', 'ENOENT', 'ENOENT', '3', 'EINVAL', 'ERANGE', '3', 'EINVAL', 'EACCES'])
  })
})
