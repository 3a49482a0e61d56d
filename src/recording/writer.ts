/**
 * Writes a recording (format.md): frames in, bytes out, each frame on disk before the next is asked for.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { diffFrames, type FrameDelta } from '../sample/delta.ts'
import type { Frame, Source, Tunable } from '../sample/source.ts'
import { fileError } from '../user_error.ts'
import { addText, endMember, type MemberDraft, memberHeader, newMember } from './member.ts'

/** Samples in one member: what a seek decodes at most. */
const MEMBER_SAMPLES = 64
/** A member with this much text is closed early. */
const MEMBER_TEXT_BYTES = 8 * 1024 * 1024

export const FORMAT_VERSION: readonly [number, number] = [1, 0]

export interface Recorder {
  /** Adds a frame. Frames that are not later than the one before are left out: time only goes forward in a recording. */
  append(frame: Frame): void
  /** Writes the end line. Idempotent. */
  close(): void
}

/** Turns frames into the bytes of a recording, without writing them anywhere. */
export interface Encoder {
  member: MemberDraft | undefined
  memberSamples: number
  samples: number
  last: Frame | undefined
  /** Numbers of the paths of the current member. */
  readonly numbers: Map<string, number>
  nextNumber: number
}

export function newEncoder(): Encoder {
  return { member: undefined, memberSamples: 0, samples: 0, last: undefined, numbers: new Map(), nextNumber: 0 }
}

/** Opens `path` (an existing file is replaced) and writes the header. */
export function createRecording(path: string, source: Pick<Source, 'kind' | 'title' | 'tunables'>): Recorder {
  let fd: number | undefined
  try {
    fd = openSync(path, 'w')
  } catch (error) {
    throw fileError(error, path, 'written')
  }
  const encoder = newEncoder()
  const write = (bytes: Buffer) => {
    try {
      if (fd !== undefined) for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
    } catch (error) {
      throw fileError(error, path, 'written')
    }
  }
  return {
    append: frame => write(encodeFrame(encoder, frame, source)),
    close: () => {
      if (fd === undefined) return
      write(encodeEnd(encoder))
      closeSync(fd)
      fd = undefined
    },
  }
}

/** The bytes of one frame; none when it is not later than the one before. */
export function encodeFrame(encoder: Encoder, frame: Frame, source: Pick<Source, 'kind' | 'title' | 'tunables'>): Buffer {
  const { last, member } = encoder
  if (last !== undefined && frame.ns <= last.ns) return Buffer.alloc(0)
  const full = member === undefined || encoder.memberSamples >= MEMBER_SAMPLES || member.textBytes >= MEMBER_TEXT_BYTES
  const bytes =
    full || last === undefined
      ? encodeKey(encoder, frame, source)
      : addText(member, deltaLine(encoder, diffFrames(last.files, frame), frame))
  encoder.last = frame
  encoder.samples++
  encoder.memberSamples++
  return bytes
}

function encodeKey(encoder: Encoder, frame: Frame, source: Pick<Source, 'kind' | 'title' | 'tunables'>): Buffer {
  const parts = encoder.member === undefined ? [] : [endMember(encoder.member)]
  const member = newMember()
  parts.push(memberHeader({ startNs: frame.ns, firstIndex: encoder.samples }))
  if (encoder.samples === 0) parts.push(addText(member, headerLine(source)))
  encoder.numbers.clear()
  for (const path of frame.files.keys()) encoder.numbers.set(path, encoder.numbers.size)
  encoder.nextNumber = encoder.numbers.size
  parts.push(addText(member, JSON.stringify({ ns: frame.ns, key: [...frame.files] }) + '\n'))
  encoder.member = member
  encoder.memberSamples = 0
  return Buffer.concat(parts)
}

function headerLine({ kind, title, tunables }: { kind: Source['kind']; title: string; tunables: readonly Tunable[] }): string {
  return JSON.stringify({ mmtop: 'recording', version: FORMAT_VERSION, kind, title, tunables }) + '\n'
}

function deltaLine(encoder: Encoder, delta: FrameDelta, frame: Frame): string {
  const changed: [number, string][] = []
  const added: [string, string][] = []
  for (const [path, patch] of delta.changed) {
    const number = encoder.numbers.get(path)
    if (number !== undefined) changed.push([number, patch])
    else added.push([path, frame.files.get(path) ?? ''])
  }
  const gone = delta.gone.map(path => encoder.numbers.get(path))
  for (const path of delta.gone) encoder.numbers.delete(path)
  for (const [path] of added) encoder.numbers.set(path, encoder.nextNumber++)
  const parts = {
    ns: frame.ns,
    ...(changed.length > 0 ? { d: changed } : {}),
    ...(added.length > 0 ? { new: added } : {}),
    ...(gone.length > 0 ? { gone } : {}),
  }
  return JSON.stringify(parts) + '\n'
}

/** The bytes that end the recording; none when nothing was recorded. */
export function encodeEnd(encoder: Encoder): Buffer {
  if (encoder.member === undefined || encoder.last === undefined) return Buffer.alloc(0)
  return Buffer.concat([addText(encoder.member, JSON.stringify({ end: encoder.last.ns }) + '\n'), endMember(encoder.member)])
}
