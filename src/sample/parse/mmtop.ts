/** The pseudo-files under /mmtop/: what a source knows beside the machine's own files (see source.ts). */
import { EVENT_KINDS, type EventKind } from '../source.ts'
import { toInteger } from '../text.ts'

/** Something that happened between two frames. */
export interface MachineEvent {
  readonly ns: number
  readonly kind: EventKind
  readonly text: string
}

/** A kernel thread of memory management. `node` is '' for those that are not per node. */
export interface Daemon {
  readonly name: string
  readonly node: string
  readonly running: boolean
}

/** A process as the source names it, where it knows more than /proc/PID says. */
export interface NamedTask {
  readonly name: string
  readonly minflt: number
  readonly majflt: number
}

/** "KEY rest of the line" for each line. */
export function parseTexts(text: string): Map<string, string> {
  const entries = text.split('\n').flatMap((line): [string, string][] => {
    const space = line.indexOf(' ')
    return space <= 0 ? [] : [[line.slice(0, space), line.slice(space + 1).trim()]]
  })
  return new Map(entries)
}

/** "PID text": what each process is doing. */
export function parseActivity(text: string): Map<number, string> {
  const lines = [...parseTexts(text)].map(([pid, doing]): [number | undefined, string] => [toInteger(pid), doing])
  return new Map(lines.flatMap(([pid, doing]): [number, string][] => (pid === undefined ? [] : [[pid, doing]])))
}

/** "PID MINFLT MAJFLT NAME". */
export function parseTasks(text: string): Map<number, NamedTask> {
  const tasks = new Map<number, NamedTask>()
  for (const line of text.split('\n')) {
    const match = /^(\d{1,10}) (\d{1,20}) (\d{1,20}) (.+)$/.exec(line)
    if (match !== null) tasks.set(Number(match[1]), { minflt: Number(match[2]), majflt: Number(match[3]), name: match[4] })
  }
  return tasks
}

/** "NS KIND TEXT"; a kind that this version does not know is shown as a note. */
export function parseEvents(text: string): MachineEvent[] {
  return text.split('\n').flatMap(line => {
    const match = /^(\d{1,20}) (\S+) ?(.*)$/.exec(line)
    if (match === null) return []
    const kind = EVENT_KINDS.find(known => known === match[2]) ?? 'note'
    return [{ ns: Number(match[1]), kind, text: match[3] }]
  })
}

/** "NAME NODE running|sleeping"; NODE is "-" where there is one for the machine. */
export function parseDaemons(text: string): Daemon[] {
  return text.split('\n').flatMap(line => {
    const match = /^(\S+) (\S+) (running|sleeping)$/.exec(line)
    return match === null ? [] : [{ name: match[1], node: match[2] === '-' ? '' : match[2], running: match[3] === 'running' }]
  })
}

/** A thread that waits for its fault to be handled. */
export interface WaitingThread {
  readonly pid: number
  /** "PID/FD" of the userfaultfd, or "2014". */
  readonly where: string
  /** Hexadecimal. */
  readonly address: string
  /** read, write, write-protected, minor */
  readonly what: string
  readonly ns: number
}

/** "PID WHERE ADDRESS WHAT NS" */
export function parseWaiting(text: string): WaitingThread[] {
  return text.split('\n').flatMap(line => {
    const match = /^(\d{1,10}) (\S{1,30}) (0x[0-9a-f]{1,16}) ([a-z-]{1,20}) (\d{1,20})$/.exec(line)
    return match === null ? [] : [{ pid: Number(match[1]), where: match[2], address: match[3], what: match[4], ns: Number(match[5]) }]
  })
}
