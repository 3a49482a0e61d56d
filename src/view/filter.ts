/**
 * What may be typed to narrow a list down:
 *
 *     thp              rows with this text in a column, in any case
 *     !thp             rows without
 *     /^pgscan_.*t$/   rows with a column that matches a regular expression
 *     rate > 100       rows whose column compares so: > >= < <= = !=, with K M G behind the number
 *     thp & rate > 0   all of these
 */
import { nearestWord } from '../user_error.ts'

/** A row as a filter sees it. */
export interface Filterable {
  /** Its columns of text. */
  readonly texts: readonly string[]
  /** Value of a column by its key; undefined where there is none. */
  value(key: string): number | undefined
}

export interface Filter {
  readonly test: (row: Filterable) => boolean
  /** What is wrong with what was typed, or ''. A broken term lets everything through. */
  readonly problem: string
}

const COMPARISON = /^(\S+?)\s*(>=|<=|!=|==?|>|<)\s*(-?[\d.]+)\s*([kKmMgGtT]?)i?[bB]?$/
const FILTER_LIMIT = 200
const SCALE: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** @param keys columns that may be compared */
export function parseFilter(text: string, keys: readonly string[]): Filter {
  const terms = text
    .slice(0, FILTER_LIMIT)
    .split('&')
    .map(term => term.trim())
    .filter(term => term !== '')
    .map(term => parseTerm(term, keys))
  return { test: row => terms.every(term => term.test(row)), problem: terms.find(term => term.problem !== '')?.problem ?? '' }
}

function parseTerm(term: string, keys: readonly string[]): Filter {
  const comparison = COMPARISON.exec(term)
  if (comparison !== null)
    return compareTerm(comparison[1], comparison[2], Number(comparison[3]) * SCALE[comparison[4].toLowerCase()], keys)
  if (term.startsWith('/')) return regexTerm(term.replace(/^\/|\/$/g, ''))
  const negated = term.startsWith('!')
  const wanted = (negated ? term.slice(1).trim() : term).toLowerCase()
  return { test: row => row.texts.some(text => text.toLowerCase().includes(wanted)) !== negated, problem: '' }
}

function compareTerm(key: string, operator: string, number: number, keys: readonly string[]): Filter {
  if (!keys.includes(key)) {
    const near = nearestWord(key, keys)
    return { test: () => true, problem: `no column "${key}"${near === undefined ? `: ${keys.join(' ')}` : `, did you mean "${near}"?`}` }
  }
  return {
    test: row => {
      const value = row.value(key)
      return value !== undefined && compare(value, operator, number)
    },
    problem: '',
  }
}

/** @param operator one of > >= < <= = == != */
export function compare(value: number, operator: string, number: number): boolean {
  if (operator === '>') return value > number
  if (operator === '>=') return value >= number
  if (operator === '<') return value < number
  if (operator === '<=') return value <= number
  return operator === '!=' ? value !== number : value === number
}

function regexTerm(source: string): Filter {
  if (isCostly(source)) return { test: () => true, problem: 'repeats within repeats take too long' }
  try {
    const regex = new RegExp(source, 'i')
    return { test: row => row.texts.some(text => regex.test(text.slice(0, TEXT_LIMIT))), problem: '' }
  } catch {
    return { test: () => true, problem: 'not a regular expression' }
  }
}

/** Characters of a text that an expression is tried on. */
const TEXT_LIMIT = 120
/** Repeats in one expression; each may multiply the time by the length of a text. */
const REPEATS_MAX = 3
/** Parts that may be there or not; each may double the time. */
const OPTIONAL_MAX = 8

/**
 * Whether an expression could keep the screen waiting: it tries all ways to share a text out, which are endless where what is repeated has
 * repeats, alternatives or optional parts itself ("(a+)+", "(a|b)*", "(a?b?){9}").
 */
function isCostly(source: string): boolean {
  const tokens = source.match(/\\.|\[(?:\\.|[^\]\\])*\]?|\{\d*,?\d*\}|[\s\S]/g) ?? []
  const groups: boolean[] = [false]
  let [closed, quantified, opened] = [false, false, false]
  let [repeats, optional] = [0, 0]
  for (const token of tokens) {
    const repeat = /^(?:[*+]|\{\d)/.test(token)
    // Behind "(" it says what kind of group that is, behind a quantifier which way that looks.
    const maybe = token === '?' && !opened && !quantified
    if (repeat && (closed || ++repeats > REPEATS_MAX)) return true
    if (maybe && ++optional > OPTIONAL_MAX) return true
    quantified = repeat || maybe
    opened = token === '('
    closed = false
    if (token === '(') groups.push(false)
    else if (token === ')') closed = groups.length > 1 && groups.pop() === true
    if (quantified || token === '|' || closed) groups[groups.length - 1] = true
  }
  return false
}
