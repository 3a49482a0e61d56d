/**
 * Reads the real machine's files, and remembers what that took and what was refused.
 *
 * Opening a file of /proc or /sys costs more than reading it (8 to 60 us against 1), so files that are read every time
 * stay open: a read from position 0 gives the text as of now. Files of a process are opened anew each time, because a
 * descriptor would outlive the process. All reads are nonblocking: some files of /proc wait for something to happen.
 *
 * A file that the kernel makes in one piece comes whole with one read that has room to spare, so nobody asks for more of it;
 * a list, which it makes record by record, ends where a read gives nothing.
 */
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import type { Answer } from '../sample/source.ts'

export interface Reader {
  /** Stands before every path; '' for the real machine. */
  readonly root: string
  readonly kept: Map<string, Kept>
  /** path -> errno of what could not be read; "ENOENT" where there is no such file. */
  readonly errors: Map<string, string>
  /** Of this machine. */
  readonly pageBytes: number
  buffer: Buffer
}

/** A file that stays open. */
interface Kept {
  readonly fd: number
  readonly onePiece: boolean
}

/** A text longer than this is cut off: some files of /proc are as large as memory. */
const TEXT_LIMIT = 1 << 24
const KEPT_LIMIT = 600
/** Files made in one piece (single_open, one show of a seq_file): of sysfs all, of cgroups but lists of members, of /proc these. */
const ONE_PIECE = /^\/sys\/(?!.*\/cgroup\.\w+$)|^\/proc\/(\d+\/(stat|status|oom_score|oom_score_adj|smaps_rollup)|meminfo|sys\/.*)$/

export const newReader = (root: string): Reader => ({
  root,
  kept: new Map(),
  errors: new Map(),
  pageBytes: pageBytesOf(root),
  buffer: Buffer.allocUnsafe(1 << 16),
})

/** Of the words that the kernel gives each process (getauxval), the one with the size of a page. */
const AT_PAGESZ = 6n
const USUAL_PAGE = 4096

/** What sysconf(_SC_PAGESIZE) says. */
function pageBytesOf(root: string): number {
  try {
    const words = readFileSync(`${root}/proc/self/auxv`)
    for (let at = 0; at + 16 <= words.length; at += 16)
      if (words.readBigUInt64LE(at) === AT_PAGESZ) return Number(words.readBigUInt64LE(at + 8))
  } catch {
    // A tree of files has no processes of its own.
  }
  return USUAL_PAGE
}

export const errnoOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO'

/**
 * A file's text now; undefined where it cannot be read, and `errors` then says why.
 * @param keep it will be read again and again
 */
export function readText(reader: Reader, path: string, keep: boolean): string | undefined {
  const kept = reader.kept.get(path)
  let fd = kept?.fd
  try {
    if (kept !== undefined) return readAll(reader, kept.fd, kept.onePiece)
    const onePiece = ONE_PIECE.test(path)
    fd = openSync(reader.root + path, constants.O_RDONLY | constants.O_NONBLOCK)
    const text = readAll(reader, fd, onePiece)
    if (keep && reader.kept.size < KEPT_LIMIT) reader.kept.set(path, { fd, onePiece })
    else closeSync(fd)
    if (reader.errors.size > 0) reader.errors.delete(path)
    return text
  } catch (error) {
    reader.errors.set(path, errnoOf(error))
    if (fd !== undefined) closeSync(fd)
    reader.kept.delete(path)
    return undefined
  }
}

function readAll(reader: Reader, fd: number, onePiece: boolean): string {
  let length = 0
  while (length < TEXT_LIMIT) {
    if (length === reader.buffer.length) reader.buffer = Buffer.concat([reader.buffer, Buffer.allocUnsafe(length)])
    const got = readSync(fd, reader.buffer, length, reader.buffer.length - length, length)
    length += got
    if (got === 0 || (onePiece && length < reader.buffer.length)) break
  }
  return reader.buffer.toString('utf8', 0, length)
}

/** Writes a file as a shell would; the answer's errno is the kernel's. */
export function writeText(reader: Reader, path: string, text: string): Answer {
  try {
    const fd = openSync(reader.root + path, constants.O_WRONLY | constants.O_NONBLOCK)
    try {
      writeSync(fd, `${text}\n`)
    } finally {
      closeSync(fd)
    }
    return { errno: '', text: '' }
  } catch (error) {
    return { errno: errnoOf(error), text: '' }
  }
}

export function closeReader(reader: Reader): void {
  for (const { fd } of reader.kept.values()) closeSync(fd)
  reader.kept.clear()
}
