/**
 * `perf script` text to trace events. Recorded with
 *
 *     perf record -k CLOCK_MONOTONIC -c 1 -d -e page-faults -e syscalls:sys_enter_mmap -e syscalls:sys_exit_mmap ... -- COMMAND
 *     perf script --show-task-events --show-mmap-events -F comm,pid,tid,time,event,addr,trace
 *
 * a line is
 *
 *      gcc 18944/18944 882.135162: syscalls:sys_enter_brk: brk: 0x00000000 0
 *      COMM PID/TID    SECONDS:    EVENT:                   FIELDS
 *
 * Calls are taken at their exits, when that says that they succeeded, with what their entries asked for. Between the two perf leaves an MMAP2
 * record of the area that came of it: names of files, and what exec maps, are known from there only.
 */

import { MAP_POPULATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE } from '../kernel/base/flags.ts'
import { UserError } from '../user_error.ts'
import { adviceOf } from './advice.ts'
import {
  type Breaks,
  inheritBreak,
  moveBreak,
  note,
  nsOf,
  protectionOf,
  type Trace,
  type TraceAct,
  type TraceEvent,
  wholePages,
} from './trace.ts'

const LINE = /^ ?(.{1,32}?) +(-?\d+)\/(-?\d+) +(\d+)\.(\d{1,9}): +([^ :]+(?::sys_[a-z0-9_]+)?)[: ](.*)$/
const MMAP2 = /\[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (0x[0-9a-f]+|0) [^\]]*\]: ([r-])([w-])([x-])([ps]) (.*)$/
const FORK = /\((\d+):(\d+)\):\((\d+):(\d+)\)/
const CLONE_VM = 0x100
const ANONYMOUS = /^(\/\/anon|\[vvar\w*\]|\[heap\]|\[stack.*\]|\[anon:.*|\/dev\/zero.*|anon_inode:.*)$/

/** A call that a thread has entered and not left. */
interface Call {
  readonly name: string
  readonly fields: ReadonlyMap<string, number>
  /** Of mmap: what it maps, undefined for anonymous memory. */
  file?: string | undefined
}

interface Reader {
  readonly events: TraceEvent[]
  readonly unknown: Map<string, number>
  readonly calls: Map<number, Call>
  readonly breaks: Breaks
}

interface Line {
  readonly ns: number
  readonly pid: number
  readonly tid: number
  readonly comm: string
  readonly rest: string
}

/** @throws UserError for a line that is none of perf script's */
export function readPerf(text: string, file: string): Trace {
  const reader: Reader = { events: [], unknown: new Map(), calls: new Map(), breaks: new Map() }
  text.split('\n').forEach((row, i) => {
    if (row.trim() === '' || row.startsWith('#')) return
    const match = LINE.exec(row)
    if (match === null) throw new UserError('no line of perf script: "comm pid/tid seconds: event: ..." is expected', { file, line: i + 1 })
    const [, comm, pid, tid, seconds, fraction, event, rest] = match
    take(reader, event, { ns: nsOf(seconds, fraction), pid: Number(pid), tid: Number(tid), comm, rest: rest.trim() })
  })
  return reader
}

function take(reader: Reader, event: string, line: Line): void {
  if (event === 'page-faults') return push(reader, line, { kind: 'fault', address: Number.parseInt(line.rest, 16) })
  if (event.startsWith('syscalls:sys_enter_')) {
    reader.calls.set(line.tid, { name: event.slice(19), fields: fieldsOf(line.rest) })
    return
  }
  if (event.startsWith('syscalls:sys_exit_')) return leave(reader, event.slice(18), line)
  if (event.startsWith('PERF_RECORD_MMAP')) return mapped(reader, line)
  if (event.startsWith('PERF_RECORD_COMM')) {
    if (!line.rest.startsWith('exec')) return
    reader.breaks.delete(line.pid)
    return push(reader, line, { kind: 'exec', name: line.comm })
  }
  if (event.startsWith('PERF_RECORD_FORK')) return forked(reader, `${event}:${line.rest}`, line)
  if (event.startsWith('PERF_RECORD_EXIT')) {
    const [, pid, tid] = FORK.exec(`${event}:${line.rest}`) ?? []
    if (pid !== undefined && pid === tid) push(reader, { ...line, pid: Number(pid) }, { kind: 'exit' })
    return
  }
  note(reader.unknown, `events ${event}`)
}

const push = ({ events }: Reader, { ns, pid }: Line, act: TraceAct): void => {
  events.push({ ns, pid, act })
}

const fieldsOf = (text: string): Map<string, number> =>
  new Map([...text.matchAll(/(\w+): (0x[0-9a-f]+|-?\d+)/g)].map(([, key, value]) => [key, Number(value)]))

/**
 * An area of the process as it is now, with the neighbours that it was merged with: exact for what exec maps into an empty address space;
 * for mmap it tells the file's name.
 */
function mapped(reader: Reader, line: Line): void {
  const call = reader.calls.get(line.tid)
  const match = MMAP2.exec(line.rest)
  if (match === null) return
  const [, start, bytes, offset, r, w, x, sharing, name] = match
  const file = name === '' || ANONYMOUS.test(name) ? undefined : name
  if (call !== undefined && call.name !== 'execve') {
    call.file = file
    return
  }
  push(reader, line, {
    kind: 'map',
    address: Number.parseInt(start, 16),
    bytes: Number.parseInt(bytes, 16),
    prot: protectionOf(r === 'r', w === 'w', x === 'x'),
    shared: sharing === 's',
    file,
    fileOffset: file === undefined ? 0 : Number(offset),
    populate: false,
    stack: name === '[stack]',
  })
}

/** The thread that forks writes the record, before its call returns. */
function forked(reader: Reader, text: string, line: Line): void {
  const [, child, , parent] = (FORK.exec(text) ?? []).map(Number)
  if (child === undefined || child === parent) return
  const call = reader.calls.get(line.tid)
  if (call?.name === 'clone3') note(reader.unknown, 'clone3 calls, whose flags perf does not see: taken for vfork')
  const shares = call?.name === 'vfork' || call?.name === 'clone3' || ((call?.fields.get('clone_flags') ?? 0) & CLONE_VM) !== 0
  inheritBreak(reader.breaks, parent, child)
  push(reader, { ...line, pid: parent }, { kind: 'fork', child, shares })
}

/** A call that succeeded did what it says. */
function leave(reader: Reader, name: string, line: Line): void {
  const call = reader.calls.get(line.tid)
  reader.calls.delete(line.tid)
  if (call === undefined || call.name !== name) return
  const ret = Number(/^(0x[0-9a-f]+|-?\d+)/.exec(line.rest)?.[1] ?? Number.NaN)
  if (!(ret >= 0 && ret < 2 ** 63)) return
  const act = name === 'brk' ? moveBreak(reader.breaks, line.pid, ret) : actOf(reader, call, ret)
  if (act !== undefined) push(reader, line, act)
}

/** What a call that returned `ret` did to memory. */
function actOf(reader: Reader, { name, file, fields }: Call, ret: number): TraceAct | undefined {
  const field = (key: string) => fields.get(key) ?? 0
  const pages = (key: string) => wholePages(field(key))
  switch (name) {
    case 'mmap': {
      const flags = field('flags')
      const shared = (flags & MAP_SHARED) !== 0
      const populate = (flags & MAP_POPULATE) !== 0
      const [bytes, prot, fileOffset] = [pages('len'), protectionBits(field('prot')), file === undefined ? 0 : field('off')]
      return { kind: 'map', address: ret, bytes, prot, shared, file, fileOffset, populate, stack: false }
    }
    case 'munmap':
      return { kind: 'unmap', address: field('addr'), bytes: pages('len') }
    case 'mprotect':
      return { kind: 'protect', address: field('start'), bytes: pages('len'), prot: protectionBits(field('prot')) }
    case 'madvise': {
      const advice = adviceOf(field('behavior'))
      if (advice === undefined) note(reader.unknown, `madvise calls with advice ${field('behavior')}: left out`)
      return advice && { kind: 'advise', address: field('start'), bytes: pages('len_in'), advice }
    }
    case 'mlock':
    case 'munlock':
      return { kind: name === 'mlock' ? 'lock' : 'unlock', address: field('start'), bytes: pages('len') }
    case 'mremap':
      return { kind: 'remap', address: field('addr'), bytes: pages('old_len'), newAddress: ret, newBytes: pages('new_len') }
    default:
      return undefined
  }
}

const protectionBits = (prot: number) => protectionOf((prot & PROT_READ) !== 0, (prot & PROT_WRITE) !== 0, (prot & PROT_EXEC) !== 0)
