/** Words of the command line as values; each says what it wanted when it gets something else. */
import { UserError } from '../user_error.ts'

const SECONDS: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86400, '': 1 }

/** "10s", "500ms", "2m", "1.5h", or seconds without a unit, in nanoseconds. */
export function toNs(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,9})?)(ns|us|ms|s|m|h|d|)$/.exec(text.trim())
  if (match === null) throw new UserError(`"${text}" is no time: write 10s, 500ms or 2m`)
  return Math.round(Number(match[1]) * SECONDS[match[2]] * 1e9)
}

/** A time that is longer than nothing. */
export function toInterval(text: string): number {
  const ns = toNs(text)
  if (ns <= 0) throw new UserError(`"${text}" is no interval: it must be longer than 0`)
  return ns
}

export function toCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UserError(`"${text}" is no count: write a number from 1`)
  return Number(text)
}

/** "40,60": two numbers. */
export function toPair(text: string): readonly [number, number] {
  const match = /^(\d{1,6}),(\d{1,6})$/.exec(text)
  if (match === null) throw new UserError(`"${text}" is not two numbers: write 1500,700`)
  return [Number(match[1]), Number(match[2])]
}

export function toSeed(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UserError(`"${text}" is no seed: write a number from 0`)
  return Number(text)
}

/** 0.01 .. Infinity, "max" for the latter. */
export function toSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const speed = /^x?\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text.replace('x', '')) : Number.NaN
  if (!(speed >= 0.01)) throw new UserError(`"${text}" is no speed: write a number from 0.01, or max`)
  return speed
}

export function toWidth(text: string): number {
  const width = toCount(text)
  if (width < 20 || width > 1000) throw new UserError(`a width of ${text} columns is not between 20 and 1000`)
  return width
}

/** A number of bytes from 0. */
export function toBytes(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UserError(`"${text}" is no number of bytes: write a number from 0`)
  return Number(text)
}

/** "PATH=VALUE". */
export interface Setting {
  readonly path: string
  readonly value: string
}

export function toSetting(text: string): Setting {
  const equals = text.indexOf('=')
  if (!text.startsWith('/') || equals < 2)
    throw new UserError(`"${text}" is no setting: write PATH=VALUE, as in /proc/sys/vm/swappiness=10`)
  return { path: text.slice(0, equals), value: text.slice(equals + 1) }
}

export function toPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65535)) throw new UserError(`"${text}" is no port: write a number up to 65535, 0 for any free one`)
  return port
}

/** "name,rss_bytes" */
export function toNames(text: string): readonly string[] {
  const names = text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  if (names.length === 0) throw new UserError(`"${text}" names nothing: write NAME,NAME`)
  return names
}
