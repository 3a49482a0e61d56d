/**
 * How the kernel reads numbers that user space writes into its files. There are three families, and each file belongs to one:
 *
 *     sysctl    proc_dointvec and kin     blanks around and between, "-", 0x and 0 prefixes; several numbers for a vector;
 *                                         what follows the last number is left over: the write returns how far it got
 *     sysfs     kstrtoul and kin          exactly one number, "+" allowed, one newline at the end; all or nothing
 *     boolean   kstrtobool                the first letter (or two) decides, the rest is not looked at
 *
 * The errors are the kernel's own: the sysctl family knows only EINVAL, kstrto* also ERANGE for what does not fit.
 *
 * Source: kernel/sysctl.c (proc_get_long, __do_proc_dointvec, __do_proc_doulongvec_minmax), lib/kstrtox.c,
 * lib/string_helpers.c sysfs_streq, lib/cmdline.c memparse.
 */
import { EINVAL, ERANGE } from './base/errno.ts'

export const INT_MAX = 2 ** 31 - 1
const INT_MIN = -(2 ** 31)
export const UINT_MAX = 2 ** 32 - 1
/** unsigned long values are kept as doubles, so those above 2^53 are kept to the nearest they can be. */
export const ULONG_MAX = 2 ** 64
const ULONG_LIMIT = 2n ** 64n

/** What a sysctl write came to. */
export interface Vector {
  /** 0, or a negative errno. Numbers before the one that was wrong are stored all the same. */
  readonly error: number
  readonly values: readonly number[]
  /** Characters that were read: what write(2) returns. */
  readonly consumed: number
}

interface Digits {
  readonly value: bigint
  readonly length: number
}

/** Most characters of one number that sysctl looks at. */
const SYSCTL_NUMBER = 21
const SPACES = /^[ \t\n\v\f\r]+/

const radixOf = (text: string): number => (/^0[xX][0-9a-fA-F]/.test(text) ? 16 : text.startsWith('0') ? 8 : 10)
const DIGITS: Readonly<Record<number, RegExp>> = { 8: /^[0-7]*/, 10: /^[0-9]*/, 16: /^[0-9a-fA-F]*/ }

/** Digits at the start of the text in a base, or in the one its prefix names when base is 0; length counts the prefix. */
function digits(text: string, base: number): Digits {
  const radix = base === 0 ? radixOf(text) : base
  const prefix = radix === 16 && /^0[xX]/.test(text) ? 2 : 0
  const found = DIGITS[radix].exec(text.slice(prefix))?.[0] ?? ''
  const value = found === '' ? 0n : BigInt(radix === 16 ? `0x${found}` : radix === 8 ? `0o${found}` : found)
  return { value, length: found === '' ? 0 : prefix + found.length }
}

/** One number of a sysctl file; undefined where it is none. */
function sysctlNumber(text: string): { value: number; negative: boolean; length: number } | undefined {
  const window = text.slice(0, SYSCTL_NUMBER)
  const negative = window.startsWith('-') && text.length > 1
  const body = negative ? window.slice(1) : window
  if (!/^[0-9]/.test(body)) return undefined
  const { value, length: read } = digits(body, 0)
  const length = read + (negative ? 1 : 0)
  if (value >= ULONG_LIMIT || length === SYSCTL_NUMBER) return undefined
  if (length < text.length && !/^[ \t\n]/.test(text.slice(length))) return undefined
  return { value: Number(value), negative, length }
}

/** Reads up to `count` numbers; `convert` makes a value of each or undefined when it is out of range. */
function sysctlVector(text: string, count: number, convert: (value: number, negative: boolean) => number | undefined): Vector {
  const values: number[] = []
  let at = skipSpaces(text, 0)
  while (values.length < count && at < text.length) {
    const number = sysctlNumber(text.slice(at))
    const value = number === undefined ? undefined : convert(number.value, number.negative)
    // A number of the right form but out of range has been read, one of the wrong form has not.
    if (number !== undefined) at += number.length
    if (value === undefined) return { error: -EINVAL, values, consumed: values.length === 0 ? text.length : at }
    values.push(value)
    at = skipSpaces(text, at)
  }
  return values.length === 0 ? { error: -EINVAL, values, consumed: text.length } : { error: 0, values, consumed: at }
}

function skipSpaces(text: string, at: number): number {
  return at + (SPACES.exec(text.slice(at))?.[0].length ?? 0)
}

/** Signed integers within [min, max] (proc_dointvec_minmax). */
export const intVector = (text: string, count: number, min = INT_MIN, max = INT_MAX): Vector =>
  sysctlVector(text, count, (value, negative) => {
    const signed = negative ? -value : value
    return signed < INT_MIN || signed > INT_MAX || signed < min || signed > max ? undefined : signed
  })

/** Unsigned longs within [min, max] (proc_doulongvec_minmax). */
export const ulongVector = (text: string, count: number, min = 0, max = ULONG_MAX): Vector =>
  sysctlVector(text, count, (value, negative) => (negative || value < min || value > max ? undefined : value))

/** One unsigned integer; all of the text counts as read (proc_douintvec). */
export function uintVector(text: string): Vector {
  const one = sysctlVector(text, 1, (value, negative) => (negative || value > UINT_MAX ? undefined : value))
  return { ...one, consumed: text.length }
}

/** What a sysfs number came to: `error` is 0 or a negative errno. */
export interface Scalar {
  readonly error: number
  readonly value: number
}

const scalar = (value: number): Scalar => ({ error: 0, value })
const failed = (errno: number): Scalar => ({ error: -errno, value: 0 })

function kstrtoull(text: string, base: number, max: bigint): Scalar {
  const body = text.startsWith('+') ? text.slice(1) : text
  const { value, length } = digits(body, base)
  if (value >= ULONG_LIMIT) return failed(ERANGE)
  if (length === 0 || !/^\n?$/.test(body.slice(length))) return failed(EINVAL)
  return value > max ? failed(ERANGE) : scalar(Number(value))
}

export const kstrtoul = (text: string, base: number): Scalar => kstrtoull(text, base, ULONG_LIMIT - 1n)
export const kstrtouint = (text: string, base: number): Scalar => kstrtoull(text, base, BigInt(UINT_MAX))

export function kstrtoint(text: string, base: number): Scalar {
  if (!text.startsWith('-')) return kstrtoull(text, base, BigInt(INT_MAX))
  if (text.startsWith('-+')) return failed(EINVAL)
  const { error, value } = kstrtoull(text.slice(1), base, BigInt(-INT_MIN))
  return { error, value: value === 0 ? 0 : -value }
}

/** true, false, or undefined for what is neither: only the first letter counts, of "on" and "off" the second too. */
export function kstrtobool(text: string): boolean | undefined {
  if (/^(?:[yYtT1]|[oO][nN])/.test(text)) return true
  return /^(?:[nNfF0]|[oO][fF])/.test(text) ? false : undefined
}

/** Whether the text is the word, give or take one newline at the end. */
export const sysfsStreq = (text: string, word: string): boolean => text === word || text === `${word}\n`

/** A number with an optional suffix K, M, G, T, P or E; 0 where there is none (memparse). */
export function memparse(text: string): number {
  const { value, length } = digits(text, 0)
  const power = 'KMGTPE'.indexOf((text[length] ?? '').toUpperCase())
  return Number(value) * (text[length] === undefined || power < 0 ? 1 : 1024 ** (power + 1))
}

/** An unsigned long as the kernel prints it. */
export const ulongText = (value: number): string => (value >= ULONG_MAX ? '18446744073709551615' : BigInt(value).toString())
