/** `mmtop diff A B`: two runs, recordings or JSON snapshots, and what differs between them. */
import { readFileSync } from 'node:fs'
import { sniff } from '../recording/open.ts'
import { isObject, parseJson } from '../recording/recording.ts'
import type { Source } from '../sample/source.ts'
import { type Course, compareTable, newCourse, note } from '../view/compare.ts'
import { formatCount } from '../view/format.ts'
import { type Selection, select, type tableLines } from '../view/headless/select.ts'
import { displayWidth, fitText } from '../view/width.ts'
import { EXIT, print } from './exit.ts'
import { walk } from './watch.ts'

/** A snapshot as `snapshot --format json` prints it: its figures by table and name. */
function snapshotCourse(file: string): Course | undefined {
  if (file === 'host' || sniff(file) !== 'json') return undefined
  const line = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? ''
  const value = parseJson(line)
  if (!isObject(value) || typeof value['schemaVersion'] !== 'number') return undefined
  const course = newCourse()
  const tables = isObject(value['tables']) ? Object.entries(value['tables']) : []
  for (const [, row] of tables) {
    if (!isObject(row)) continue
    for (const [name, cell] of Object.entries(row)) {
      if (typeof cell !== 'number' || name.endsWith('_per_second')) continue
      course.sums.set(name, cell)
      course.counts.set(name, 1)
      course.last.set(name, cell)
    }
  }
  // A snapshot is a moment: totals are compared as they stand, as if they had grown in one second.
  course.seconds = 1
  return course
}

async function courseOf(source: Source, untilNs: number | undefined): Promise<Course> {
  const course = newCourse()
  try {
    for await (const model of walk(source, { atNs: undefined, everyNs: undefined, count: Number.POSITIVE_INFINITY }, () => [])) {
      if (untilNs !== undefined && model.sample.ns > untilNs) break
      note(course, model)
    }
  } finally {
    await source.close()
  }
  return course
}

/** @param untilNs machines that run are followed up to this time */
export async function diff(
  files: readonly [string, string],
  open: (file: string) => Promise<Source>,
  untilNs: number | undefined,
  format: string,
  selection: Selection,
): Promise<number> {
  const courses: Course[] = []
  for (const file of files) courses.push(snapshotCourse(file) ?? (await courseOf(await open(file), untilNs)))
  const [a, b] = courses
  const table = select(compareTable(a, b), selection)
  if (format === 'csv') {
    const { csvOf } = await import('../view/headless/csv.ts')
    await print(csvOf(table))
  } else if (format === 'json') {
    const { rowsOf } = await import('../view/headless/json.ts')
    await print(`${JSON.stringify({ schemaVersion: 1, a: files[0], b: files[1], diff: rowsOf(table) })}\n`)
  } else await print(textOf(files, table.rows.length === 0 ? ['no difference'] : lines(table)))
  return EXIT.asked
}

const textOf = ([a, b]: readonly [string, string], body: readonly string[]): string =>
  [`a: ${a}`, `b: ${b}`, ...body].map(line => `${line}\n`).join('')

/** Figures short, with what changed as a factor. */
function lines(table: Parameters<typeof tableLines>[0]): string[] {
  const rows = table.rows.map(row =>
    row.map((cell, i) => {
      if (typeof cell === 'string') return cell
      if (cell === undefined) return ''
      if (table.columns[i] === 'ratio') return `x${cell >= 100 ? cell.toFixed(0) : cell.toFixed(2)}`
      return (table.columns[i] === 'difference' && cell > 0 ? '+' : '') + formatCount(cell)
    }),
  )
  const widths = table.columns.map((column, i) => Math.max(displayWidth(column), ...rows.map(row => displayWidth(row[i]))))
  const line = (row: readonly string[]) => row.map((text, i) => fitText(text, widths[i], i === 0 ? 'left' : 'right')).join('  ')
  return [line([...table.columns]), ...rows.map(line)].map(text => text.trimEnd())
}
