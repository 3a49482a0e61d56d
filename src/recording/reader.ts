/**
 * Reads a recording of mmtop's own format (format.md) without loading it: opening costs the first and the last member,
 * a seek costs a bisection over member headers and the decoding of one member, the next frame one line.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import type { Frame } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { UserError } from '../user_error.ts'
import { parseHeader } from './header.ts'
import { applyLine, isEnd, type MemberState, newState, sampleNs } from './lines.ts'
import { HEADER_BYTES, type MemberStart, readMember, readMemberHeader, SIGNATURE } from './member.ts'
import type { Recording } from './recording.ts'

const BLOCK_BYTES = 128 * 1024
/** A member is at most this long in the file; the writer's are a thousandth of it. */
const MEMBER_LIMIT_BYTES = 64 * 1024 * 1024

/** An open file, with the names and sizes that errors need. */
interface OpenFile {
  readonly fd: number
  readonly name: string
  readonly bytes: number
}

interface Located extends MemberStart {
  readonly offset: number
}

/** A member whose text is in memory, decoded up to some sample. */
interface Loaded {
  readonly at: Located
  /** Lines of samples only. */
  readonly lines: readonly string[]
  /** Whether the recorder's end line is in it. */
  readonly ended: boolean
  state: MemberState
  /** Samples taken in so far. */
  decoded: number
}

/** @throws UserError where the file is no recording or its beginning or end is damaged */
export function openRecordingFile(path: string): Recording {
  const fd = openSync(path, 'r')
  try {
    return openMembers({ fd, name: path, bytes: fstatSync(fd).size })
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openMembers(file: OpenFile): Recording {
  const first = nextMember(file, 0, HEADER_BYTES)
  if (first === undefined) throw new UserError('not a recording of mmtop', { file: file.name })
  const header = parseHeader(textOf(file, first).split('\n', 1)[0], file.name)
  const last = lastMember(file, first)
  const endNs = sampleNs(last.lines.at(-1) ?? '')
  if (endNs === undefined) throw new UserError('the recording holds no sample', { file: file.name })
  let loaded = last
  let closed = false
  const loadWhere = (test: (member: Located) => boolean): Loaded => {
    const member = lastWhere(file, first, last.at, test)
    if (member.offset !== loaded.at.offset) loaded = load(file, member)
    return loaded
  }
  return {
    format: 'mmtop',
    recorded: header.kind,
    title: header.title === '' ? basename(file.name) : header.title,
    tunables: header.tunables,
    ended: last.ended,
    notes: last.ended ? [] : ['the recording was not ended in order; it plays up to its last complete sample'],
    count: last.at.firstIndex + last.lines.length,
    startNs: first.startNs,
    endNs,
    frame: index => {
      const { at, lines } = loaded
      const here = index >= at.firstIndex && index < at.firstIndex + lines.length
      return decode(file, here ? loaded : loadWhere(member => member.firstIndex <= index), index)
    },
    indexAt: ns => {
      const { at, lines } = loadWhere(member => member.startNs <= ns)
      const within = lines.findLastIndex(line => (sampleNs(line) ?? Number.POSITIVE_INFINITY) <= ns)
      return at.firstIndex + Math.max(0, within)
    },
    close: () => {
      if (!closed) closeSync(file.fd)
      closed = true
    },
  }
}

/** The frame with this number, which is in this member. */
function decode(file: OpenFile, loaded: Loaded, index: number): Frame {
  const wanted = index - loaded.at.firstIndex
  if (wanted >= loaded.lines.length || wanted < 0) throw damaged(file, loaded.at, `sample ${index} is missing`)
  if (wanted < loaded.decoded - 1) {
    loaded.state = newState()
    loaded.decoded = 0
  }
  for (; loaded.decoded <= wanted; loaded.decoded++) {
    const problem = applyLine(loaded.state, loaded.lines[loaded.decoded])
    if (problem !== undefined) throw damaged(file, loaded.at, `sample ${loaded.at.firstIndex + loaded.decoded}: ${problem}`)
  }
  return { ns: loaded.state.ns, files: new Map(loaded.state.files) }
}

function damaged(file: OpenFile, at: Located, what: string): UserError {
  return new UserError(`damaged recording at byte ${at.offset}: ${cleanLine(what)}`, { file: file.name })
}

/** The last member for which `test` holds, given that it holds for all before one (members are in order of time). */
function lastWhere(file: OpenFile, first: Located, last: Located, test: (member: Located) => boolean): Located {
  if (test(last)) return last
  let found = first
  let end = last.offset
  while (found.offset + 1 < end) {
    const middle = Math.floor((found.offset + 1 + end) / 2)
    const member = nextMember(file, middle, end)
    if (member !== undefined && test(member)) found = member
    else end = middle === found.offset + 1 ? middle : Math.min(end - 1, middle)
  }
  return found
}

/** The last member that holds a sample: a recorder that was killed may have left the beginning of one more. */
function lastMember(file: OpenFile, first: Located): Loaded {
  let end = file.bytes
  for (;;) {
    const at = memberBefore(file, end) ?? first
    const loaded = load(file, at)
    if (loaded.lines.length > 0 || at.offset === first.offset) return loaded
    end = at.offset
  }
}

/** The first member that begins in [from, to). */
function nextMember(file: OpenFile, from: number, to: number): Located | undefined {
  for (let offset = from; offset < to; offset += BLOCK_BYTES) {
    const block = readAt(file, offset, Math.min(BLOCK_BYTES, to - offset) + HEADER_BYTES)
    for (let at = block.indexOf(SIGNATURE); at >= 0 && offset + at < to; at = block.indexOf(SIGNATURE, at + 1)) {
      const start = readMemberHeader(block, at)
      if (start !== undefined) return { ...start, offset: offset + at }
    }
  }
  return undefined
}

/** The last member that begins before `end`. */
function memberBefore(file: OpenFile, end: number): Located | undefined {
  for (let stop = end; stop > 0; stop -= BLOCK_BYTES) {
    const offset = Math.max(0, stop - BLOCK_BYTES)
    const block = readAt(file, offset, Math.min(stop - offset + HEADER_BYTES, file.bytes - offset))
    for (let at = block.lastIndexOf(SIGNATURE); at >= 0; at = at === 0 ? -1 : block.lastIndexOf(SIGNATURE, at - 1)) {
      const start = readMemberHeader(block, at)
      if (start !== undefined && offset + at < end) return { ...start, offset: offset + at }
    }
  }
  return undefined
}

function load(file: OpenFile, at: Located): Loaded {
  const text = textOf(file, at)
  // What follows the last newline is a line that was never finished.
  const lines = text.split('\n').slice(0, -1)
  return { at, lines: lines.filter(line => sampleNs(line) !== undefined), ended: lines.some(isEnd), state: newState(), decoded: 0 }
}

function textOf(file: OpenFile, at: Located): string {
  const end = nextMember(file, at.offset + HEADER_BYTES, file.bytes)?.offset ?? file.bytes
  if (end - at.offset > MEMBER_LIMIT_BYTES) throw damaged(file, at, 'a member of more than 64 MiB')
  const text = readMember(readAt(file, at.offset, end - at.offset))
  if (text === undefined) throw damaged(file, at, 'the compressed data does not decode')
  return text
}

function readAt(file: OpenFile, offset: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(Math.max(0, Math.min(bytes, file.bytes - offset)))
  let done = 0
  while (done < buffer.length) {
    const got = readSync(file.fd, buffer, done, buffer.length - done, offset + done)
    if (got === 0) break
    done += got
  }
  return buffer.subarray(0, done)
}
