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
