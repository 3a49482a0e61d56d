import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { growth, kindOf } from '../../src/sample/counters.ts'
import { applyText, diffText } from '../../src/sample/delta.ts'
import { basePaths } from '../../src/sample/files.ts'
import { levels, newHistory, perSecond, push, timesOf } from '../../src/sample/history.ts'
import { changeOf, feed, modelAt, newTracker, rateOf, reach, sinceStart, type Tracker } from '../../src/sample/model.ts'
import { frameAt, newTape, recordFrame } from '../../src/sample/tape.ts'
import { frameOf, lastFrame, openFixture, PLAYING } from '../fixtures/load.ts'

const SECOND = 1e9

describe('rates and totals', () => {
  let tracker: Tracker
  beforeEach(() => {
    tracker = newTracker({ kind: 'host', title: 'a\x1bb', tunables: [] }, 8, 100)
  })
  const step = (seconds: number, pgfault: number, free: number, events = '') =>
    feed(
      tracker,
      frameOf(seconds * SECOND, { '/proc/vmstat': `nr_free_pages ${free}\npgfault ${pgfault}\n`, '/mmtop/events': events }),
      PLAYING,
    )

  it('has no rate before the second sample', () => {
    const model = step(10, 100, 5)
    expect(rateOf(model, 'pgfault')).toBeUndefined()
    expect(sinceStart(model, 'pgfault')).toBe(0)
    expect(model.title).toBe('a?b')
  })

  it('divides by the machine time that passed', () => {
    step(10, 100, 50)
    const model = step(12, 300, 40)
    expect(rateOf(model, 'pgfault')).toBe(100)
    expect(changeOf(model, 'nr_free_pages')).toBe(-10)
    expect(sinceStart(model, 'nr_free_pages')).toBe(-10)
  })

  it('goes on counting when a counter begins again', () => {
    step(1, 100, 0)
    step(2, 180, 0)
    const model = step(3, 30, 0)
    expect(rateOf(model, 'pgfault')).toBe(30)
    expect(sinceStart(model, 'pgfault')).toBe(110)
  })

  it('counts a counter that appears later from there', () => {
    feed(tracker, frameOf(0, { '/proc/vmstat': 'pgfault 1\n' }), PLAYING)
    const model = feed(tracker, frameOf(SECOND, { '/proc/vmstat': 'pgfault 1\nthp_new 500\n' }), PLAYING)
    expect(sinceStart(model, 'thp_new')).toBe(0)
    expect(rateOf(model, 'thp_new')).toBeUndefined()
  })

  it('begins a new past after a jump back', () => {
    step(10, 100, 0, '9000000000 op a\n')
    step(11, 200, 0, '10500000000 op b\n')
    const model = step(10, 100, 0)
    expect(model.previous).toBeUndefined()
    expect(rateOf(model, 'pgfault')).toBeUndefined()
    expect(model.events.map(event => event.text)).toEqual(['a'])
    expect(levels(model.history, 'pgfault', model.seq, 10)).toEqual([100])
  })

  it('can go back to any kept moment', () => {
    for (let i = 0; i < 90; i++) step(i, i * i, i, `${i * SECOND} op step ${i}\n`)
    expect(reach(tracker)).toBe(89)
    const past = modelAt(tracker, 30)
    expect(past?.sample.ns).toBe(59 * SECOND)
    expect(past && rateOf(past, 'pgfault')).toBe(59 * 59 - 58 * 58)
    expect(past && sinceStart(past, 'pgfault')).toBe(59 * 59)
    expect(past?.events.at(-1)?.text).toBe('step 59')
    expect(modelAt(tracker, 0)).toBe(tracker.model)
    expect(modelAt(tracker, 90)).toBeUndefined()
  })

  it('tells totals from levels, also those of kernels to come', () => {
    expect(['pgfault', 'nr_written', 'workingset_refault_anon', 'N0.numa_hit', 'ksm_full_scans', 'future_event'].map(kindOf)).toEqual(
      Array(6).fill('counter'),
    )
    const levelsOf = [
      'nr_free_pages',
      'MemFree',
      'workingset_nodes',
      'N0.DMA.free',
      'N0.DMA.order3',
      'hugetlb_2048kB_nr_hugepages',
      'ksm_pages_shared',
      'psi_some_avg10',
    ]
    expect(levelsOf.map(kindOf)).toEqual(Array(8).fill('gauge'))
    expect(kindOf('psi_some_total')).toBe('counter')
    expect(growth(Number.NaN, 1)).toBeNaN()
    expect(growth(1, Number.NaN)).toBeNaN()
  })
})

describe('history', () => {
  it('keeps the last samples of every series and nothing more', () => {
    const history = newHistory(4)
    for (let i = 0; i < 6; i++) push(history, i * SECOND, new Map(i === 3 ? [] : [['a', i * 10]]))
    expect(levels(history, 'a', 5, 10)).toEqual([20, Number.NaN, 40, 50])
    expect(timesOf(history, 5, 2)).toEqual([4 * SECOND, 5 * SECOND])
    expect(perSecond(history, 'a', 5, 10)).toEqual([Number.NaN, Number.NaN, 10])
    expect(levels(history, 'a', 4, 2)).toEqual([Number.NaN, 40])
    expect(levels(history, 'never', 5, 2)).toEqual([Number.NaN, Number.NaN])
  })

  it('does not grow with the number of names a hostile machine invents', () => {
    const history = newHistory(2)
    for (let i = 0; i < 100; i++) push(history, i, new Map(Array.from({ length: 200 }, (_, k) => [`${i}-${k}`, k])))
    expect(history.series.size).toBeLessThanOrEqual(8192)
  })
})

describe('deltas', () => {
  it('turn any text into any other', () => {
    const text = fc.array(fc.string({ unit: 'binary', maxLength: 6 }), { maxLength: 8 }).map(lines => lines.join('\n'))
    fc.assert(fc.property(text, text, (before, after) => applyText(before, diffText(before, after)) === after))
  })

  it('hold only what changed', () => {
    expect(diffText('a 1\npgfault 70498\nz 0\n', 'a 1\npgfault 70512\nz 0\n')).toBe('1 10 0 512')
    const lines = Array.from({ length: 50 }, (_, i) => `mapping ${i}`)
    expect(diffText(lines.join('\n'), lines.filter((_, i) => i !== 20).join('\n'))).toBe('~20 29')
  })

  it('refuse patches that do not fit', () => {
    for (const patch of ['5 0 0 x', '0 9 0 x', '0 0', '~9 9', '~x', 'rubbish', '-1 0 0 x'])
      expect(applyText('ab\ncd', patch)).toBeUndefined()
    expect(applyText(undefined, '0 0 0 x')).toBeUndefined()
  })

  it('give back every frame of a tape', async () => {
    const recording = await openFixture('thp-khugepaged-none')
    const tape = newTape(1000)
    for (let i = 0; i < recording.count; i++) recordFrame(tape, i, recording.frame(i))
    for (let i = 0; i < recording.count; i++) {
      const back = frameAt(tape, i)
      expect(back?.ns).toBe(recording.frame(i).ns)
      expect(new Map([...(back?.files ?? [])].sort())).toEqual(new Map([...recording.frame(i).files].sort()))
    }
    expect(frameAt(tape, recording.count)).toBeUndefined()
  })
})

describe('the files of a frame', () => {
  it('are those that the real kernel was recorded with', async () => {
    const frame = await lastFrame('numa-policies')
    const paths = new Set(basePaths({ nodes: [0, 1], hugepageSizesKb: [2048, 1048576], pids: [], cgroups: [] }))
    const machine = [...frame.files.keys()].filter(path =>
      /^\/(proc\/[a-z]+$|sys\/(kernel\/debug|kernel\/mm\/(ksm|transparent)|devices\/system\/node|module))/.test(path),
    )
    const missing = machine.filter(path => !paths.has(path) && !path.endsWith('/demote_size'))
    expect(missing).toEqual(['/proc/cmdline', '/proc/iomem', '/proc/filesystems'])
  })
})
