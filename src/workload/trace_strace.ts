/**
 * `strace` text to trace events. Recorded with
 *
 *     strace -f -ttt -y -e trace=memory,process -o FILE COMMAND
 *
 * a line is
 *
 *     18944 882.135356 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f190a12a000
 *     18944 882.140000 vfork( <unfinished ...>
 *     18944 882.141000 <... vfork resumed>) = 18946
 *
 * Without -f there is no process number, without -ttt no time; -y names the files. strace sees calls, not accesses: the workload maps what the
 * program mapped, and touches nothing.
 */
import { UserError } from '../user_error.ts'
import { ADVICES } from './program.ts'
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

const LINE = /^(?:\[pid +(\d+)\] +|(\d+) +)?(?:(\d+)\.(\d{1,9}) +)?(.*)$/
const CALL = /^(\w+)\((.*)\) += (0x[0-9a-f]+|-?\d+|\?)(?:<[^>]*>)?(.*)$/
const UNFINISHED = /^(\w+)\((.*?),? *<unfinished \.\.\.>$/
const RESUMED = /^<\.\.\. (\w+) resumed>,? ?(.*)$/
/** Time between calls where the trace has no times. */
const STEP_NS = 1000

interface Reader {
  readonly events: TraceEvent[]
  readonly unknown: Map<string, number>
  /** Beginnings of calls that others interrupted, by process. */
  readonly begun: Map<number, string>
  readonly breaks: Breaks
  ns: number
}

/** @throws UserError for a line that is none of strace's */
export function readStrace(text: string, file: string): Trace {
  const reader: Reader = { events: [], unknown: new Map(), begun: new Map(), breaks: new Map(), ns: 0 }
  text.split('\n').forEach((row, i) => {
    if (row.trim() === '') return
    const [, inBrackets, atStart, seconds, fraction, rest] = LINE.exec(row) ?? []
    if (rest === undefined) throw new UserError('no line of strace', { file, line: i + 1 })
    reader.ns = seconds === undefined ? reader.ns + STEP_NS : nsOf(seconds, fraction)
    if (!take(reader, Number(inBrackets ?? atStart ?? 1), rest.trim()))
      throw new UserError('no line of strace: "call(arguments) = result" is expected', { file, line: i + 1 })
  })
  note(reader.unknown, 'trace of strace, which sees no page faults: memory is mapped, and nothing touched')
  return reader
}

/** Whether the line could be understood as one of strace's. */
function take(reader: Reader, pid: number, text: string): boolean {
  if (text.startsWith('---')) return true
  if (text.startsWith('+++')) {
    reader.events.push({ ns: reader.ns, pid, act: { kind: 'exit' } })
    return true
  }
  const unfinished = UNFINISHED.exec(text)
  if (unfinished !== null) {
    const [, name, words] = unfinished
    reader.begun.set(pid, `${name}(${words}`)
    // A process that vforks waits: its child speaks first.
    return true
  }
  const resumed = RESUMED.exec(text)
  const begun = resumed === null ? '' : `${reader.begun.get(pid) ?? `${resumed[1]}(`}${resumed[2].startsWith(')') ? '' : ', '}`
  const match = CALL.exec(resumed === null ? text : begun + resumed[2])
  if (match === null) return false
  const [, name, words, ret] = match
  if (ret !== '?' && !ret.startsWith('-')) called(reader, pid, { name, words: split(words), ret: Number(ret) })
  return true
}

interface Call {
  readonly name: string
  readonly words: readonly string[]
  readonly ret: number
}

/** Arguments, at commas outside brackets and quotes. */
function split(text: string): string[] {
  return [...text.matchAll(/(?:"(?:\\.|[^"\\])*"|<[^>]*>|\[[^\]]*\]|\{[^}]*\}|[^,])+/g)].map(([word]) => word.trim())
}

function called(reader: Reader, pid: number, call: Call): void {
  const { events, ns } = reader
  const act = actOf(reader, pid, call)
  if (act === undefined) return
  if (act.kind !== 'fork') {
    events.push({ ns, pid, act })
    return
  }
  // The parent's call may return when the child has long begun: it was there before its first event.
  const first = events.findIndex(event => event.pid === act.child)
  const at = first < 0 ? ns : events[first].ns
  if (first < 0) inheritBreak(reader.breaks, pid, act.child)
  events.splice(first < 0 ? events.length : first, 0, { ns: at, pid, act })
}

function actOf(reader: Reader, pid: number, { name, words, ret }: Call): TraceAct | undefined {
  const [address, bytes] = [Number(words[0]), wholePages(Number(words[1]))]
  switch (name) {
    case 'mmap':
      return mapping(words, ret)
    case 'munmap':
      return { kind: 'unmap', address, bytes }
    case 'mprotect':
      return { kind: 'protect', address, bytes, prot: protection(words[2]) }
    case 'mlock':
    case 'munlock':
      return { kind: name === 'mlock' ? 'lock' : 'unlock', address, bytes }
    case 'mremap':
      return { kind: 'remap', address, bytes, newAddress: ret, newBytes: wholePages(Number(words[2])) }
    case 'madvise': {
      const advice = ADVICES.find(word => `MADV_${word.toUpperCase()}` === words[2])
      if (advice === undefined) note(reader.unknown, `madvise calls with ${words[2]}: left out`)
      return advice && { kind: 'advise', address, bytes, advice }
    }
    case 'brk':
      return moveBreak(reader.breaks, pid, ret)
    case 'execve':
      reader.breaks.delete(pid)
      return { kind: 'exec', name: words[0].replace(/^"|"$/g, '').replace(/.*\//, '') }
    case 'fork':
    case 'vfork':
    case 'clone':
    case 'clone3':
      return forked(name, words.join(), ret)
    default:
      return undefined
  }
}

function mapping(words: readonly string[], address: number): TraceAct {
  const flags = words[3]
  const named = /<([^>]*)>/.exec(words[4])?.[1]
  const file = flags.includes('MAP_ANONYMOUS') ? undefined : (named ?? `fd${words[4]}`)
  return {
    kind: 'map',
    address,
    bytes: wholePages(Number(words[1])),
    prot: protection(words[2]),
    shared: /MAP_SHARED/.test(flags),
    file,
    fileOffset: file === undefined ? 0 : Number(words[5]),
    populate: flags.includes('MAP_POPULATE'),
    stack: false,
  }
}

/** Threads are no processes. */
const forked = (name: string, words: string, child: number): TraceAct | undefined =>
  words.includes('CLONE_THREAD') ? undefined : { kind: 'fork', child, shares: name === 'vfork' || words.includes('CLONE_VM') }

const protection = (words: string) => protectionOf(words.includes('READ'), words.includes('WRITE'), words.includes('EXEC'))
