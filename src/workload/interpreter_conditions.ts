/**
 * Numbers in files, and questions about them: `wait`, `expect`, `mark`.
 */
import { COST, spend } from '../kernel/base/cost.ts'
import { ENOENT } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Fields, OpRecord, Ports, Run } from './interpreter_state.ts'
import { substitutePids } from './lex.ts'
import type { Comparison, Expectation, ExpectStatement, FileValue } from './program.ts'

/** The number in a file, or after KEY in a file of "KEY number" lines; undefined where there is none. */
export function readNumber(k: Kernel, ports: Ports, { path, key }: FileValue): number | undefined {
  spend(k, COST.file_read, 1)
  const text = ports.read(k, path)
  if (typeof text === 'number') return undefined
  if (key === undefined) return leadingNumber(text)
  for (const line of text.split('\n')) {
    if (line.startsWith(key) && /^[ :\t]/.test(line.slice(key.length))) return leadingNumber(line.slice(key.length).replace(/^[ :\t]+/, ''))
  }
  return undefined
}

/** As strtoll reads it: 0 when there are no digits. */
const leadingNumber = (text: string) => Number(/^\s*([+-]?\d+)/.exec(text)?.[1] ?? 0)

/** The errno of a file that has no such number: its own, or ENOENT for a missing key. */
export function numberErrno(k: Kernel, ports: Ports, { path }: FileValue): number {
  const text = ports.read(k, path)
  return typeof text === 'number' ? -text : ENOENT
}

export function compares(value: number, compare: Comparison, goal: number): boolean {
  switch (compare) {
    case 'ge':
      return value >= goal
    case 'gt':
      return value > goal
    case 'le':
      return value <= goal
    case 'lt':
      return value < goal
    case 'eq':
      return value === goal
    case 'ne':
      return value !== goal
  }
}

/** Remembers what the files of every relative expect hold now. */
export function setMarks(run: Run, ports: Ports): void {
  for (const spec of run.program.marked) {
    const [path, key] = splitSpec(substitutePids(spec, name => pidOf(run, name)))
    run.marks.set(spec, readNumber(run.k, ports, { path, key }) ?? 0)
  }
}

/** The pid of a process by its name; undefined when there is none. */
export const pidOf = (run: Run, name: string): number | undefined => run.workers.find(worker => worker?.name === name)?.task.pid

function splitSpec(spec: string): readonly [string, string | undefined] {
  const colon = spec.lastIndexOf(':')
  return colon < 0 ? [spec, undefined] : [spec.slice(0, colon), spec.slice(colon + 1)]
}

/** What an expect found. */
export interface Verdict {
  readonly held: boolean
  readonly found: Fields
}

/**
 * Whether an expect holds.
 * @param last the op before it
 */
export function judge(run: Run, ports: Ports, statement: ExpectStatement, last: OpRecord | undefined): Verdict {
  const { expectation } = statement
  switch (expectation.about) {
    case 'file':
      return judgeFile(run, ports, statement, expectation)
    case 'result': {
      const value = expectation.field === 'ret' ? last?.ret : last?.fields[expectation.field]
      if (typeof value !== 'number') return { held: false, found: {} }
      return { held: compares(value, expectation.compare, expectation.value), found: { value } }
    }
    case 'err':
      return { held: last?.err === expectation.errno, found: { value: last?.err ?? 'none' } }
    case 'signal': {
      const signal = last?.fields['signal']
      return { held: signal === expectation.signal, found: { value: typeof signal === 'string' ? signal : 'none' } }
    }
  }
}

function judgeFile(run: Run, ports: Ports, statement: ExpectStatement, about: Expectation & { readonly about: 'file' }): Verdict {
  const value = readNumber(run.k, ports, about.file)
  if (value === undefined) return { held: false, found: {} }
  const before = about.relative ? (run.marks.get(statement.text.split(/[ \t]+/)[1]) ?? 0) : 0
  return { held: compares(value, about.compare, before + about.value), found: { value } }
}
