/** Working sets by idle page tracking: how long the pages of each process and cgroup have not been used. */
import type { Model } from '../../sample/model.ts'
import { type AgedRow, parseWorkingSet, type WorkingSet } from '../../sample/parse/working_set.ts'
import { formatBytes, formatPercent, plural } from '../format.ts'
import { fillOf, segmentBar } from '../glyphs.ts'
import { type Block, block, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { taskName } from '../subjects/tasks.ts'
import { fitText } from '../width.ts'
import { type Clauses, words } from './common.ts'

const PATH = '/mmtop/working_set'
const PAGE = 4096
const NAME = 16
const SIZE = 8
/** Rounds that the pages of each bucket were not used. */
const AGES = ['used', '1', '2-3', '4-7', '8-15', '16+'] as const

export const workingSet: PanelFunction = (model, ui, size): Panel => {
  const text = model.sample.frame.files.get(PATH)
  const found = text === undefined ? undefined : parseWorkingSet(text)
  const said = words(clauses(model, found), size, ui.ascii)
  const blocks = found === undefined || found.intervalMs === 0 ? [] : tablesOf(model, found, size.width, ui)
  return toPanel([said, ...blocks], size, ui, { wants: [PATH] })
}

function clauses(model: Model, found: WorkingSet | undefined): Clauses {
  if (found === undefined)
    return [model.kind === 'simulation' ? 'Ages of pages are being read' : 'Working sets are estimated of simulated machines only']
  if (found.intervalMs === 0)
    return ['The estimator is off: ":write /mmtop/working_set 1000" marks all pages idle once a second and counts those that stay so']
  const all = found.tasks.reduce((sum, row) => sum + total(row), 0)
  const used = found.tasks.reduce((sum, row) => sum + row.pages[0], 0)
  const idle = [...found.tasks].sort((a, b) => unused(b) - unused(a))[0]
  return [
    `${formatBytes(used * PAGE)} of the ${formatBytes(all * PAGE)} that processes map were used in the last round of ${found.intervalMs} ms (${formatPercent((used / Math.max(1, all)) * 100)})`,
    idle !== undefined &&
      unused(idle) > 0 &&
      `most unused for 16 rounds and more: ${nameOf(model, idle.id)}, ${formatBytes(unused(idle) * PAGE)}`,
    `${plural(found.rounds, 'round')} so far`,
  ]
}

const total = ({ pages }: AgedRow): number => pages.reduce((sum, n) => sum + n, 0)
const unused = ({ pages }: AgedRow): number => pages[pages.length - 1] ?? 0

function nameOf(model: Model, pid: number): string {
  return `${taskName(model.sample.tasks().find(task => task.pid === pid))} ${pid}`.trim()
}

function tablesOf(model: Model, found: WorkingSet, width: number, ui: PanelUi): Block[] {
  const byAge = [...found.tasks].sort((a, b) => total(b) - total(a))
  const tasks = section(
    'processes by rounds not used',
    barBlock(byAge, row => nameOf(model, row.id), width, ui),
    ui.ascii,
  )
  const groups = section(
    'cgroups',
    barBlock(found.cgroups, row => (row.id === 1 ? '/' : `cgroup ${row.id}`), width, ui),
    ui.ascii,
  )
  return [legend(width, ui), tasks, groups]
}

function legend(width: number, ui: PanelUi): Block {
  const items = AGES.flatMap((age, i) => {
    const { sign, style } = fillOf(i, ui.ascii)
    return [span(sign, style), span(` ${age}  `, 'dim')]
  })
  return block([[span(fitText('rounds', NAME), 'head'), ...items]], width, ui.ascii)
}

/** A row each: what was used, in figures, and a bar of all ages. */
function barBlock(rows: readonly AgedRow[], name: (row: AgedRow) => string, width: number, ui: PanelUi): Block {
  const most = Math.max(1, ...rows.map(total))
  const lines = rows.map(
    (row): Row => [
      span(fitText(name(row), NAME, 'left', ui.ascii ? '~' : '…'), 'label'),
      span(fitText(formatBytes(row.pages[0] * PAGE), SIZE, 'right'), 'value'),
      span(fitText(`of ${formatBytes(total(row) * PAGE)}`, SIZE + 3, 'right'), 'dim'),
      span(' '),
      ...segmentBar(
        row.pages.map(value => ({ value })),
        most,
        Math.max(0, width - NAME - 2 * SIZE - 4),
        ui.ascii,
      ),
    ],
  )
  return block(lines.length > 0 ? lines : [[span('none', 'dim')]], width, ui.ascii)
}
