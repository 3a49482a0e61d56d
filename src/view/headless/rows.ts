/**
 * A row a sample, as vmstat prints them: the columns of the overview, or any figures by name.
 *
 *         time   free   anon   file    thp  flt/s  maj/s
 *     00:00:01  2.61G   120M   210M  96.0M  28.1k      0
 */
import { kindOf } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import { nearestWord, UserError } from '../../user_error.ts'
import { fieldOf, SCALARS } from '../fields.ts'
import { formatClock, formatValue } from '../format.ts'
import { notHere, nowOf } from '../panels/common.ts'
import { ROLLING } from '../panels/overview.ts'
import { fitText } from '../width.ts'

const TIME_WIDTH = 8
const LEAST = 6

interface RowColumn {
  readonly title: string
  readonly keys: readonly string[]
}

/** @throws UserError where the machine has no such figure */
export function rowColumns(model: Model, names: readonly string[]): readonly RowColumn[] {
  return names.length === 0 ? ROLLING : names.map(name => ({ title: titleOf(model, name), keys: [name] }))
}

function titleOf(model: Model, name: string): string {
  if (model.scalars.has(name)) return kindOf(name) === 'counter' ? `${name}/s` : name
  if (SCALARS.has(name)) throw new UserError(`"${name}" is ${notHere(model)}`)
  const near = nearestWord(name, model.scalars.keys())
  throw new UserError(`no figure "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
}

const widthOf = ({ title }: RowColumn): number => Math.max(LEAST, title.length)

export function headingLine(columns: readonly RowColumn[]): string {
  return [fitText('time', TIME_WIDTH, 'right'), ...columns.map(column => fitText(column.title, widthOf(column), 'right'))].join(' ')
}

export function rowLine(columns: readonly RowColumn[], model: Model): string {
  const cells = columns.map(column => {
    const values = column.keys.flatMap(key => nowOf(model, key) ?? [])
    const unit = kindOf(column.keys[0]) === 'counter' ? 'count' : fieldOf(column.keys[0]).unit
    const value = values.length === 0 ? undefined : values.reduce((sum, each) => sum + each, 0)
    return fitText(formatValue(value, unit), widthOf(column), 'right')
  })
  return [formatClock(model.sample.ns).slice(0, TIME_WIDTH), ...cells].join(' ')
}
