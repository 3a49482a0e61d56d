/**
 * Text to lines to words. One statement a line; `#` starts a comment at the line's start or after a blank; words are
 * separated by blanks; `$A` in a word is process A's pid. Everything that could make an input expensive or a terminal
 * misbehave is refused here, before anything is looked at twice: size, line length, line count, control characters.
 *
 * A word keeps its column in the raw line, so that a message points at it and "the rest of the line" can be cut out
 * as it was written.
 */
import { UserError, type Where } from '../user_error.ts'

export const LIMITS = {
  /** Characters of a workload file. */
  fileChars: 64 * 1024 * 1024,
  lines: 1_000_000,
  lineChars: 4096,
  /** Blocks within blocks. */
  nesting: 16,
  /** Times a loop goes round. */
  loopTimes: 1_000_000_000,
  /** Files of the disk's image. */
  files: 1000,
  /** Characters of the kernel's command line (COMMAND_LINE_SIZE). */
  cmdlineChars: 2048,
  /** Characters of a process's or region's name. */
  nameChars: 15,
} as const

export interface Word {
  readonly text: string
  readonly where: Where
}

export interface Line {
  readonly where: Where
  readonly raw: string
  /** The statement: without comment and blanks around it. */
  readonly text: string
  /** Where the statement begins and ends in `raw`, counted from 0. */
  readonly start: number
  readonly end: number
  readonly words: readonly Word[]
  readonly pidOf: PidOf
}

/** The pid of a process by name; undefined: no such process. */
export type PidOf = (worker: string) => number | undefined

/** Throws a UserError about a word. */
export function fail(word: Word, message: string): never {
  throw new UserError(message, word.where)
}

/** Text of the user's in a message: quoted, without characters that a terminal obeys, and short. */
export function quoted(text: string): string {
  const clean = [...printable(text)]
  return `"${clean.length > 40 ? clean.slice(0, 40).join('') + '...' : clean.join('')}"`
}

/** Text without control characters. */
export const printable = (text: string) => text.replace(/\p{C}/gu, '?')

/** A part of a word as a word of its own. */
export function part(word: Word, from: number, to: number = word.text.length): Word {
  return {
    text: word.text.slice(from, to),
    where: { file: word.where.file, line: word.where.line, column: (word.where.column ?? 1) + from },
  }
}

/** The parts of a word between separators. */
export function split(word: Word, separator: RegExp): Word[] {
  const parts: Word[] = []
  let from = 0
  for (const match of word.text.matchAll(separator)) {
    parts.push(part(word, from, match.index))
    from = match.index + match[0].length
  }
  parts.push(part(word, from))
  return parts
}

/** Replaces each `$NAME` by that process's pid, or by 0 where there is none. Names are at most 15 characters. */
export function substitutePids(text: string, pidOf: PidOf): string {
  if (!text.includes('$')) return text
  return text.replace(/\$([A-Za-z0-9_]{0,15})/g, (_, name: string) => String(pidOf(name) ?? 0))
}

/** For lines in which `$` means nothing. */
const NO_PIDS: PidOf = () => undefined

/**
 * One line. Throws a UserError when it is too long or holds control characters.
 * @param where file and line number for messages
 */
export function readLine(text: string, where: Where, pidOf: PidOf = NO_PIDS): Line {
  if (text.length > LIMITS.lineChars) {
    throw new UserError(`the line is longer than ${LIMITS.lineChars} characters`, { ...where, column: LIMITS.lineChars + 1 })
  }
  const raw = text.endsWith('\r') ? text.slice(0, -1) : text
  const odd = raw.search(/[\x00-\x08\x0a-\x1f\x7f-\x9f\ufeff\ufffd]/)
  if (odd >= 0) {
    const code = raw.charCodeAt(odd).toString(16).toUpperCase().padStart(4, '0')
    throw new UserError(`the character U+${code} has no place in a text: is this a workload?`, { ...where, column: odd + 1 })
  }
  const comment = /(?:^|[ \t])#/.exec(raw)
  const words: Word[] = []
  let start = 0
  let end = 0
  for (const match of (comment ? raw.slice(0, comment.index) : raw).matchAll(/[^ \t]+/g)) {
    if (words.length === 0) start = match.index
    end = match.index + match[0].length
    words.push({
      text: pidOf === NO_PIDS ? match[0] : substitutePids(match[0], pidOf),
      where: { file: where.file, line: where.line, column: match.index + 1 },
    })
  }
  return { where, raw, text: raw.slice(start, end), start, end, words, pidOf }
}

/** The statement from a word to its end, blanks inside it kept. */
export function restFrom(line: Line, word: Word): Word {
  const rest = line.raw.slice((word.where.column ?? 1) - 1, line.end)
  return { text: line.pidOf === NO_PIDS ? rest : substitutePids(rest, line.pidOf), where: word.where }
}

/** A place just behind a line's statement: where something is missing. */
export const endOf = (line: Line): Word => ({ text: '', where: { ...line.where, column: line.end + 1 } })

/** A file's text and how far it has been read. */
export interface Reader {
  readonly text: string
  readonly file: string
  from: number
  line: number
}

/**
 * Begins to read a file. A byte order mark and CRLF are accepted.
 * @throws UserError when the text is too large
 */
export function readText(text: string, file: string): Reader {
  if (text.length > LIMITS.fileChars) throw new UserError(`larger than ${LIMITS.fileChars >> 20} MiB: too large for a workload`, { file })
  return { text, file, from: text.startsWith('\ufeff') ? 1 : 0, line: 0 }
}

/** The next line that is not blank; undefined at the end. */
export function takeLine(reader: Reader): Line | undefined {
  while (reader.from < reader.text.length) {
    if (++reader.line > LIMITS.lines) throw new UserError(`more than ${LIMITS.lines} lines`, { file: reader.file, line: reader.line })
    const newline = reader.text.indexOf('\n', reader.from)
    const end = newline < 0 ? reader.text.length : newline
    const line = readLine(reader.text.slice(reader.from, end), { file: reader.file, line: reader.line })
    reader.from = end + 1
    if (line.words.length > 0) return line
  }
  return undefined
}
