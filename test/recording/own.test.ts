import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HEADER_BYTES, SIGNATURE } from '../../src/recording/member.ts'
import { openRecording } from '../../src/recording/open.ts'
import type { Recording } from '../../src/recording/recording.ts'
import { createRecording, encodeEnd, encodeFrame, newEncoder } from '../../src/recording/writer.ts'
import type { Frame, Tunable } from '../../src/sample/source.ts'
import { UserError } from '../../src/user_error.ts'
import { busyFrame, frameOf } from '../fixtures/load.ts'

const dir = mkdtempSync(join(tmpdir(), 'mmtop-'))
afterAll(() => rmSync(dir, { recursive: true }))

const KNOB: Tunable = {
  path: '/proc/sys/vm/swappiness',
  type: 'integer',
  min: 0,
  max: 200,
  default: '60',
  meaning: 'how much to swap',
  source: 'mm/vmscan.c',
}
const SOURCE = { kind: 'simulation', title: 'tour', tunables: [KNOB] } as const
const SECOND = 1e9

let fileNumber = 0
function fileOf(bytes: Uint8Array): string {
  const path = join(dir, `r${fileNumber++}`)
  writeFileSync(path, bytes)
  return path
}

function encode(frames: readonly Frame[], end = true): Buffer {
  const encoder = newEncoder()
  const parts = frames.map(frame => encodeFrame(encoder, frame, SOURCE))
  return Buffer.concat(end ? [...parts, encodeEnd(encoder)] : parts)
}

const sorted = (frame: Frame) => [frame.ns, [...frame.files].sort()]
const allOf = (recording: Recording) => Array.from({ length: recording.count }, (_, i) => sorted(recording.frame(i)))

/** A machine at work: counters move in every sample, a process comes and goes. */
function workFrames(base: Frame, count: number): Frame[] {
  return Array.from({ length: count }, (_, i) => {
    const files = new Map(base.files)
    files.set(
      '/proc/vmstat',
      (base.files.get('/proc/vmstat') ?? '').replace(
        /(pgfault|nr_free_pages|pgalloc_dma32) (\d+)/g,
        (_all, key, n) => `${key} ${Number(n) + i * 37}`,
      ),
    )
    if (i % 10 < 5) files.set('/proc/900/stat', `900 (w${i}) R\n`)
    if (i % 7 === 3) files.set('/mmtop/events', `${i} op touch ${i}\n`)
    return { ns: i * SECOND, files }
  })
}

async function problem(path: string): Promise<string> {
  try {
    const recording = await openRecording(path)
    allOf(recording)
    return ''
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expect(error.oneLine).not.toContain('\n')
    return error.oneLine
  }
}

describe("mmtop's own format", () => {
  let frames: Frame[]
  let bytes: Buffer
  beforeAll(async () => {
    frames = workFrames(await busyFrame('numa-policies'), 200)
    bytes = encode(frames)
  })

  it('gives back every frame exactly, in any order', async () => {
    const recording = await openRecording(fileOf(bytes))
    expect(recording).toMatchObject({
      format: 'mmtop',
      recorded: 'simulation',
      title: 'tour',
      count: 200,
      startNs: 0,
      endNs: 199 * SECOND,
      notes: [],
    })
    expect(recording.tunables).toEqual([KNOB])
    expect(allOf(recording)).toEqual(frames.map(sorted))
    for (const i of [150, 3, 199, 0, 64, 63, 65, 128]) expect(sorted(recording.frame(i))).toEqual(sorted(frames[i]))
    recording.close()
  })

  it('finds the last frame at or before a time', async () => {
    const recording = await openRecording(fileOf(bytes))
    for (const i of [0, 1, 63, 64, 65, 127, 128, 199]) {
      expect(recording.indexAt(i * SECOND)).toBe(i)
      expect(recording.indexAt(i * SECOND + 999)).toBe(i)
    }
    expect(recording.indexAt(-5)).toBe(0)
    expect(recording.indexAt(1e18)).toBe(199)
  })

  it('is plain gzip and the same bytes every time', () => {
    expect(encode(frames).equals(bytes)).toBe(true)
    const lines = gunzipSync(bytes).toString().trimEnd().split('\n')
    expect(lines.length).toBe(202)
    expect(lines.every(line => typeof JSON.parse(line) === 'object')).toBe(true)
  })

  it('costs far less than 1 KB a sample', () => {
    expect(bytes.length / frames.length).toBeLessThan(400)
  })

  it('plays a recording that was cut anywhere up to its last complete sample, and says so', async () => {
    const ends: number[] = []
    const encoder = newEncoder()
    let length = 0
    for (const frame of frames) {
      length += encodeFrame(encoder, frame, SOURCE).length
      ends.push(length)
    }
    for (const cut of [
      ends[0],
      ends[0] + 1,
      ends[20],
      ends[20] + 7,
      ends[63],
      ends[63] + 5,
      ends[63] + 20,
      ends[64] - 1,
      ends[64],
      ends[130] - 1,
      bytes.length - 1,
      bytes.length - 9,
      bytes.length - 30,
    ]) {
      const recording = await openRecording(fileOf(bytes.subarray(0, cut)))
      const whole = ends.filter(end => end <= cut).length
      // The flush mark after a sample may be cut without harm to it.
      expect([whole, whole + 1]).toContain(recording.count)
      expect(allOf(recording)).toEqual(frames.slice(0, recording.count).map(sorted))
      if (cut < bytes.length - 20) expect(recording.notes.length).toBe(1)
    }
  })

  it('ignores fields and lines of later minor versions', async () => {
    const text = gunzipSync(bytes).toString()
    const newer = text
      .replace('"version":[1,0]', '"version":[1,7],"colour":"blue"')
      .replace('\n{"ns":0,"key":', '\n{"bookmark":"here"}\n{"ns":0,"weather":[1],"key":')
    const repacked = Buffer.concat([bytes.subarray(0, HEADER_BYTES), gzipSync(newer).subarray(10)])
    expect(allOf(await openRecording(fileOf(repacked)))).toEqual(frames.map(sorted))
  })

  it('refuses what it cannot read, in one line with the place', async () => {
    const text = gunzipSync(bytes).toString()
    const repack = (lines: string) => fileOf(Buffer.concat([bytes.subarray(0, HEADER_BYTES), gzipSync(lines).subarray(10)]))
    expect(await problem(repack(text.replace('"version":[1,0]', '"version":[2,0]')))).toMatch(/format 2\.0 is not readable.*1\.x/)
    expect(await problem(repack(text.split('\n')[0] + '\n'))).toMatch(/no sample/)
    expect(await problem(repack('rubbish\n'))).toMatch(/no header/)
    expect(await problem(repack(text.replace('"d":[[', '"d":[[9')))).toMatch(
      /damaged recording at byte 0: sample 1: a change of an unknown file/,
    )
    expect(await problem(fileOf(gzipSync(text)))).toMatch(/packed anew/)
    expect(await problem(fileOf(Buffer.from(text)))).toMatch(/packed anew/)
    expect(await problem(fileOf(bytes.subarray(0, HEADER_BYTES)))).toMatch(/no header/)
    expect(await problem(fileOf(bytes.subarray(0, 20)))).not.toBe('')
    const second = bytes.indexOf(SIGNATURE, 1)
    const broken = Buffer.from(bytes)
    broken.fill(0x55, second + 100, second + 140)
    expect(await problem(fileOf(broken))).toMatch(new RegExp(`damaged recording at byte ${second}`))
  })

  it('survives any damage with one line or a playable recording', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 20 }), async (at, junk) => {
        const broken = Buffer.from(bytes)
        broken.set(junk.subarray(0, broken.length - at), at)
        await problem(fileOf(broken))
      }),
      { numRuns: 60 },
    )
  })

  it('keeps any text and any path, also those that are no UTF-16', async () => {
    const text = fc.string({ unit: 'binary' })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(text, text, { maxKeys: 4 }), { minLength: 1, maxLength: 5 }), async contents => {
        const odd = contents.map((files, i) => frameOf(i, { ...files, '/lone': '\uD800' }))
        expect(allOf(await openRecording(fileOf(encode(odd))))).toEqual(odd.map(sorted))
      }),
      { numRuns: 30 },
    )
  })

  it('leaves out frames that do not go forward', async () => {
    const recording = await openRecording(fileOf(encode([frames[1], frames[0], frames[1], frames[2]])))
    expect(allOf(recording)).toEqual([frames[1], frames[2]].map(sorted))
  })

  it('is on disk after every frame, and a place that cannot be written is the user’s error', () => {
    const path = join(dir, 'live')
    const recorder = createRecording(path, SOURCE)
    recorder.append(frames[0])
    expect(readFileSync(path).length).toBeGreaterThan(1000)
    recorder.append(frames[1])
    recorder.close()
    recorder.close()
    expect(readFileSync(path).equals(encode(frames.slice(0, 2)))).toBe(true)
    expect(() => createRecording(join(dir, 'no', 'where'), SOURCE)).toThrow(UserError)
  })
})
