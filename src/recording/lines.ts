/** The lines of one member (format.md): key frame, deltas, and whatever a later minor version adds, which is skipped. */
import { applyText } from '../sample/delta.ts'
import { isNs, isObject, parseJson } from './recording.ts'

/** A member being decoded. */
export interface MemberState {
  readonly files: Map<string, string>
  /** Path of each number; undefined once the file is gone. */
  readonly paths: (string | undefined)[]
  ns: number
}

export function newState(): MemberState {
  return { files: new Map(), paths: [], ns: 0 }
}

/** Machine time of a sample line; undefined for any other line. */
export function sampleNs(line: string): number | undefined {
  const value = parseJson(line)
  return isObject(value) && isNs(value['ns']) ? value['ns'] : undefined
}

/** Whether this is the line that a recorder writes when it stops in order. */
export function isEnd(line: string): boolean {
  const value = parseJson(line)
  return isObject(value) && isNs(value['end'])
}

/**
 * Takes one line in.
 * @returns what is wrong with it, or undefined
 */
export function applyLine(state: MemberState, line: string): string | undefined {
  const value = parseJson(line)
  if (!isObject(value)) return 'a line that is no JSON object'
  if (!isNs(value['ns'])) return undefined
  state.ns = value['ns']
  if (value['key'] !== undefined) {
    state.files.clear()
    state.paths.length = 0
    return addFiles(state, value['key'])
  }
  return changeFiles(state, value['d'] ?? []) ?? removeFiles(state, value['gone'] ?? []) ?? addFiles(state, value['new'] ?? [])
}

function addFiles(state: MemberState, list: unknown): string | undefined {
  if (!Array.isArray(list)) return 'files that are no list'
  for (const entry of list) {
    const [path, text]: unknown[] = Array.isArray(entry) ? entry : []
    if (typeof path !== 'string' || typeof text !== 'string') return 'a file without path and text'
    state.paths.push(path)
    state.files.set(path, text)
  }
  return undefined
}

function changeFiles(state: MemberState, list: unknown): string | undefined {
  if (!Array.isArray(list)) return 'changes that are no list'
  for (const entry of list) {
    const [number, patch]: unknown[] = Array.isArray(entry) ? entry : []
    const path = typeof number === 'number' ? state.paths[number] : undefined
    if (path === undefined || typeof patch !== 'string') return 'a change of an unknown file'
    const text = applyText(state.files.get(path), patch)
    if (text === undefined) return `a change that does not fit ${path}`
    state.files.set(path, text)
  }
  return undefined
}

function removeFiles(state: MemberState, list: unknown): string | undefined {
  if (!Array.isArray(list)) return 'removals that are no list'
  for (const number of list) {
    const path = typeof number === 'number' ? state.paths[number] : undefined
    if (path === undefined) return 'the removal of an unknown file'
    state.files.delete(path)
    state.paths[Number(number)] = undefined
  }
  return undefined
}
