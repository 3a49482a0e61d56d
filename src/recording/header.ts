/** The first line of a recording: what was recorded, by which version, and which knobs the machine had. */
import type { Source, Tunable } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { UserError } from '../user_error.ts'
import { isObject, parseJson } from './recording.ts'
import { FORMAT_VERSION } from './writer.ts'

export interface Header {
  readonly kind: Source['kind']
  readonly title: string
  readonly tunables: readonly Tunable[]
}

const TYPES = ['integer', 'choice', 'vector', 'trigger', 'bytes'] as const
const KINDS = ['simulation', 'recording', 'host'] as const

/** @throws UserError where the line is no header, or one of a version that cannot be read */
export function parseHeader(line: string, file: string): Header {
  const value = parseJson(line)
  if (!isObject(value) || value['mmtop'] !== 'recording')
    throw new UserError('not a recording: the first line is no header', { file, line: 1 })
  const version: unknown[] = Array.isArray(value['version']) ? value['version'] : []
  if (version[0] !== FORMAT_VERSION[0]) {
    const theirs = cleanLine(version.slice(0, 2).map(String).join('.')).slice(0, 20)
    throw new UserError(`recording format ${theirs || '?'} is not readable by this version, which knows ${FORMAT_VERSION[0]}.x`, {
      file,
      line: 1,
    })
  }
  const tunables: unknown[] = Array.isArray(value['tunables']) ? value['tunables'] : []
  return {
    kind: KINDS.find(kind => kind === value['kind']) ?? 'recording',
    title: cleanLine(textIn(value, 'title') ?? ''),
    tunables: tunables.flatMap(tunable => toTunable(tunable) ?? []),
  }
}

function textIn(value: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const text = value[key]
  return typeof text === 'string' ? cleanLine(text) : undefined
}

function numberIn(value: Readonly<Record<string, unknown>>, key: string): number | undefined {
  const number = value[key]
  return typeof number === 'number' ? number : undefined
}

function toTunable(value: unknown): Tunable | undefined {
  if (!isObject(value)) return undefined
  const path = textIn(value, 'path')
  if (path === undefined) return undefined
  const choices: unknown[] = Array.isArray(value['choices']) ? value['choices'] : []
  const words = choices.flatMap(choice => (typeof choice === 'string' ? [cleanLine(choice)] : []))
  const [min, max, fallback, unit] = [numberIn(value, 'min'), numberIn(value, 'max'), textIn(value, 'default'), textIn(value, 'unit')]
  return {
    path,
    type: TYPES.find(type => type === value['type']) ?? 'integer',
    meaning: textIn(value, 'meaning') ?? '',
    source: textIn(value, 'source') ?? '',
    ...(words.length > 0 ? { choices: words } : {}),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(unit === undefined ? {} : { unit }),
  }
}
