/**
 * Values as text: short, of stable width, the same in every locale and time zone.
 *
 *   bytes      0  512B  4.00K  1.84G  16.0G  1023G      at most 5 characters, powers of 1024
 *   counts     0  212   1.23k  182k   1.84M             at most 5 characters, powers of 1000
 *   percents   0%  1.2%  83%  100%
 *   durations  380ns  1.2us  45ms  3.1s  2m10s  1h02m
 *
 * A value that is not known is "-".
 */
import type { Unit } from './fields/field.ts'
import { bytesOfPages } from './page_size.ts'

export const MISSING = '-'

/** Three significant digits. */
function digits(value: number): string {
  if (value < 9.995) return value.toFixed(2)
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0)
}

function scaled(value: number, base: number, units: string): string {
  let rest = value
  for (const unit of units) {
    rest /= base
    if (rest < 999.5) return digits(rest) + unit
  }
  return 'lots'
}

export function formatBytes(bytes: number): string {
  if (bytes < 0) return '-' + formatBytes(-bytes)
  if (bytes === Number.POSITIVE_INFINITY) return 'max'
  if (bytes < 999.5) return bytes < 0.5 ? '0' : `${Math.round(bytes)}B`
  return scaled(bytes, 1024, 'KMGTPE')
}

/** A count or a rate. */
export function formatCount(count: number): string {
  if (count < 0) return '-' + formatCount(-count)
  if (count < 999.5) return Number.isInteger(count) || count >= 9.95 ? String(Math.round(count)) : count.toFixed(1).replace(/\.0$/, '')
  return scaled(count, 1000, 'kMGTPE')
}

/** @param percent 0 .. 100 */
export function formatPercent(percent: number): string {
  if (percent < 0) return '-' + formatPercent(-percent)
  return `${percent === 0 || percent >= 9.95 ? Math.round(percent) : percent.toFixed(1)}%`
}

export function formatDuration(ns: number): string {
  if (ns < 0) return '-' + formatDuration(-ns)
  const seconds = ns / 1e9
  if (seconds >= 3599.5) return `${Math.floor(seconds / 3600)}h${pad2(Math.floor((seconds % 3600) / 60))}m`
  if (seconds >= 59.95) return `${Math.floor(Math.round(seconds) / 60)}m${pad2(Math.round(seconds) % 60)}s`
  if (ns >= 9.995e8) return short(ns / 1e9) + 's'
  if (ns >= 9.995e5) return short(ns / 1e6) + 'ms'
  return ns >= 999.5 ? short(ns / 1e3) + 'us' : `${Math.round(ns)}ns`
}

/** Two significant digits below 10. */
function short(value: number): string {
  return value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : String(Math.round(value))
}

function pad2(value: number): string {
  return String(value).padStart(2, '0')
}

/** Machine time as HH:MM:SS.mmm. */
export function formatClock(ns: number): string {
  const ms = Math.floor(ns / 1e6)
  return `${pad2(Math.floor(ms / 3_600_000))}:${pad2(Math.floor(ms / 60_000) % 60)}:${pad2(Math.floor(ms / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}`
}

/** A figure in the unit of its field; rates of memory units read as memory. */
export function formatValue(value: number | undefined, unit: Unit): string {
  if (value === undefined || Number.isNaN(value)) return MISSING
  if (unit === 'bytes') return formatBytes(value)
  if (unit === 'pages') return formatBytes(bytesOfPages(value))
  if (unit === 'kib') return formatBytes(value * 1024)
  if (unit === 'percent') return formatPercent(value)
  if (unit === 'us') return formatDuration(value * 1e3)
  if (unit === 'ms') return formatDuration(value * 1e6)
  if (unit === 'ns') return formatDuration(value)
  return formatCount(value)
}

/** With its sign: what changed. */
export function formatChange(value: number | undefined, unit: Unit): string {
  if (value === undefined || Number.isNaN(value)) return MISSING
  return value > 0 ? '+' + formatValue(value, unit) : formatValue(value, unit)
}

/** Thousands apart, as in "1 234 567": for one exact figure. */
export function formatExact(value: number): string {
  const sign = value < 0 ? '-' : ''
  return sign + String(Math.abs(value)).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** "1 page", "2 pages". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`
}
