/** A simulated machine as the rest of the program sees it: run on, recorded, offered as a source. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NS } from '../../src/kernel/base/counters.ts'
import type { Frame, Source } from '../../src/sample/source.ts'
import { openDirect } from '../../src/sim/direct.ts'
import { keepRegions, recordRaw } from '../../src/sim/raw.ts'
import { createSimulation, hasEnded, runLine, runOp, runToEnd, runUntil } from '../../src/sim/simulation.ts'
import { openSimulation, type SimulationSource } from '../../src/sim/source.ts'
import { UserError } from '../../src/user_error.ts'
import { parseWorkload } from '../../src/workload/parse.ts'
import { describeSource } from '../sample/source_suite.ts'

const TEXT = `title A small machine
machine mem=256M cpus=2
cmdline transparent_hugepage=never
spawn A
A mmap heap 32M
A touch heap write
sample full
expect /proc/vmstat:pgfault ge +8192
bg A
  loop
    touch heap write pattern=zipf rate=20M/s for=500
    sleep 100
  end
end
sleep 3s
expect /proc/meminfo:MemTotal lt 0
write /proc/sys/vm/overcommit_ratio 7
A munmap heap
sleep 500
`
const program = (text = TEXT) => parseWorkload(text, 'small.workload')
const ignore = () => undefined

describe('a setting', () => {
  const withSetting = (path: string, value: string) => () => createSimulation(program(), { settings: [{ path, value }] })

  it('is refused with the errno of the kernel, and the nearest name where there is no such knob', () => {
    expect(withSetting('/proc/sys/vm/swappiness', '300')).toThrow('--set /proc/sys/vm/swappiness=300: EINVAL')
    expect(withSetting('/proc/sys/vm/swapiness', '3')).toThrow('ENOENT: did you mean /proc/sys/vm/swappiness?')
    expect(withSetting('swappiness', '3')).toThrow('ENOENT: did you mean /proc/sys/vm/swappiness?')
  })
})

describe('running', () => {
  it('shows a long call at work to who looks, though nobody else wants its CPU', () => {
    const text = 'machine mem=1G cpus=1\ncmdline transparent_hugepage=never\nspawn A\nA mmap a 700M flags=populate\n'
    const sim = createSimulation(program(text))
    const seen = [20e6, 1e9].map(ns => {
      runUntil(sim, ns, ignore)
      return sim.k.nodes[0].stat[NS.nr_anon_pages]
    })
    expect(seen[0]).toBeGreaterThan(0)
    expect(seen[1]).toBeGreaterThan(seen[0] + 10_000)
  })

  it('goes to a moment, or to the next op, or to the end', () => {
    const sim = createSimulation(program())
    expect(runOp(sim, ignore)?.statement.text).toBe('spawn A')
    expect(runUntil(sim, 1e9, ignore)).toBe(true)
    expect(sim.ns).toBe(1e9)
    runToEnd(sim, ignore)
    expect(hasEnded(sim)).toBe(true)
    expect(sim.ns).toBeGreaterThan(3.5e9)
  })

  it('keeps the expects that did not hold', () => {
    const sim = createSimulation(program())
    runToEnd(sim, ignore)
    expect(sim.failures).toMatchObject([{ line: 16, text: 'expect /proc/meminfo:MemTotal lt 0' }])
    expect(Number(sim.failures[0].found)).toBeGreaterThan(100_000)
  })

  it('stops between steps when it is told to, and goes on from there', () => {
    const sim = createSimulation(program())
    expect(runUntil(sim, 2e9, ignore, () => true)).toBe(false)
    expect(sim.ns).toBeLessThan(2e9)
    expect(runUntil(sim, 2e9, ignore)).toBe(true)
  })

  it('writes settings before line 1, and refuses those that the kernel refuses', () => {
    const settings = [{ path: '/proc/sys/vm/overcommit_ratio', value: '33' }]
    const sim = createSimulation(program(), { settings })
    expect(sim.k.sysctl.overcommit_ratio).toBe(33)
    const wrong = [{ path: '/proc/sys/vm/overcommit_ratio', value: 'lots' }]
    expect(() => createSimulation(program(), { settings: wrong })).toThrow(UserError)
  })

  it('recounts the machine after every op when it is told to', () => {
    const sim = createSimulation(program(), { verify: true })
    runUntil(sim, 1e9, ignore)
    sim.k.zones.find(zone => zone.presentPages > 0)?.nrFree.fill(0)
    expect(() => runToEnd(sim, ignore)).toThrow(/after "A? ?(sleep|touch)/)
  })

  it('executes a line of the prompt while the workload goes on', () => {
    const sim = createSimulation(program())
    runUntil(sim, 1e9, ignore)
    expect(runLine(sim, 'spawn B', ignore)?.ret).toBeGreaterThan(1)
    expect(runLine(sim, 'B mmap b 1M', ignore)?.ret).toBe(0)
    expect(runLine(sim, 'B touch b write', ignore)?.ret).toBe(256)
    expect(runLine(sim, 'A touch heap read', ignore)?.err).toBe('EBUSY')
    expect(runLine(sim, '', ignore)).toBeUndefined()
    expect(() => runLine(sim, 'B tuch b', ignore)).toThrow(UserError)
    expect(sim.ns).toBeLessThan(1.1e9)
  })
})

describe('a raw recording', () => {
  const lines = (text = TEXT) => {
    const written: string[] = []
    recordRaw(program(text), {}, line => written.push(line))
    return written
  }

  it('has a header, a line an op in order of their ends, and an end', () => {
    const records = lines().map(line => JSON.parse(line))
    expect(records[0]).toMatchObject({ event: 'header', format: 1, machine: 'machine mem=256M cpus=2' })
    expect(records[0].tunables['/proc/sys/vm/swappiness']).toBe('60\n')
    expect(records[0].tunables['/proc/sys/vm/drop_caches']).toBeUndefined()
    expect(records.at(-1)).toMatchObject({ event: 'end' })
    const touch = records.find(({ op }) => op === 'A touch heap write')
    expect(touch).toMatchObject({ i: 6, ret: 8192, minflt: 8192, majflt: 0 })
    for (const { t_ns } of records.slice(1)) expect(Number.isInteger(t_ns)).toBe(true)
  })

  it('holds the files and the processes in a sample, with the mappings of named regions only', () => {
    const sample = lines()
      .map(line => JSON.parse(line))
      .find(record => record.sample === 'full')
    expect(Object.keys(sample.files).slice(0, 6)).toEqual(
      ['vmstat', 'meminfo', 'zoneinfo', 'buddyinfo', 'pagetypeinfo', 'swaps'].map(name => `/proc/${name}`),
    )
    const { pid, regions, smaps, maps, status, numa_maps } = sample.workers.A
    expect(pid).toBeGreaterThan(1)
    expect(regions).toEqual({ heap: { addr: '0x200000000000', len: 32 * 2 ** 20 } })
    expect(maps.trim().split('\n')).toHaveLength(1)
    expect(smaps).toMatch(/^200000000000-200002000000 rw-p/)
    expect(smaps).toMatch(/\nRss: +32768 kB\n/)
    expect(numa_maps).toMatch(/^200000000000 /)
    expect(status).toMatch(/^Name:/)
  })

  it('is the same bytes every time', () => {
    expect(lines().join('')).toBe(lines().join(''))
  })

  it('keeps the lines of mappings that overlap a region', () => {
    const text = '1000000-1001000 rw-p x\nSize: 4 kB\n2000000-2001000 r--p\nSize: 8 kB\n1001000-1003000 ---p\nRss: 1 kB\n'
    expect(keepRegions(text, [{ address: 0x1000800, bytes: 0x900 }])).toBe(
      '1000000-1001000 rw-p x\nSize: 4 kB\n1001000-1003000 ---p\nRss: 1 kB\n',
    )
    expect(keepRegions('2000000 default\n3000000 bind:0\n', [{ address: 0x3000000, bytes: 1 }])).toBe('3000000 bind:0\n')
  })
})

const SECOND = 1e9
const direct = async () => openDirect(program(), {}, { intervalNs: SECOND })

describeSource('a simulation in this thread', direct)

describe('a simulation in this thread', () => {
  it('gives frames at multiples of the interval, at the moments asked for, and at the end', async () => {
    const source = openDirect(program(), {}, { intervalNs: SECOND, moments: [1.25e9, 2e9] })
    const frames: Frame[] = []
    for (let frame = await source.next(); frame !== undefined; frame = await source.next()) frames.push(frame)
    expect(frames.slice(0, -1).map(({ ns }) => ns / SECOND)).toEqual([0, 1, 1.25, 2, 3])
    expect(frames.at(-1)?.ns).toBeGreaterThan(3.5 * SECOND)
    expect(source.pace().ended).toBe(true)
    expect(source.failures()).toHaveLength(1)
  })

  it('tells beside the files what each process does and what happened', async () => {
    const source = await direct()
    await source.next()
    const files = (await source.next())?.files
    expect(files?.get('/mmtop/machine')).toMatch(/^title A small machine\nworkload small.workload\nseed 1\n/)
    expect(files?.get('/mmtop/activity')).toMatch(/^\d+ touch heap write pattern=zipf|sleep/)
    expect(files?.get('/mmtop/tasks')).toMatch(/^\d+ \d+ 0 A\n$/)
    expect(files?.get('/mmtop/events')).toMatch(/ op A touch heap write = 8192\n/)
    expect(files?.get('/mmtop/costs')).toMatch(/^fault_entry \d+\n/)
  })

  it('adds the files that are watched, and answers writes and lines', async () => {
    const source = await direct()
    source.watch(['/proc/1/smaps_rollup'])
    expect((await source.next())?.files.get('/proc/1/smaps_rollup')).toMatch(/^Rss:|\[rollup\]/m)
    expect(await source.write('/proc/sys/vm/overcommit_ratio', '20')).toEqual({ errno: '', text: '' })
    expect(await source.write('/proc/sys/vm/overcommit_ratio', 'x')).toMatchObject({ errno: 'EINVAL' })
    expect(await source.read('/proc/sys/vm/overcommit_ratio')).toBe('20\n')
    expect(await source.run('A mmap more 1M')).toMatchObject({ errno: '' })
    expect(await source.run('A mmap more 1M')).toMatchObject({ errno: 'EEXIST' })
    expect(await source.run('A mmp')).toMatchObject({ errno: 'EINVAL', text: expect.stringContaining('did you mean') })
  })
})

describe('a simulation in a thread of its own', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mmtop-sim-'))
  const file = pathToFileURL(join(dir, 'sim_worker.mjs'))
  const open = (speed: number, text = TEXT): Promise<SimulationSource> =>
    openSimulation(program(text), {}, { intervalNs: SECOND, speed }, file)
  let source: Source | undefined
  const opened = async (speed: number, text = TEXT) => {
    const simulation = await open(speed, text)
    source = simulation
    return simulation
  }

  beforeAll(async () => {
    const entryPoints = [new URL('../../src/sim/worker.ts', import.meta.url).pathname]
    await build({ entryPoints, outfile: join(dir, 'sim_worker.mjs'), bundle: true, format: 'esm', platform: 'node', logLevel: 'error' })
  })
  afterAll(async () => {
    await source?.close()
    rmSync(dir, { recursive: true, force: true })
  })

  describeSource('a simulation in a thread', () => open(Number.POSITIVE_INFINITY))

  it('gives the frames that the other kind gives', async () => {
    const texts = async (each: Source) => {
      const seen: string[] = []
      for (let frame = await each.next(); frame !== undefined; frame = await each.next())
        seen.push(JSON.stringify([frame.ns, ...frame.files]))
      await each.close()
      return seen
    }
    expect(await texts(await opened(Number.POSITIVE_INFINITY))).toEqual(await texts(await direct()))
  })

  it('keeps to the pace that is asked for, and changes it on the way', async () => {
    const paced = await opened(4)
    await paced.next()
    const startMs = performance.now()
    const frame = await paced.next()
    expect(frame?.ns).toBeGreaterThan(0)
    expect(performance.now() - startMs).toBeLessThan(2000)
    paced.transport?.speed(Number.POSITIVE_INFINITY)
    let last: Frame | undefined
    for (let next = await paced.next(); next !== undefined; next = await paced.next()) last = next
    expect(last?.ns).toBeGreaterThan(3 * SECOND)
    expect(paced.pace()).toMatchObject({ ended: true })
    expect(paced.failures()).toHaveLength(1)
    await paced.close()
  })

  it('stands still while it is paused, and steps by an op, a millisecond, a sample', async () => {
    const stepping = await opened(Number.POSITIVE_INFINITY)
    await stepping.next()
    stepping.transport?.pause(true)
    const first = await stepped(stepping, 'op')
    expect(first.files.get('/mmtop/events')).toMatch(/ op spawn A/)
    const second = await stepped(stepping, 'ms')
    expect(second.ns - first.ns).toBeCloseTo(1e6, -3)
    expect((await stepped(stepping, 'sample')).ns).toBe(SECOND)
    await stepping.close()
  })

  it('shows a knob that was turned while it is paused', async () => {
    const paused = await opened(1)
    await paused.next()
    paused.transport?.pause(true)
    const next = paused.next()
    expect(await paused.write?.('/proc/sys/vm/overcommit_ratio', '11')).toEqual({ errno: '', text: '' })
    expect((await next)?.files.get('/proc/sys/vm/overcommit_ratio')).toBe('11\n')
    expect(await paused.run?.('spawn Z')).toMatchObject({ errno: '' })
    expect(await paused.read('/proc/nothing')).toBeUndefined()
    await paused.close()
  })

  it('refuses at once what cannot be', async () => {
    const settings = [{ path: '/proc/sys/vm/nothing', value: '1' }]
    await expect(openSimulation(program(), { settings }, { intervalNs: SECOND, speed: 1 }, file)).rejects.toThrow(UserError)
  })
})

async function stepped(source: Source, by: 'op' | 'ms' | 'sample'): Promise<Frame> {
  const next = source.next()
  source.transport?.step(by)
  const frame = await next
  if (frame === undefined) throw new Error('there was no frame')
  return frame
}
