import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { openRecording } from '../../src/recording/open.ts'
import { toSample } from '../../src/sample/sample.ts'
import { UserError } from '../../src/user_error.ts'
import { fixturePath, openFixture } from '../fixtures/load.ts'

const dir = mkdtempSync(join(tmpdir(), 'mmtop-'))
afterAll(() => rmSync(dir, { recursive: true }))

const HEADER = {
  event: 'header',
  format: 1,
  uname: '6.1.0',
  version: '#1',
  machine: 'machine nodes=1',
  tunables: { '/proc/sys/vm/swappiness': '60\n' },
}
const SAMPLE = { i: 2, t_ns: 5, op: 'sample a', ret: 0, sample: 'a', sampled_ns: 7, files: { '/proc/vmstat': 'pgfault 1\n' }, workers: {} }

let fileNumber = 0
function fileOf(content: string | Buffer): string {
  const path = join(dir, `raw${fileNumber++}`)
  writeFileSync(path, content)
  return path
}
const linesOf = (...values: unknown[]) => values.map(value => JSON.stringify(value) + '\n').join('')

async function problem(content: string | Buffer): Promise<string> {
  const path = fileOf(content)
  const error: unknown = await openRecording(path).then(
    () => undefined,
    failure => failure,
  )
  expect(error).toBeInstanceOf(UserError)
  return error instanceof UserError ? error.oneLine.replace(path, 'F') : ''
}

describe("the oracle's recordings", () => {
  it('play as frames with the texts of the processes where the kernel has them', async () => {
    const recording = await openFixture('thp-khugepaged-none')
    expect(recording).toMatchObject({ format: 'raw', title: 'thp-khugepaged-none' })
    expect(recording.notes).toEqual(['smaps and numa_maps hold only the regions that the scenario names'])
    const frames = Array.from({ length: recording.count }, (_, i) => recording.frame(i))
    expect(frames.every((frame, i) => i === 0 || frame.ns > frames[i - 1].ns)).toBe(true)
    const last = toSample(frames.findLast(frame => frame.files.has('/mmtop/tasks')) ?? frames[0])
    expect(last.tasks()[0].named?.name).toBe('A')
    expect(last.tasks()[0].status?.bytes.get('VmRSS')).toBeGreaterThan(0)
    expect(last.machine().get('machine')).toMatch(/nodes=|mem=/)
    expect(recording.tunables.some(knob => knob.path.endsWith('khugepaged/max_ptes_none'))).toBe(true)
    expect(recording.tunables.some(knob => knob.path.endsWith('full_scans'))).toBe(false)
  })

  it('say what happened between two samples', async () => {
    const recording = await openFixture('hugetlb-mempolicy')
    const events = Array.from({ length: recording.count }, (_, i) => toSample(recording.frame(i)).events()).flat()
    expect(events.some(event => event.kind === 'knob' && event.text.includes('nr_hugepages'))).toBe(true)
    expect(events.some(event => event.kind === 'op' && event.text.includes('spawn'))).toBe(true)
    expect(events.every((event, i) => i === 0 || event.ns >= events[i - 1].ns)).toBe(true)
  })

  it('find frames by time', async () => {
    const recording = await openFixture('thp-khugepaged-none')
    for (let i = 0; i < recording.count; i++) expect(recording.indexAt(recording.frame(i).ns)).toBe(i)
    expect(recording.indexAt(0)).toBe(0)
  })

  it('keep the boot-time text of a knob until something writes it', async () => {
    const write = (op: string, ret = 1) => ({ i: 3, t_ns: 8, op, ret, elapsed_ns: 1 })
    const later = { ...SAMPLE, sampled_ns: 20 }
    const open = async (op: unknown) =>
      (await openRecording(fileOf(linesOf(HEADER, SAMPLE, op, later, { event: 'end', t_ns: 30 })))).frame(1).files
    const path = '/proc/sys/vm/swappiness'
    expect((await open(write('write /proc/sys/vm/dirty_ratio 5'))).get(path)).toBe('60\n')
    expect((await open(write(`write ${path} 300`, -1))).get(path)).toBe('60\n')
    expect((await open(write(`write ${path} 100`))).has(path)).toBe(false)
    expect((await open(write(`A write ${path} 100`))).has(path)).toBe(false)
  })

  it('use descriptions of knobs that are known', async () => {
    const known = { path: '/proc/sys/vm/swappiness', type: 'integer', meaning: 'known', source: 'x' } as const
    const recording = await openRecording(fileOf(linesOf(HEADER, SAMPLE)), [known])
    expect(recording.tunables).toEqual([known])
    expect(recording.notes).toEqual(['the recording has no end line: it is incomplete'])
  })

  it('turn deaths and failures into events', async () => {
    const lines = linesOf(
      HEADER,
      { i: 2, t_ns: 1, op: 'A touch R write', ret: 3, signal: 'SIGBUS' },
      { i: 3, t_ns: 2, event: 'death', worker: 'B', signal: 'SIGKILL' },
      { i: 4, t_ns: 3, op: 'write /x 1', ret: -1, err: 'EINVAL' },
      { i: 5, t_ns: 4, op: 'evil \x1b[2J\n99 oom fake', ret: 0 },
      SAMPLE,
    )
    const events = toSample((await openRecording(fileOf(lines))).frame(0)).events()
    expect(events.map(event => `${event.kind} ${event.text}`)).toEqual([
      'error A touch R write = SIGBUS',
      'kill B died: SIGKILL',
      'error write /x 1 = EINVAL',
      'op evil ?[2J 99 oom fake',
    ])
  })
})

describe('files that are no good recording', () => {
  it('are refused in one line with the place', async () => {
    expect(await problem('')).toBe('F: the file is empty')
    expect(await problem('machine nodes=1\nsample a\n')).toBe('F:1:1: not a recording')
    expect(await problem(Buffer.from([0, 1, 2, 3, 255]))).toBe('F:1:1: not a recording')
    expect(await problem('{rubbish\n')).toBe('F:1: not a recording: the first line is no JSON object')
    expect(await problem('{"a":1}\n')).toBe('F:1: not a recording: the first line is no header')
    expect(await problem(linesOf({ ...HEADER, format: 9 }))).toBe('F:1: raw recording format 9 is not known, only 1')
    expect(await problem(linesOf(HEADER))).toBe('F: the recording holds no sample')
    expect(await problem(linesOf(HEADER, SAMPLE) + '{"i":3,\n')).toBe('F:3: not a JSON object')
    expect(await problem(linesOf(HEADER, SAMPLE) + '{"i":3,')).toBe('F:3: the recording is cut in the middle of a line')
    expect(await problem(linesOf(HEADER, SAMPLE, SAMPLE))).toBe('F:3: a sample that is not later than the one before')
    expect(await problem(gzipSync('hello\n'))).toBe('F:1: not a recording: the first line is no JSON object')
    const real = readFileSync(fixturePath('thp-khugepaged-none'))
    expect(await problem(real.subarray(0, 5000))).toMatch(/^F:\d+: the file is cut: its compressed data ends in the middle$/)
    expect(await problem(Buffer.concat([real.subarray(0, 4000), Buffer.alloc(500, 0xff), real.subarray(4500)]))).toMatch(
      /^F:\d+: the compressed data is damaged$/,
    )
    expect(await problem(gunzipSync(real).subarray(0, 60000))).toMatch(/^F:\d+: the recording is cut in the middle of a line$/)
  })

  it('do not fill the memory with one endless line', async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.from(linesOf(HEADER) + '{"a":"'), Buffer.alloc(80 << 20, 0x61)]), { level: 1 })
    expect(await problem(bomb)).toBe('F:2: a line of more than 64 MiB')
  })

  it('may not exist at all', async () => {
    await expect(openRecording(join(dir, 'nothing'))).rejects.toThrow('no such file')
    await expect(openRecording(dir)).rejects.toThrow('is a directory')
  })
})
