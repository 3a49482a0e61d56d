/** The three status lines above every panel: what is watched and how fast, where memory is, what just happened. */
import type { Model } from '../../sample/model.ts'
import { formatBytes, formatClock, formatCount, formatPercent, plural } from '../format.ts'
import { fillOf, type Segment, segmentBar, shareBar } from '../glyphs.ts'
import { block, rowWidth, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Span, type Style, span } from '../panel.ts'
import { shortPath } from '../subjects/knobs.ts'
import { memoryParts } from '../subjects/memory.ts'
import { crop, displayWidth } from '../width.ts'

export const header: PanelFunction = (model, ui, { width }): Panel => {
  const rows = [machineRow(model, ui, width), memoryRow(model, ui, width), swapRow(model, ui, width)]
  return toPanel([block(rows, width, ui.ascii)], { width, height: 3 }, ui)
}

/** `left` and `right` with blanks between; where both do not fit, the left gives way. */
function bothEnds(left: Row, right: Row, width: number, ascii: boolean): Row {
  const room = width - rowWidth(right) - 1
  const shown: Span[] = []
  let used = 0
  for (const each of left) {
    const text = crop(each.text, room - used, ascii ? '~' : '…')
    used += displayWidth(text)
    shown.push({ ...each, text })
    if (text !== each.text || used >= room) break
  }
  return [...shown, span(' '.repeat(Math.max(1, width - used - rowWidth(right)))), ...right]
}

function machineRow(model: Model, ui: PanelUi, width: number): Row {
  const machine = model.sample.machine()
  const nodes = model.sample.nodes()
  const dot = ui.ascii ? ' - ' : ' · '
  const cpus = nodes.reduce((sum, node) => sum + node.cpus.length, 0)
  const facts = [
    machine.has('cost') ? `costs ${machine.get('cost')}` : undefined,
    machine.get('model'),
    `${nodes.length > 1 ? `${nodes.length} nodes ` : ''}${formatBytes(model.scalars.get('MemTotal') ?? 0)}${cpus > 0 ? ` ${cpus} CPU${cpus === 1 ? '' : 's'}` : ''}`,
    machine.has('seed') ? `seed ${machine.get('seed')}` : undefined,
  ].filter(fact => fact !== undefined && fact !== '')
  const left = [span('mmtop ', 'title'), span(model.title, 'value'), ...facts.map(fact => span(dot + fact, 'dim'))]
  const pace = [...backSpans(ui), ...paceSpans(model, ui)]
  const clock = (length: number) => [span(formatClock(model.sample.ns).slice(0, length), 'value', 'machine_time'), span(' ')]
  const rights = [
    [...clock(12), ...pace, ...daemonSpans(model, ui)],
    [...clock(12), ...pace],
    [...clock(8), ...pace],
  ]
  const right = roomiest(rights, width - TITLE_LEAST)
  return bothEnds(left, right, width, ui.ascii)
}

/** Columns of the title that the right side leaves it. */
const TITLE_LEAST = 20

/** The first of several rows, each shorter than the one before, that fits; or else the last. */
function roomiest(rows: readonly Row[], width: number): Row {
  return rows.find(row => rowWidth(row) <= width) ?? rows[rows.length - 1]
}

/** Where the screens show the past while the machine goes on. */
function backSpans({ back, ascii }: PanelUi): Span[] {
  return back > 0 ? [span(`${ascii ? '<<' : '◂◂'} ${plural(back, 'sample')} back`, 'warn'), span(ascii ? ' - ' : ' · ', 'dim')] : []
}

function paceSpans({ pace, kind }: Model, { ascii }: PanelUi): Span[] {
  if (pace.ended) return [span(ascii ? '[end]' : '■ ended', 'dim')]
  if (pace.paused) return [span(ascii ? '|| paused' : '❚❚ paused', 'warn')]
  if (kind === 'host') return [span('live', 'good')]
  const asked = pace.speed === Number.POSITIVE_INFINITY ? 'max' : `x${pace.speed}`
  const off = pace.speed === Number.POSITIVE_INFINITY || Math.abs(pace.ratio - pace.speed) > 0.1 * pace.speed
  const real = off && pace.ratio > 0 ? ` (x${formatCount(pace.ratio)})` : ''
  return [span(`${ascii ? '>' : '▶'} ${asked}`, 'good', 'pace'), span(real, 'warn', 'pace')]
}

/** A dot a daemon: filled while it runs. */
function daemonSpans(model: Model, { ascii }: PanelUi): Span[] {
  // "kswapd0" and "kswapd1" are one kind, a dot a node.
  const kind = (name: string) => name.replace(/\d+$/, '')
  const names = [...new Set(model.sample.daemons().map(daemon => kind(daemon.name)))]
  return names.flatMap(name => {
    const dots = model.sample.daemons().filter(daemon => kind(daemon.name) === name)
    const signs = dots.map(daemon => span(daemon.running ? (ascii ? '*' : '●') : ascii ? '.' : '○', daemon.running ? 'good' : 'dim'))
    return [span(`  ${name} `, 'dim'), ...signs]
  })
}

function memoryRow(model: Model, ui: PanelUi, width: number): Row {
  const { parts, totalBytes } = memoryParts(model)
  const used = parts.slice(0, -1).filter(part => part.name !== 'other')
  const other = parts.filter(part => part.name === 'other')
  const bar = segmentBar(
    [...used, ...other].map((part): Segment => ({ value: part.bytes, about: part.about })),
    totalBytes,
    Math.min(40, Math.floor(width / 4)),
    ui.ascii,
  )
  const free = model.scalars.has('MemFree') ? formatBytes(parts[parts.length - 1].bytes) : 'not known'
  const freeOf = [
    span(`${ui.ascii ? '.' : '·'}free ${free}${model.scalars.has('MemTotal') ? `/${formatBytes(totalBytes)}` : ''}`, 'value', 'MemFree'),
  ]
  const right = roomiest([[...freeOf, ...pressureSpans(model)], freeOf], width - rowWidth(bar) - BAR_LABEL)
  const legend = used.flatMap((part, i): Span[] => {
    const { sign, style } = fillOf(i, ui.ascii)
    return part.bytes === 0 ? [] : [span(` ${sign}`, style), span(`${part.name} ${formatBytes(part.bytes)}`, 'text', part.about)]
  })
  return bothEnds(
    [span('mem  ', 'label'), ...bar, ...wholeItems(legend, width - 5 - rowWidth(bar) - rowWidth(right) - 1)],
    right,
    width,
    ui.ascii,
  )
}

/** As many pairs of (sign, text) as fit whole. */
function wholeItems(items: readonly Span[], room: number): Span[] {
  let used = 0
  const shown: Span[] = []
  for (let i = 0; i + 1 < items.length; i += 2) {
    used += displayWidth(items[i].text) + displayWidth(items[i + 1].text)
    if (used > room) break
    shown.push(items[i], items[i + 1])
  }
  return shown
}

/** Columns of what stands before and behind the bar. */
const BAR_LABEL = 7

function pressureSpans(model: Model): Span[] {
  const { some, full } = model.sample.pressure()
  if (some === undefined) return []
  const style = (value: number): Style => (value >= 10 ? 'bad' : value >= 1 ? 'warn' : 'text')
  const mark = (value: number) => (value >= 10 ? '!' : '')
  return [
    span('  psi some ', 'dim'),
    span(formatPercent(some.avg10) + mark(some.avg10), style(some.avg10), 'psi_some_avg10'),
    ...(full === undefined
      ? []
      : [span(' full ', 'dim'), span(formatPercent(full.avg10) + mark(full.avg10), style(full.avg10), 'psi_full_avg10')]),
  ]
}

function swapRow(model: Model, ui: PanelUi, width: number): Row {
  const total = model.scalars.get('SwapTotal') ?? 0
  const used = total - (model.scalars.get('SwapFree') ?? 0)
  const swap: Span[] =
    total === 0
      ? [span(model.scalars.has('SwapTotal') ? 'none' : 'not known', 'dim', 'SwapTotal')]
      : [
          ...shareBar(used / total, Math.min(12, Math.floor(width / 8)), ui.ascii, 'series4'),
          span(` ${formatBytes(used)}/${formatBytes(total)}`, 'value', 'SwapFree'),
        ]
  const room = width - 5 - rowWidth(swap)
  return [span('swap ', 'label'), ...swap, ...zswapSpans(model), ...eventSpans(model, ui, room)]
}

function zswapSpans(model: Model): Span[] {
  const [stored, taken] = [model.scalars.get('Zswapped') ?? 0, model.scalars.get('Zswap') ?? 0]
  if (stored === 0 || taken === 0) return []
  return [
    span('  zswap ', 'label'),
    span(`${formatBytes(stored)} in ${formatBytes(taken)} (${(stored / taken).toFixed(1)}:1)`, 'value', 'Zswapped'),
  ]
}

/** The newest events that are more than a workload's next line; those too where there is nothing else. */
function eventSpans(model: Model, ui: PanelUi, room: number): Span[] {
  const notable = model.events.filter(event => event.kind !== 'op')
  const shown = (notable.length > 0 ? notable : model.events).slice(-2).reverse()
  if (shown.length === 0 || room < 30) return []
  const dot = ui.ascii ? ' - ' : ' · '
  return [
    span('  last ', 'label'),
    ...shown.flatMap((event, i): Span[] => {
      const style: Style = ['oom', 'kill', 'allocfail', 'error', 'expect'].includes(event.kind)
        ? 'bad'
        : event.kind === 'knob'
          ? 'knob'
          : 'text'
      return [
        span(i > 0 ? dot : ''),
        span(`${formatClock(event.ns).slice(0, 8)} ${event.kind} ${event.text.replace(/\/(?:proc|sys)\/\S+/g, shortPath)}`, style),
      ]
    }),
  ]
}
