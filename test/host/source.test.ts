import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { openHost } from '../../src/host/source.ts'
import { feed, newTracker } from '../../src/sample/model.ts'
import type { Frame, Source, Tunable } from '../../src/sample/source.ts'
import { formatValue } from '../../src/view/format.ts'
import { plainLines } from '../../src/view/layout.ts'
import { pagesAre } from '../../src/view/page_size.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { header } from '../../src/view/panels/header.ts'
import { VIEWS } from '../../src/view/views.ts'
import { openFixture } from '../fixtures/load.ts'
import { describeSource } from '../sample/source_suite.ts'

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true })
})

const INTERVAL_NS = 5e6
const SIZE = { width: 80, height: 24 } as const
const SWAPPINESS = '/proc/sys/vm/swappiness'
const KNOWN: readonly Tunable[] = [
  { path: SWAPPINESS, type: 'integer', min: 0, max: 200, default: '60', meaning: 'How willing reclaim is to swap', source: 'mm/vmscan.c' },
  {
    path: '/sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages',
    type: 'integer',
    meaning: 'Pages of the pool',
    source: 'mm/hugetlb.c',
  },
]

/** A tree of files like /proc and /sys, to be read as a machine. */
function treeOf(files: Iterable<readonly [string, string]>): string {
  const root = mkdtempSync(join(tmpdir(), 'mmtop-host-'))
  directories.push(root)
  for (const [path, text] of files) put(root, path, text)
  return root
}

function put(root: string, path: string, text: string): void {
  mkdirSync(dirname(root + path), { recursive: true })
  writeFileSync(root + path, text)
}

async function machineFiles(): Promise<Map<string, string>> {
  const recording = await openFixture('numa-policies')
  const { files } = recording.frame(recording.count - 1)
  const real = [...files].filter(([path]) => /^\/(proc|sys)\//.test(path))
  return new Map([
    ...real,
    ['/proc/7/stat', '7 (a b) S 1 7 7 0 -1 0 10 0 2 0 5 6 0 0 20 0 1 0 1 4096000 250 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n'],
    ['/proc/7/status', 'Name:\ta b\nVmRSS:\t    1000 kB\n'],
    ['/proc/8/stat', '8 (kswapd0) S 2 0 0 0 -1 0 0 0 0 0 3 4 0 0 20 0 1 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n'],
    [SWAPPINESS, '60\n'],
    ['/proc/sys/vm/of_another_kernel', '1 2 3\n'],
    ['/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', '4\n'],
    ['/sys/kernel/mm/ksm/of_another_kernel', '12\n'],
  ])
}

const open = (root: string, write = false) => openHost({ root, intervalNs: INTERVAL_NS, known: KNOWN, write })

async function framesOf(source: Source, count: number): Promise<Frame[]> {
  const frames: Frame[] = []
  while (frames.length < count) {
    const frame = await source.next()
    if (frame === undefined) break
    frames.push(frame)
  }
  return frames
}

describeSource('a tree of files', async () => open(treeOf(await machineFiles())))
if (process.env.TEST_HOST === '1')
  describeSource('this machine', async () => openHost({ intervalNs: INTERVAL_NS, known: KNOWN, write: false }))

describe('the host', () => {
  it('has all of its knobs, described where they are known, and reads counters that nobody knows', async () => {
    const source = open(treeOf(await machineFiles()))
    const [frame] = await framesOf(source, 1)
    const knob = (path: string) => source.tunables.find(tunable => tunable.path === path)
    expect(knob(SWAPPINESS)).toMatchObject({ meaning: 'How willing reclaim is to swap', max: 200 })
    expect(knob('/proc/sys/vm/of_another_kernel')).toMatchObject({ type: 'vector', meaning: '' })
    expect(knob('/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')).toMatchObject({ meaning: 'Pages of the pool' })
    expect(frame.files.get('/sys/kernel/mm/ksm/of_another_kernel')).toBe('12\n')
    await source.close()
  })

  it('writes nothing unless it was asked to', async () => {
    const root = treeOf(await machineFiles())
    const [readOnly, writable] = [open(root), open(root, true)]
    expect(readOnly.write).toBeUndefined()
    expect(await writable.write?.(SWAPPINESS, '10')).toEqual({ errno: '', text: '' })
    expect(await writable.read(SWAPPINESS)).toBe('10\n')
    expect(await writable.write?.('/proc/sys/vm/nothing', '10')).toMatchObject({ errno: 'ENOENT' })
    await Promise.all([readOnly.close(), writable.close()])
  })

  it('shows a knob that was written with the next frame, as something that happened', async () => {
    const source = open(treeOf(await machineFiles()), true)
    await framesOf(source, 2)
    await source.write?.(SWAPPINESS, '10')
    const [frame] = await framesOf(source, 1)
    expect(frame.files.get(SWAPPINESS)).toBe('10\n')
    expect(frame.files.get('/mmtop/events')).toMatch(/^\d+ knob \/proc\/sys\/vm\/swappiness: 60 to 10$/m)
    await source.close()
  })

  it('shows the pages of an area from pagemap, and gives files of numbers as bytes only', async () => {
    const root = treeOf(await machineFiles())
    const entry = (...bits: readonly number[]) => bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n)
    const entries = new BigUint64Array([0n, entry(63), entry(63, 61), entry(62), entry(63, 55), 0n])
    writeFileSync(`${root}/proc/7/pagemap`, new Uint8Array(entries.buffer))
    const source = open(root)
    expect(await source.read('/mmtop/pages/task/7/2/1000-5000')).toBe(
      'area 1 5 \nc 2 present=2 file=1\nc 2 present=1 swapped=1 softdirty=1\n',
    )
    expect(await source.read('/mmtop/pages/task/7/2/5000-1000')).toBeUndefined()
    expect(await source.read('/mmtop/pages/task/99/2/1000-5000')).toBeUndefined()
    expect(await source.read('/proc/7/pagemap')).toBeUndefined()
    expect(Buffer.from((await source.bytes?.('/proc/7/pagemap', 24, 8)) ?? []).readBigUInt64LE()).toBe(entry(62))
    expect(await source.bytes?.('/proc/vmstat', 0, 8)).toBeUndefined()
    await source.close()
  })

  it('shows memory by the size of its own pages, which is not 4 KiB everywhere', async () => {
    const root = treeOf(await machineFiles())
    mkdirSync(`${root}/proc/self`, { recursive: true })
    writeFileSync(`${root}/proc/self/auxv`, new Uint8Array(new BigUint64Array([33n, 1n, 6n, 65536n, 0n, 0n]).buffer))
    const present = 1n << 63n
    writeFileSync(`${root}/proc/7/pagemap`, new Uint8Array(new BigUint64Array([0n, present, present, 0n]).buffer))
    const source = open(root)
    expect(source.pageBytes).toBe(65536)
    const [frame] = await framesOf(source, 1)
    expect(frame.files.get('/mmtop/machine')).toContain('page_bytes 65536\n')
    expect(await source.read('/mmtop/pages/task/7/1/10000-30000')).toBe('area 1 3 \nc 2 present=2\n')
    await source.close()
    pagesAre(65536)
    expect(formatValue(3, 'pages')).toBe('192K')
    pagesAre(4096)
    expect(formatValue(3, 'pages')).toBe('12.0K')
  })

  it('reads counters of what is switched off in turn, and in every frame as soon as it is switched on', async () => {
    const directory = '/sys/kernel/mm/transparent_hugepage/hugepages-64kB'
    const counter = `${directory}/stats/anon_fault_alloc`
    const root = treeOf([...(await machineFiles()), [counter, '0\n'], [`${directory}/enabled`, 'always inherit madvise [never]\n']])
    const source = open(root, true)
    const textIn = async () => (await framesOf(source, 1))[0].files.get(counter)
    expect(await textIn()).toBe('0\n')
    await source.write?.(`${directory}/enabled`, 'always inherit [madvise] never')
    await framesOf(source, 1)
    for (const text of ['5\n', '6\n', '7\n']) {
      put(root, counter, text)
      expect(await textIn()).toBe(text)
    }
    await source.close()
  })

  it('shows threads of the kernel though they are read in turn, until they are gone', async () => {
    const root = treeOf(await machineFiles())
    const stat = (state: string) =>
      `9 (kworker/0:1) ${state} 2 0 0 0 -1 69238880 0 0 0 0 0 3 0 0 20 0 1 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n`
    put(root, '/proc/9/stat', stat('I'))
    const source = open(root)
    for (const frame of await framesOf(source, 3)) expect(frame.files.get('/proc/9/stat')).toBe(stat('I'))
    put(root, '/proc/9/stat', stat('R'))
    let seen: string | undefined
    for (let i = 0; i < 1000 && seen !== stat('R'); i++) seen = (await framesOf(source, 1))[0].files.get('/proc/9/stat')
    expect(seen).toBe(stat('R'))
    rmSync(join(root, 'proc/9'), { recursive: true })
    expect((await framesOf(source, 1))[0].files.has('/proc/9/stat')).toBe(false)
    await source.close()
  })

  it('reads a text of any length whole', async () => {
    const root = treeOf(await machineFiles())
    const source = open(root)
    for (const path of ['/sys/kernel/mm/ksm/run', '/proc/7/status', '/proc/7/smaps'])
      for (const length of [0, 1, 65535, 65536, 65537, 300_000]) {
        put(root, path, 'x'.repeat(length))
        expect((await source.read(path))?.length).toBe(length)
      }
    await source.close()
  })

  it('says what happened between two frames, and which kernel threads ran', async () => {
    const files = await machineFiles()
    const root = treeOf(files)
    const source = open(root)
    const tracker = newTracker(source)
    const [first] = await framesOf(source, 1)
    feed(tracker, first, source.pace())
    put(root, '/proc/vmstat', (files.get('/proc/vmstat') ?? '').replace(/^oom_kill \d+$/m, 'oom_kill 7'))
    put(root, SWAPPINESS, '10\n')
    put(root, '/proc/8/stat', (files.get('/proc/8/stat') ?? '').replace(' 3 4 ', ' 3 9 '))
    // Knobs are read in turn, so their change is seen some frames later, on a busy machine many.
    const eventsSoFar = () => tracker.model?.events ?? []
    for (let i = 0; i < 1000 && (i < 8 || !eventsSoFar().some(({ kind }) => kind === 'knob')); i++)
      for (const frame of await framesOf(source, 1)) feed(tracker, frame, source.pace())
    const events = eventsSoFar()
    expect(events.filter(({ kind }) => kind === 'oom')).toHaveLength(1)
    expect(events.find(({ kind }) => kind === 'knob')?.text).toBe(`${SWAPPINESS}: 60 to 10`)
    expect(tracker.model?.sample.daemons()).toEqual([{ name: 'kswapd0', node: '0', running: false }])
    await source.close()
  })

  it('goes on when processes and files come and go, and never reads outside of /proc and /sys', async () => {
    const root = treeOf(await machineFiles())
    const source = open(root)
    await framesOf(source, 1)
    rmSync(join(root, 'proc/7'), { recursive: true })
    put(root, '/proc/9/stat', '9 (new) R 1 9 9 0 -1 0 10 0 2 0 5 6 0 0 20 0 1 0 1 4096000 250 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n')
    source.watch(['/proc/9/smaps_rollup', '/etc/passwd', '/proc/../etc/passwd'])
    const frame = (await framesOf(source, 4)).at(-1)
    expect(frame?.files.has('/proc/9/stat')).toBe(true)
    expect([...(frame?.files.keys() ?? [])].filter(path => path.startsWith('/proc/7/') || path.includes('passwd'))).toEqual([])
    expect(await source.read('/etc/passwd')).toBeUndefined()
    await source.close()
  })

  it.skipIf(process.getuid?.() === 0)('lists what it may not read', async () => {
    const root = treeOf(await machineFiles())
    put(root, '/proc/slabinfo', 'secret')
    chmodSync(join(root, 'proc/slabinfo'), 0)
    const source = open(root)
    const [frame] = await framesOf(source, 1)
    expect(frame.files.get('/mmtop/unread')).toContain('/proc/slabinfo EACCES')
    await source.close()
  })

  it('says of a machine that lets nothing be read, or has directories where files should be, that it is not known', async () => {
    const root = treeOf([
      ['/proc/meminfo/file', ''],
      ['/proc/7/stat/file', ''],
    ])
    const source = open(root)
    const tracker = newTracker(source)
    for (const frame of await framesOf(source, 2)) feed(tracker, frame, source.pace())
    await source.close()
    const { model } = tracker
    if (model === undefined) throw new Error('no model')
    const textOf = (name: string) =>
      plainLines(VIEWS.find(view => view.name === name)?.panel(model, DEFAULT_UI, SIZE).rows ?? []).join('\n')
    expect(textOf('overview')).toContain('Free memory is not on this kernel')
    expect(plainLines(header(model, DEFAULT_UI, SIZE).rows)[1]).toContain('free not known')
    for (const { name } of VIEWS) expect(textOf(name)).not.toMatch(/NaN|undefined/)
  })

  it('shows a hostile machine on every panel without a control character', async () => {
    const files = await machineFiles()
    const hostile = fc.string({
      unit: fc.constantFrom('\x1b', '[', '2', 'J', '\x07', '\u202e', ' ', ')', '(', '\n', '\t', ':', '9', 'kB', '\x9b'),
    })
    await fc.assert(
      fc.asyncProperty(hostile, fc.constantFrom(...files.keys()), async (text, path) => {
        const source = open(
          treeOf([...files, [path, text], ['/proc/11/stat', `11 (${text}) S 1 1 1 0 -1 0 1 0 1 0 1 1 0 0 20 0 1 0 1 1 1 0 0`]]),
        )
        const tracker = newTracker(source)
        for (const frame of await framesOf(source, 2)) feed(tracker, frame, source.pace())
        await source.close()
        const { model } = tracker
        if (model === undefined) throw new Error('no model')
        for (const { panel } of VIEWS)
          for (const line of plainLines(panel(model, DEFAULT_UI, { width: 80, height: 24 }).rows))
            expect(line).not.toMatch(/\p{Cc}|\u202e/u)
      }),
      { numRuns: 15 },
    )
  })
})
