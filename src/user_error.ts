/**
 * The one error that is the user's: a workload, recording, argument or knob that is wrong. It becomes one line on
 * stderr and exit status 2; only cli/ catches it. Our own bugs are assertions, never this.
 */

/** Where in an input the mistake is; line and column count from 1. */
export interface Where {
  readonly file?: string
  readonly line?: number
  readonly column?: number
}

export class UserError extends Error {
  readonly where: Where
  constructor(message: string, where: Where = {}) {
    super(message)
    this.name = 'UserError'
    this.where = where
  }

  /** "file:line:column: message", with what is known of it. */
  get oneLine(): string {
    const { file, line, column } = this.where
    const at = [file, line, column].filter(part => part !== undefined).join(':')
    return at === '' ? this.message : `${at}: ${this.message}`
  }
}

/**
 * What the system has against reading or writing a file, as the user's error, to be thrown: "cannot be read: ENOENT (no such file)".
 * Any other error is given back as it is.
 */
export function fileError(error: unknown, file: string, what: 'read' | 'written'): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('errno' in error)) return error
  return new UserError(`cannot be ${what}: ${errnoText(String(error.code))}`, { file })
}

/** What an errno's name means, in the words of errno(3). */
const MEANINGS: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file',
  ESRCH: 'no such process',
  EINTR: 'interrupted',
  EIO: 'input/output error',
  ENXIO: 'no such device or address',
  E2BIG: 'argument list too long',
  EBADF: 'bad file descriptor',
  ECHILD: 'no child processes',
  EAGAIN: 'temporarily unavailable',
  ENOMEM: 'not enough memory',
  EACCES: 'permission denied',
  EFAULT: 'bad address',
  EBUSY: 'busy',
  EEXIST: 'file exists',
  ENODEV: 'no such device',
  ENOTBLK: 'no block device',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  EINVAL: 'invalid argument',
  ENFILE: 'too many open files in the system',
  EMFILE: 'too many open files',
  ETXTBSY: 'text file busy',
  EFBIG: 'file too large',
  ENOSPC: 'no space left',
  ESPIPE: 'invalid seek',
  EROFS: 'read-only file system',
  EDOM: 'argument out of domain',
  ERANGE: 'result too large',
  ENAMETOOLONG: 'name too long',
  ENOSYS: 'not implemented',
  ENOTEMPTY: 'directory not empty',
  EOVERFLOW: 'value too large for its type',
  EOPNOTSUPP: 'operation not supported',
  ETIMEDOUT: 'timed out',
  EHWPOISON: 'memory page has a hardware error',
}

/** "EINVAL (invalid argument)" */
export function errnoText(errno: string): string {
  const meaning = MEANINGS[errno]
  return meaning === undefined ? errno : `${errno} (${meaning})`
}

/**
 * The word of `words` nearest to `wrong` (edit distance with transpositions, at most a third of its length), or
 * undefined when none is near: for "did you mean".
 */
export function nearestWord(wrong: string, words: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(wrong.length / 3)) + 1
  for (const word of words) {
    const distance = editDistance(wrong.toLowerCase(), word.toLowerCase(), bestDistance)
    if (distance < bestDistance) {
      best = word
      bestDistance = distance
    }
  }
  return best
}

/** Optimal string alignment distance, given up (returns `limit`) once it cannot be below `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      next.push(cost)
    }
    if (Math.min(...next) >= limit) return limit
    before = row
    row = next
  }
  return row[b.length] ?? limit
}
