/**
 * A workload's text to a Program. Lines become statements one by one (parseLeaf); blocks are read by going down into
 * them (sequence) until their `end`; headers are collected on the side.
 *
 * What is refused here is what cannot be meant: words that are none of the language's, numbers that are none, missing
 * words, blocks that do not close, loops that never let time pass, a machine that cannot exist. What the kernel would
 * answer with an errno is not refused: that answer may be what the workload is for.
 */
import { must } from '../kernel/base/assert.ts'
import { nearestWord, type Where } from '../user_error.ts'
import {
  endOf,
  fail,
  LIMITS,
  type Line,
  type PidOf,
  part,
  printable,
  quoted,
  type Reader,
  readLine,
  readText,
  takeLine,
  type Word,
} from './lex.ts'
import { machineOf, readMachineKeys } from './machine.ts'
import { CONTROLLER_ROWS, FORM_OPS, HEADERS, WORKER_ROWS } from './ops_controller.ts'
import type {
  BlockStatement,
  ControllerOp,
  DeferredStatement,
  FileSpec,
  LeafStatement,
  LoopStatement,
  MachineSpec,
  Program,
  Source,
  Statement,
  WorkerOp,
} from './program.ts'
import { type Args, match, maybe, type OpRow, shapeFor } from './shape.ts'
import { below, duration, name, unknown } from './values.ts'

const DEFAULT_TIMEOUT_NS = 100_000 * 1e6
/** What `$A` stands for while a line is only being checked. */
const ANY_PID: PidOf = () => 1

// ---------------------------------------------------------------------------------------------- one line

/** What a line means depends on where it stands. */
interface Scope {
  /** The process whose block this is; undefined at the top level. */
  readonly owner: string | undefined
  /** Processes that the text has started so far, for better guesses at what was meant. */
  readonly workers: Set<string>
  /** Files that `+N` expects compare with. */
  readonly marked: Set<string>
  /** Whether an op has been seen that `expect ret` can be about. */
  hadOp: boolean
}

const sourceOf = (line: Line): Source => ({ i: line.where.line ?? 0, column: line.start + 1, text: line.text })

function decode<T>(op: string, row: OpRow<T>, line: Line, words: readonly Word[]): { readonly args: Args; readonly value: T } {
  const args = match(op, shapeFor(op, row.shapes, line, words), line, words)
  return { args, value: row.build(args) }
}

/** A line that opens or closes nothing. */
function parseLeaf(line: Line, scope: Scope): LeafStatement {
  const [head] = line.words
  const source = sourceOf(line)
  if (head.text === 'expect') return { ...source, kind: 'expect', expectation: parseExpect(line, scope) }
  if (scope.owner !== undefined) return parseOwn(line, scope, scope.owner)
  if (head.text === 'mark') {
    decode('mark', FORM_OPS.mark, line, line.words.slice(1))
    return { ...source, kind: 'mark' }
  }
  scope.hadOp = true
  const row = CONTROLLER_ROWS.get(head.text)
  if (row) return { ...source, kind: 'controller', op: remember(decode(head.text, row, line, line.words.slice(1)).value, scope) }
  const background = head.text === 'bg'
  const [worker, op] = line.words.slice(background ? 1 : 0)
  const workerRow = op && WORKER_ROWS.get(op.text)
  if (!worker || !workerRow) return unknownOp(line, background, scope)
  const { value, timeout } = workerOp(op, workerRow, line, line.words.slice(background ? 3 : 2))
  if (background) return timeout ? noTimeout(timeout) : { ...source, kind: 'bg', worker: name(worker), op: value }
  const timeoutNs = timeout ? duration(timeout) : DEFAULT_TIMEOUT_NS
  return { i: source.i, column: source.column, text: source.text, kind: 'worker', worker: name(worker), op: value, timeoutNs }
}

/** A line of A's block: an op of A's, without the name. */
function parseOwn(line: Line, scope: Scope, owner: string): LeafStatement {
  const [head, second] = line.words
  const source = sourceOf(line)
  scope.hadOp = true
  const row = WORKER_ROWS.get(head.text)
  if (row) {
    const { value, timeout } = workerOp(head, row, line, line.words.slice(1))
    return timeout ? noTimeout(timeout) : { ...source, kind: 'worker', worker: owner, op: value, timeoutNs: DEFAULT_TIMEOUT_NS }
  }
  const sleep = head.text === 'sleep' && CONTROLLER_ROWS.get('sleep')
  if (sleep) return { ...source, kind: 'controller', op: decode('sleep', sleep, line, line.words.slice(1)).value }
  if (second && WORKER_ROWS.has(second.text)) fail(head, `a block's lines are ops of ${owner}: leave ${quoted(head.text)} out`)
  if (CONTROLLER_ROWS.has(head.text) || Object.hasOwn(HEADERS, head.text) || head.text === 'bg' || head.text === 'mark') {
    fail(head, `"${head.text}" has no place in a block of ${owner}: only its own ops, sleep, loop and expect`)
  }
  return unknown(head, 'op', [...WORKER_ROWS.keys(), 'sleep', 'loop', 'expect', 'end'])
}

function workerOp(op: Word, row: OpRow<WorkerOp>, line: Line, words: readonly Word[]) {
  const { args, value } = decode(op.text, row, line, words)
  return { value, timeout: maybe(args, 'timeout', word => word) }
}

const noTimeout = (word: Word) => fail(word, 'timeout= is for ops that are waited for: give it to join')

function remember(op: ControllerOp, scope: Scope): ControllerOp {
  if (op.op === 'spawn') scope.workers.add(op.worker)
  if (op.op === 'fork') scope.workers.add(op.child)
  return op
}

function parseExpect(line: Line, scope: Scope) {
  const { args, value } = decode('expect', FORM_OPS.expect, line, line.words.slice(1))
  if (value.about !== 'file' && !scope.hadOp) {
    fail(line.words[0], `expect: there is no op before this line that could have ${args.taken.has('err') ? 'failed' : 'a result'}`)
  }
  if (value.about === 'file' && value.relative) scope.marked.add(must(line.text.split(/[ \t]+/)[1], 'expect has a path'))
  return value
}

/** Of "X Y ..." with neither an op: says which was meant to be one. */
function unknownOp(line: Line, background: boolean, scope: Scope): never {
  const [head, second] = line.words
  if (background || (scope.workers.has(head.text) && second)) {
    const op = line.words[background ? 2 : 1]
    return op ? unknown(op, 'op', WORKER_ROWS.keys()) : fail(endOf(line), 'bg: the name of a process is missing (bg A op ...)')
  }
  if (scope.workers.has(head.text)) fail(endOf(line), `an op of ${head.text} is missing`)
  const first = [...CONTROLLER_ROWS.keys(), ...Object.keys(FORM_OPS), ...Object.keys(HEADERS)]
  const near = nearestWord(head.text.slice(0, 64), first)
  const nearSecond = second && nearestWord(second.text.slice(0, 64), WORKER_ROWS.keys())
  if (second && near === undefined && nearSecond !== undefined) {
    fail(second, `unknown op ${quoted(second.text)}: did you mean "${nearSecond}"?`)
  }
  if (WORKER_ROWS.has(head.text)) fail(head, `"${head.text}" is an op of a process: say which (A ${head.text} ...)`)
  if (second && near === undefined) fail(head, `neither ${quoted(head.text)} nor ${quoted(second.text)} is an op`)
  return fail(head, `unknown op ${quoted(head.text)}${near === undefined ? '' : `: did you mean "${near}"?`}`)
}

/** A leaf, or a deferred statement when the line has a `$`: it is then checked with some pid in its place. */
function leafOrDeferred(line: Line, scope: Scope): LeafStatement | DeferredStatement {
  if (!line.text.includes('$')) return parseLeaf(line, scope)
  parseLeaf(readLine(line.raw, line.where, ANY_PID), scope)
  return { ...sourceOf(line), kind: 'deferred', block: scope.owner }
}

/** What a line with `$A` says, now that A's pid is known. The pid of a process that is not there is 0. */
export function resolvePids(statement: DeferredStatement, pidOf: PidOf): LeafStatement {
  const line = readLine(' '.repeat(statement.column - 1) + statement.text, { line: statement.i }, pidOf)
  return parseLeaf(line, { owner: statement.block, workers: new Set(), marked: new Set(), hadOp: true })
}

// ---------------------------------------------------------------------------------------------- blocks

/** A file being read: what is left of it, and the headers that have come by. */
interface Cursor {
  readonly reader: Reader
  readonly headers: Headers
}

interface Block {
  readonly opener: Line | undefined
  readonly depth: number
  readonly inLoop: boolean
}

type ParseOne<S> = (line: Line, block: Block) => S

/** Statements up to the `end` of a block, or up to the end of the file at the top level. */
function sequence<S extends Statement | BlockStatement>(cursor: Cursor, block: Block, one: ParseOne<S>): S[] {
  const body: S[] = []
  const opener = block.opener
  if (opener && block.depth > LIMITS.nesting) fail(opener.words[0], `more than ${LIMITS.nesting} blocks within each other`)
  for (let line = takeLine(cursor.reader); line; line = takeLine(cursor.reader)) {
    const [head] = line.words
    if (Object.hasOwn(HEADERS, head.text)) {
      if (opener) fail(head, `"${head.text}" has no place in a block`)
      readHeader(cursor.headers, line)
      continue
    }
    if (head.text === 'end') {
      if (!opener) fail(head, 'nothing is open here that "end" could close')
      decode('end', FORM_OPS.end, line, line.words.slice(1))
      return body.length > 0 ? body : fail(opener.words[0], 'this block is empty')
    }
    const last = body.at(-1)
    if (last?.kind === 'loop' && last.times === undefined) {
      fail(head, `nothing can follow the loop of line ${last.i}: it has no count and never ends`)
    }
    body.push(one(line, block))
  }
  return opener ? fail(opener.words[0], `this "${opener.words[0].text}" has no "end"`) : body
}

function parseLoop<S extends Statement | BlockStatement>(cursor: Cursor, line: Line, outer: Block, one: ParseOne<S>): LoopStatement<S> {
  const { times } = decode('loop', FORM_OPS.loop, line, line.words.slice(1)).value
  if (times === undefined && outer.inLoop) fail(line.words[0], 'a loop within a loop needs a count')
  const body = sequence(cursor, { opener: line, depth: outer.depth + 1, inLoop: true }, one)
  if (times === undefined && !body.some(takesTime)) fail(line.words[0], 'nothing in this loop takes time: it would never come to an end')
  return { ...sourceOf(line), kind: 'loop', times, body }
}

const takesTime = (statement: Statement | BlockStatement): boolean =>
  statement.kind === 'loop' ? statement.body.some(takesTime) : statement.kind !== 'expect' && statement.kind !== 'mark'

function parseStatement(cursor: Cursor, line: Line, block: Block, scope: Scope): Statement {
  const [head, owner, ...more] = line.words
  if (head.text === 'loop') return parseLoop(cursor, line, block, (inner, at) => parseStatement(cursor, inner, at, scope))
  if (head.text !== 'bg' || !owner || more.length > 0) return leafOrDeferred(line, scope)
  scope.hadOp = true
  const own: Scope = { owner: name(owner), workers: scope.workers, marked: scope.marked, hadOp: false }
  const one: ParseOne<BlockStatement> = (inner, at) => parseBlockStatement(cursor, inner, at, own)
  const body = sequence(cursor, { opener: line, depth: block.depth + 1, inLoop: false }, one)
  return { ...sourceOf(line), kind: 'bg-block', worker: owner.text, body }
}

function parseBlockStatement(cursor: Cursor, line: Line, block: Block, scope: Scope): BlockStatement {
  if (line.words[0].text === 'loop') return parseLoop(cursor, line, block, (inner, at) => parseBlockStatement(cursor, inner, at, scope))
  return blockLeaf(leafOrDeferred(line, scope))
}

/** Narrows to what parseOwn makes of a line. */
function blockLeaf(leaf: LeafStatement | DeferredStatement): BlockStatement {
  if (leaf.kind === 'worker' || leaf.kind === 'expect' || leaf.kind === 'deferred') return leaf
  const sleep = must(leaf.kind === 'controller' && leaf.op.op === 'sleep' ? leaf.op : undefined, 'a block holds ops of its process')
  return { ...leaf, kind: 'controller', op: sleep }
}

// ---------------------------------------------------------------------------------------------- headers

interface Headers {
  title: string | undefined
  seed: number | undefined
  machine: MachineSpec
  machineText: string | undefined
  readonly cmdline: string[]
  readonly files: FileSpec[]
}

function readHeader(headers: Headers, line: Line): void {
  const [head, ...words] = line.words
  switch (head.text) {
    case 'machine':
      headers.machine = { ...headers.machine, ...readMachineKeys(words) }
      headers.machineText ??= line.raw.slice(line.start)
      break
    case 'cmdline':
      headers.cmdline.push(...words.map(({ text }) => text))
      if (headers.cmdline.join(' ').length > LIMITS.cmdlineChars) {
        fail(head, `the kernel's command line is longer than ${LIMITS.cmdlineChars} characters`)
      }
      break
    case 'file':
      readFile(headers, line, words)
      break
    case 'title':
      if (headers.title !== undefined) fail(head, 'the title is given twice')
      headers.title = printable(decode('title', HEADERS.title, line, words).value.title)
      break
    default:
      if (headers.seed !== undefined) fail(head, 'the seed is given twice')
      headers.seed = decode('seed', HEADERS.seed, line, words).value.seed
  }
}

function readFile(headers: Headers, line: Line, words: readonly Word[]): void {
  const { args, value } = decode('file', HEADERS.file, line, words)
  const word = must(args.taken.get('NAME'), 'file has a name')
  const name = below(part(word, word.text.length - value.name.length))
  if (headers.files.some(file => file.name === name)) fail(word, `the file ${quoted(name)} is given twice`)
  if (headers.files.length >= LIMITS.files) fail(word, `more than ${LIMITS.files} files`)
  headers.files.push({ name, bytes: value.bytes, where: word.where })
}

// ---------------------------------------------------------------------------------------------- a file, a line

/**
 * Reads a workload.
 * @param file its name, for messages
 * @throws UserError with file, line and column for the first thing that is wrong
 */
export function parseWorkload(text: string, file: string): Program {
  const headers: Headers = { title: undefined, seed: undefined, machine: {}, machineText: undefined, cmdline: [], files: [] }
  const cursor: Cursor = { reader: readText(text, file), headers }
  const scope: Scope = { owner: undefined, workers: new Set(), marked: new Set(), hadOp: false }
  const top: Block = { opener: undefined, depth: 0, inLoop: false }
  const statements = sequence<Statement>(cursor, top, (line, block) => parseStatement(cursor, line, block, scope))
  const program = { file, ...headers, statements, marked: [...scope.marked] }
  machineOf(program)
  return program
}

/** What is known where a single line is typed. */
export interface LineContext {
  /** Names of the processes that live. */
  readonly workers?: Iterable<string>
  readonly where?: Where
}

/**
 * Reads one op as typed at the prompt; undefined for a blank line.
 * @throws UserError with the column; also for headers and for lines that open a block
 */
export function parseLine(text: string, context: LineContext = {}): LeafStatement | DeferredStatement | undefined {
  const line = readLine(text, context.where ?? {})
  const [head, , third] = line.words
  if (!head) return undefined
  if (Object.hasOwn(HEADERS, head.text)) fail(head, `"${head.text}" belongs at the head of a file: the machine is running`)
  if (head.text === 'loop' || head.text === 'end' || (head.text === 'bg' && !third))
    fail(head, `"${head.text}" is for files: here an op stands alone`)
  return leafOrDeferred(line, { owner: undefined, workers: new Set(context.workers), marked: new Set(), hadOp: true })
}
