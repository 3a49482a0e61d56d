/** Bars and sparklines, in block characters or in ASCII. */
import { type Span, type Style, span } from './panel.ts'

const EIGHTHS = ' ▁▂▃▄▅▆▇█'
const ASCII_LEVELS = ' .:-=+*#%@'

/** A character a value, scaled so that `max` fills it; NaN is blank, anything above 0 is visible. */
export function sparkText(values: readonly number[], max: number, ascii: boolean): string {
  const levels = ascii ? ASCII_LEVELS : EIGHTHS
  const top = levels.length - 1
  return values
    .map(value => {
      if (!(value > 0) || !(max > 0)) return Number.isNaN(value) ? ' ' : levels[1]
      return levels[Math.min(top, Math.max(2, 1 + Math.round((value / max) * (top - 1))))]
    })
    .join('')
}

/** The last `width` values as a sparkline, right-aligned. */
export function spark(values: readonly number[], width: number, ascii: boolean, style: Style = 'series1'): Span {
  const shown = values.slice(-width)
  const max = Math.max(0, ...shown.filter(Number.isFinite))
  return span(sparkText(shown, max, ascii).padStart(width), style)
}

/** Fill characters that tell segments apart without colour. */
const FILLS = ['█', '▓', '▒', '░', '▞', '◦'] as const
const ASCII_FILLS = ['#', '=', '+', '-', '%', 'o'] as const
const SERIES: readonly Style[] = ['series1', 'series2', 'series3', 'series4', 'series5', 'series6']

export interface Segment {
  readonly value: number
  readonly about?: string
}

/** The sign and style of the n-th segment of a bar. */
export function fillOf(index: number, ascii: boolean): { readonly sign: string; readonly style: Style } {
  return { sign: (ascii ? ASCII_FILLS : FILLS)[index % FILLS.length], style: SERIES[index % SERIES.length] }
}

/** A bar of `width` columns for `total`, its segments side by side; what is left is free. Segments above 0 get at least one column. */
export function segmentBar(segments: readonly Segment[], total: number, width: number, ascii: boolean): Span[] {
  let left = width
  const spans = segments.map(({ value, about }, i) => {
    const columns = value > 0 && total > 0 ? Math.min(left, Math.max(1, Math.round((value / total) * width))) : 0
    left -= columns
    const { sign, style } = fillOf(i, ascii)
    return span(sign.repeat(columns), style, about)
  })
  return [...spans.filter(each => each.text !== ''), span((ascii ? '.' : '·').repeat(left), 'free')]
}

/** A bar for a share of 0 .. 1. */
export function shareBar(share: number, width: number, ascii: boolean, style: Style = 'series1'): Span[] {
  const full = Number.isFinite(share) ? Math.round(Math.min(1, Math.max(0, share)) * width) : 0
  return [span((ascii ? '#' : '█').repeat(full), style), span((ascii ? '.' : '·').repeat(width - full), 'free')]
}
