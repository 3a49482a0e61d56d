/** What happened, newest first. */
import type { Model } from '../../sample/model.ts'
import type { MachineEvent } from '../../sample/parse/mmtop.ts'
import type { EventKind } from '../../sample/source.ts'
import { formatClock } from '../format.ts'
import type { Style } from '../panel.ts'
import { type Column, column } from '../table.ts'

export interface EventRow extends MachineEvent {
  /** Unique and the same as long as the event is kept: its time and its place among those of that time. */
  readonly id: string
}

/** Kinds that are the machine's own doing or a decision of someone, and not just the next line of a workload. */
export const isNotable = ({ kind }: Pick<MachineEvent, 'kind'>): boolean => kind !== 'op' && kind !== 'error'

/** The machine time that a row's id says. */
export const nsOfEvent = (id: string): number | undefined => {
  const ns = Number(/^(\d{1,20})\.\d+$/.exec(id)?.[1])
  return Number.isNaN(ns) ? undefined : ns
}

export function eventRows(model: Pick<Model, 'events'>): EventRow[] {
  let [last, place] = [-1, 0]
  // Lines of a workload are told when they are done, with the time at which they began.
  const inOrder = [...model.events].sort((a, b) => a.ns - b.ns)
  const rows = inOrder.map(event => {
    place = event.ns === last ? place + 1 : 0
    last = event.ns
    return { ...event, id: `${event.ns}.${place}` }
  })
  return rows.reverse()
}

const BAD: readonly EventKind[] = ['oom', 'kill', 'allocfail', 'expect']

function styleOf(kind: EventKind): Style {
  if (BAD.includes(kind)) return 'bad'
  if (kind === 'op' || kind === 'note') return 'dim'
  return kind === 'knob' ? 'knob' : 'warn'
}

export const EVENT_COLUMNS: readonly Column<EventRow>[] = [
  column({
    key: 'time_ns',
    title: 'time',
    unit: 'ns',
    width: 12,
    kind: 'label',
    priority: 0,
    help: 'Machine time',
    source: '/mmtop/events',
    value: event => event.ns,
    draw: event => [{ text: formatClock(event.ns).slice(0, 12).padEnd(12), style: 'dim', about: 'time_ns' }],
  }),
  column({
    key: 'kind',
    title: 'kind',
    unit: 'text',
    width: 9,
    kind: 'label',
    priority: 0,
    help: 'What kind of event',
    source: '/mmtop/events',
    value: event => event.kind,
    style: event => styleOf(event.kind),
  }),
  column({
    key: 'text',
    title: 'what happened',
    unit: 'text',
    width: 20,
    kind: 'label',
    priority: 0,
    grows: true,
    help: 'What happened',
    source: '/mmtop/events',
    value: event => event.text,
    style: event => (event.kind === 'op' ? 'dim' : 'text'),
  }),
]
