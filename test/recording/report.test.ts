import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readSar, readVmstat } from '../../src/recording/report.ts'
import { rateOf } from '../../src/sample/model.ts'
import { UserError } from '../../src/user_error.ts'
import { modelFrom } from '../view/models.ts'

const VMSTAT = `procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st
16  0      0 18575144  99756 3754456  999  999   143   573  441 1202 62  6 32  0  0
 9  0   1024 18575100  99756 3754456    8   40    44   208 1016 2683 89 11  0  0  0
procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st
 9  0   1024 18575000  99756 3754456    4    0    44   208 1016 2683 89 11  0  0  0
`
const WIDE = `--procs-- -----------------------memory---------------------- ---swap-- -----io---- -system-- ----------cpu---------- -----timestamp-----
   r    b         swpd         free        inact       active   si   so    bi    bo   in   cs  us  sy  id  wa  st  gu                 UTC
   8    0            0     19226336        99792      3754828    0    0   143   573  441 1202  62   6  32   0   0   0 2026-12-31 23:59:58
   9    0            0     19226332        99792      3754828    0    0     0     0 1140 1995  94   6   0   0   0   0 2027-01-01 00:00:03
`
const SAR = `Linux 6.1.0-13-amd64 (db1) 	11/20/2026 	_x86_64_	(8 CPU)

11:50:01 PM   fault/s  majflt/s  pgscank/s pgscand/s pgsteal/s    %vmeff
11:55:01 PM    612.10      0.00      0.00      0.00      0.00      0.00
12:00:01 AM   1612.10      1.50     10.00      5.00     14.00     93.33
Average:      1112.10      0.75      5.00      2.50      7.00     93.33

11:50:01 PM kbmemfree   kbavail kbmemused  %memused  kbcached   kbfuture
11:55:01 PM   4010000  10010000   5012000     30.72   6543210         1
12:00:01 AM   3010000   9010000   6012000     36.85   6543210         1

11:50:01 PM kbswpfree kbswpused
11:55:01 PM   1048572         0
12:00:01 AM   1000000     48572
`

describe('the output of vmstat', () => {
  it('is levels and rates again, but for the rates of the first row', () => {
    const { frames, notes } = readVmstat(VMSTAT, 'f', 2e9)
    expect(frames.map(({ ns }) => ns)).toEqual([0, 2e9, 4e9])
    const model = modelFrom(frames)
    expect(model.scalars.get('MemFree')).toBe(18575000 * 1024)
    expect(model.scalars.get('SwapUsed')).toBe(1024 * 1024)
    expect(rateOf(model, 'pswpin')).toBe(1)
    expect(rateOf(modelFrom(frames.slice(0, 2)), 'pswpout')).toBe(10)
    expect(rateOf(model, 'pgpgout')).toBe(208)
    expect(model.scalars.has('pgfault')).toBe(false)
    expect(notes.join()).toMatch(/no times .* every 2 s is assumed/)
  })

  it('has its times from -t, over the end of a year, and other columns from -a', () => {
    const { frames, notes } = readVmstat(WIDE, 'f', 1e9)
    expect(frames.map(({ ns }) => ns)).toEqual([0, 5e9])
    expect(modelFrom(frames).scalars.get('Active')).toBe(3754828 * 1024)
    expect(notes.join()).not.toMatch(/no times/)
  })

  it('is told from other texts, with the line', () => {
    expect(() => readVmstat('hello\n', 'f', 1e9)).toThrow('no line of vmstat')
    expect(() => readVmstat('', 'f', 1e9)).toThrow('no row of figures')
  })
})

describe('the output of sar', () => {
  it('is put together from its sections by time, over midnight', () => {
    const { frames, notes } = readSar(SAR, 'f')
    expect(frames.map(({ ns }) => ns)).toEqual([0, 300e9])
    const model = modelFrom(frames)
    expect(model.scalars.get('MemFree')).toBe(3010000 * 1024)
    expect(model.scalars.get('SwapTotal')).toBe(1048572 * 1024)
    expect(rateOf(model, 'pgfault')).toBeCloseTo(1612.1, 1)
    expect(rateOf(model, 'pgscan_direct')).toBe(5)
    expect(model.sample.machine().get('model')).toBe('Linux 6.1.0-13-amd64')
    expect(Math.round((model.scalars.get('MemTotal') ?? 0) / 2 ** 30)).toBe(16)
    expect(notes.join('\n')).toMatch(/not kept: .*kbfuture/)
  })

  it('may have decimal commas and times of 24 hours', () => {
    const { frames } = readSar('23:50:01 fault/s majflt/s\n23:55:01 10,50 0,00\n00:00:01 20,50 0,00\n', 'f')
    expect(rateOf(modelFrom(frames), 'pgfault')).toBeCloseTo(20.5, 1)
  })

  it('is told from other texts', () => {
    expect(() => readSar('hello\n', 'f')).toThrow('no line of sar')
    expect(() => readSar('12:00:01 AM CPU %user\n12:10:01 AM all 1.00\n', 'f')).toThrow('no figures of memory')
    expect(() => readSar('12:00:01 AM constructor\n12:10:01 AM 1.00\n', 'f')).toThrow('no figures of memory')
  })
})

it('any text is read, or refused as the user error that it is', () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom(...`${VMSTAT}${WIDE}${SAR}`.split('\n')))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const text = pieces.join('\n')
      for (const read of [() => readVmstat(text, 'f', 1e9), () => readSar(text, 'f')]) {
        try {
          const { frames } = read()
          for (const [i, { ns }] of frames.entries()) expect(ns).toBeGreaterThan(frames[i - 1]?.ns ?? -1)
        } catch (error) {
          expect(error).toBeInstanceOf(UserError)
        }
      }
    }),
    { numRuns: 300 },
  )
})
