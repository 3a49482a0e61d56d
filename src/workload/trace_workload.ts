/**
 * A trace of real programs as a workload: the same mappings at the same addresses, and an access wherever the trace has a page fault.
 *
 *     trace      map 7f19..  fault a  fault b  fault a  unmap
 *     workload   mmap        read a   write b  write a  munmap
 *
 * A trace tells where a fault was, not whether the program read or wrote. Where nothing may be written it was a read. Elsewhere the next
 * fault on the page decides: when there is one, this one only read (the zero page, or a page of a file, which the later write replaces);
 * when there is none, this one wrote. After a fork the next fault is the write that copies.
 *
 * The files are made anew, of the sizes that the mappings show, and read once before it begins, so that faults find them in the page cache. The
 * pages at the top of a new program's stack, above all its faults, are those that the kernel has filled with its arguments.
 */

import { PAGE_SIZE } from '../kernel/base/units.ts'
import { note, type Trace, type TraceAct, type TraceEvent } from './trace.ts'
import { type Area, areaAt, cutAreas, moveAreas, setAreas } from './trace_areas.ts'

const STACK_BYTES = 8 * 2 ** 20
/** What the kernel maps into every process. */
const KERNEL_OWN = /^\[\w+\]$/
/** Time between lines that is worth a sleep. */
const PAUSE_NS = 200_000
/** Faults on neighbouring pages within this time are one line. */
const RUN_NS = 100_000

/** A line of the workload and what it stands for. */
export interface TraceLine {
  readonly text: string
  readonly ns: number
  /** Process of the trace, 0 for lines about the machine. */
  readonly pid: number
  /** Page faults of the trace that it is to cause. */
  readonly faults: number
}

export interface TraceWorkload {
  readonly lines: readonly TraceLine[]
  /** What could not be known, in words. */
  readonly notes: readonly string[]
}

/** An address space: processes that share one have the same. */
interface Space {
  /** The process that the workload's lines speak to. */
  readonly owner: number
  areas: Area[]
  /** By page: its last fault, and whether a fork has shared the page since. */
  readonly last: Map<number, { readonly fault: number; shared: boolean }>
}

interface Plan {
  readonly events: readonly TraceEvent[]
  readonly notes: Map<string, number>
  readonly spaces: Map<number, Space>
  /** For each event that is a fault: whether it writes. */
  readonly writes: Uint8Array
  /** For each event that is an exec: the pages at the stack's top that its arguments fill. */
  readonly arguments: Map<number, { readonly address: number; bytes: number }>
  readonly files: Map<string, { readonly name: string; bytes: number }>
}

/** Makes a workload of a trace. @param title what the screens call it */
export function traceWorkload(trace: Trace, title: string): TraceWorkload {
  const plan: Plan = {
    events: trace.events,
    notes: new Map(trace.unknown),
    spaces: new Map(),
    writes: new Uint8Array(trace.events.length),
    arguments: new Map(),
    files: new Map(),
  }
  for (let i = 0; i < trace.events.length; i++) follow(plan, trace.events[i], i)
  const lines = [...head(plan, title), ...body(plan)]
  return { lines, notes: [...plan.notes].map(([what, times]) => `${times} ${what}`) }
}

// ------------------------------------------------------------------------ first, what each fault was

const newSpace = (owner: number): Space => ({ owner, areas: [], last: new Map() })
const spaceOf = (plan: Plan, pid: number): Space => {
  const space = plan.spaces.get(pid) ?? newSpace(pid)
  plan.spaces.set(pid, space)
  return space
}

/** Goes through the trace once, keeping what each process has mapped. */
function follow(plan: Plan, { pid, act }: TraceEvent, i: number): void {
  const space = spaceOf(plan, pid)
  switch (act.kind) {
    case 'map':
      return map(plan, space, act, i)
    case 'unmap':
      space.areas = cutAreas(space.areas, act.address, act.bytes)
      return forget(space, act.address, act.bytes)
    case 'protect':
      space.areas = setAreas(space.areas, act.address, act.bytes, area => ({ ...area, writable: act.prot.includes('w') }))
      return
    case 'remap':
      return remap(space, act)
    case 'advise':
      if (act.advice === 'dontneed' || act.advice === 'free') forget(space, act.address, act.bytes)
      return
    case 'fault':
      return fault(plan, space, act.address, i)
    case 'fork':
      return fork(plan, space, act)
    case 'exec':
      plan.spaces.set(pid, newSpace(pid))
      return
    case 'exit':
      plan.spaces.delete(pid)
      return
  }
}

function map(plan: Plan, space: Space, act: TraceAct & { readonly kind: 'map' }, i: number): void {
  const { address, bytes } = stackOrSelf(act)
  space.areas = [
    ...cutAreas(space.areas, address, bytes),
    { start: address, end: address + bytes, writable: act.prot.includes('w'), shared: act.shared, stackOf: act.stack ? i : undefined },
  ]
  forget(space, address, bytes)
  if (act.stack) plan.arguments.set(i, { address: act.address + act.bytes, bytes: 0 })
  if (act.file === undefined) return
  const file = plan.files.get(act.file) ?? { name: fileName(act.file, plan.files.size), bytes: 0 }
  file.bytes = Math.max(file.bytes, act.fileOffset + act.bytes * (KERNEL_OWN.test(act.file) ? 2 : 1))
  plan.files.set(act.file, file)
}

/** The stack is mapped as large as it may become. */
const stackOrSelf = ({ stack, address, bytes }: TraceAct & { readonly kind: 'map' }) =>
  stack ? { address: address + bytes - STACK_BYTES, bytes: STACK_BYTES } : { address, bytes }

function remap(space: Space, { address, bytes, newAddress, newBytes }: TraceAct & { readonly kind: 'remap' }): void {
  space.areas = moveAreas(space.areas, { address, bytes, newAddress, newBytes })
  const moved = [...space.last].filter(([page]) => page * PAGE_SIZE >= address && page * PAGE_SIZE < address + Math.min(bytes, newBytes))
  forget(space, address, bytes)
  for (const [page, last] of moved) space.last.set(page + (newAddress - address) / PAGE_SIZE, last)
}

function forget({ last }: Space, address: number, bytes: number): void {
  const [first, end] = [Math.floor(address / PAGE_SIZE), Math.ceil((address + bytes) / PAGE_SIZE)]
  if (end - first > last.size) {
    for (const page of last.keys()) if (page >= first && page < end) last.delete(page)
  } else for (let page = first; page < end; page++) last.delete(page)
}

function fault(plan: Plan, space: Space, address: number, i: number): void {
  const page = Math.floor(address / PAGE_SIZE)
  const area = areaAt(space.areas, address)
  const before = space.last.get(page)
  if (area === undefined) note(plan.notes, 'faults where the trace shows no mapping: left out')
  if (area?.stackOf !== undefined) argumentPages(plan, area.stackOf, page)
  plan.writes[i] = area?.writable === true ? 1 : 0
  if (before !== undefined && !before.shared) plan.writes[before.fault] = 0
  space.last.set(page, { fault: i, shared: false })
}

/** All above the highest page that ever faults was there from the beginning. */
function argumentPages({ arguments: found }: Plan, stack: number, page: number): void {
  const top = found.get(stack)
  if (top === undefined) return
  const above = top.address - (page + 1) * PAGE_SIZE
  if (top.bytes === 0 || above < top.bytes) top.bytes = Math.max(above, 0)
}

function fork(plan: Plan, space: Space, { child, shares }: TraceAct & { readonly kind: 'fork' }): void {
  if (shares) {
    plan.spaces.set(child, space)
    return
  }
  for (const last of space.last.values()) last.shared = true
  const last = new Map([...space.last].map(([page, { fault: at }]) => [page, { fault: at, shared: true }]))
  plan.spaces.set(child, { owner: child, areas: [...space.areas], last })
}

/** A name that the language takes, like the file's own. */
const fileName = (path: string, n: number) => `f${n}-${path.replace(/.*\//, '').replace(/[^A-Za-z0-9_.-]/g, '')}`.slice(0, 15)

// ------------------------------------------------------------------------ then, the lines

const line = (text: string, ns: number, pid = 0, faults = 0): TraceLine => ({ text, ns, pid, faults })
const hex = (address: number) => `0x${address.toString(16)}`
const size = (bytes: number) => (bytes % 1024 === 0 ? `${bytes / 1024}K` : `${bytes}`)

function head(plan: Plan, title: string): TraceLine[] {
  const files = [...plan.files.values()]
  const ns = plan.events[0]?.ns ?? 0
  const diskMib = Math.ceil(files.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20) + 64
  return [
    `title ${title}`,
    `machine mem=4G cpus=2${files.length === 0 ? '' : ` disk=${diskMib}M`}`,
    'cmdline transparent_hugepage=madvise',
    ...files.map(({ name, bytes }) => `file ${name} ${size(bytes)}`),
    ...(files.length === 0 ? [] : ['spawn cache', ...files.map(({ name }) => `cache readfile /mnt/${name}`), 'exit cache']),
  ].map(text => line(text, ns))
}

interface Writer {
  readonly plan: Plan
  readonly lines: TraceLine[]
  /** Owner of each process' address space, as in the first pass. */
  readonly owners: Map<number, number>
  readonly spawned: Set<number>
  ns: number
}

function body(plan: Plan): TraceLine[] {
  const writer: Writer = { plan, lines: [], owners: new Map(), spawned: new Set(), ns: plan.events[0]?.ns ?? 0 }
  for (let i = 0; i < plan.events.length; ) i += write(writer, i)
  return writer.lines
}

const processName = (pid: number) => `p${pid}`

function put(writer: Writer, { ns, pid }: TraceEvent, text: string, faults = 0): void {
  if (ns - writer.ns >= PAUSE_NS) {
    writer.lines.push(line(`sleep ${Math.floor((ns - writer.ns) / 1000)}us`, ns))
    writer.ns = ns
  }
  const owner = writer.owners.get(pid) ?? pid
  if (!writer.spawned.has(owner)) {
    writer.lines.push(line(`spawn ${processName(owner)} cpu=any`, ns))
    writer.spawned.add(owner)
  }
  writer.lines.push(line(`${processName(owner)} ${text}`, ns, owner, faults))
}

/** Writes the lines of event i, with those of faults that go with it; returns how many events that were. */
function write(writer: Writer, i: number): number {
  const event = writer.plan.events[i]
  const { act, pid } = event
  switch (act.kind) {
    case 'fault':
      return writeFaults(writer, i)
    case 'fork':
      writeFork(writer, event, act)
      return 1
    case 'exec':
      writer.owners.set(pid, pid)
      put(
        writer,
        event,
        `exec ${act.name
          .replace(/[^A-Za-z0-9_.-]/g, '')
          .replace(/^(?![A-Za-z_])/, '_')
          .slice(0, 15)}`,
      )
      return 1
    case 'exit':
      if (writer.spawned.delete(pid)) writer.lines.push(line(`exit ${processName(pid)}`, event.ns))
      writer.owners.delete(pid)
      return 1
    default:
      for (const text of linesOf(writer.plan, act, i)) put(writer, event, text)
      return 1
  }
}

function writeFork(writer: Writer, { pid, ns }: TraceEvent, { child, shares }: TraceAct & { readonly kind: 'fork' }): void {
  const owner = writer.owners.get(pid) ?? pid
  writer.owners.set(child, shares ? owner : child)
  if (shares || !writer.spawned.has(owner)) return
  writer.spawned.add(child)
  writer.lines.push(line(`fork ${processName(owner)} ${processName(child)}`, ns))
}

/** Faults on page after page, of one kind, within a short time. */
function writeFaults(writer: Writer, first: number): number {
  const { events, writes } = writer.plan
  const start = events[first]
  const page = pageOf(start.act)
  let n = 1
  for (let next = events[first + n]; next !== undefined; next = events[first + n]) {
    const goesOn = next.pid === start.pid && pageOf(next.act) === page + n && writes[first + n] === writes[first]
    if (!goesOn || next.ns - start.ns > RUN_NS) break
    n++
  }
  put(writer, start, `touch ${hex(page * PAGE_SIZE)} ${writes[first] === 1 ? 'write' : 'read'} 0 ${n * 4}K`, n)
  return n
}

const pageOf = (act: TraceAct): number => (act.kind === 'fault' ? Math.floor(act.address / PAGE_SIZE) : Number.NaN)

function linesOf(plan: Plan, act: TraceAct, i: number): string[] {
  switch (act.kind) {
    case 'map':
      return mapLines(plan, act, i)
    case 'unmap':
      return [`munmap ${hex(act.address)} 0 ${size(act.bytes)}`]
    case 'protect':
      return [`mprotect ${hex(act.address)} ${act.prot === '' ? 'none' : act.prot.includes('w') ? 'rw' : 'ro'} 0 ${size(act.bytes)}`]
    case 'lock':
    case 'unlock':
      return [`m${act.kind} ${hex(act.address)} 0 ${size(act.bytes)}`]
    case 'remap': {
      const to = act.newAddress === act.address ? 'nomove' : `to=${hex(act.newAddress)}`
      return [`mremap ${hex(act.address)} ${size(act.newBytes)} ${to} old=${size(act.bytes)}`]
    }
    case 'advise':
      return [`madvise ${hex(act.address)} ${act.advice} 0 ${size(act.bytes)}`]
    default:
      return []
  }
}

/** The kernel's own code in a process has one fault a page: each is mapped apart, from a place of its own in the file. */
const pageByPage = (address: number, bytes: number, rest: string): string[] =>
  Array.from({ length: bytes / PAGE_SIZE }, (_, n) => `mmap ${hex(address + n * PAGE_SIZE)} 4K ${rest} fileoff=${n * 8}K notrunc`)

function mapLines(plan: Plan, act: TraceAct & { readonly kind: 'map' }, i: number): string[] {
  const { address, bytes } = stackOrSelf(act)
  const flags = [
    act.shared ? 'shared' : 'private',
    'fixed',
    ...(act.populate ? ['populate'] : []),
    ...(act.stack ? ['noreserve'] : []),
  ].join()
  const prot = act.prot === '' ? 'none' : act.prot
  const file = act.file === undefined ? undefined : plan.files.get(act.file)
  const backing = file === undefined ? '' : ` file=/mnt/${file.name} fileoff=${size(act.fileOffset)} notrunc`
  const mapping = (at: number, length: number) => `mmap ${hex(at)} ${size(length)} prot=${prot} flags=${flags}${backing}`
  if (file !== undefined && KERNEL_OWN.test(act.file ?? ''))
    return pageByPage(address, bytes, `prot=${prot} flags=${flags} file=/mnt/${file.name}`)
  const top = plan.arguments.get(i)
  const filled = top === undefined || top.bytes === 0 ? [] : [`madvise ${hex(top.address - top.bytes)} populate_write 0 ${size(top.bytes)}`]
  return [mapping(address, bytes), ...filled]
}
