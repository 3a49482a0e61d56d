/**
 * Processes as figures. There are hundreds of them, and from one frame to the next most have not done anything: their files have the
 * same texts. Such a process is the very same Task again; of another one only those files are parsed anew that changed, and each
 * only when somebody asks for what is in it.
 *
 * A Task holds the texts it is made of and nothing of its making: else every process at rest would keep a frame of long ago, and
 * every other one all that it ever was. So what is kept are closures over texts alone.
 */
import type { NamedTask } from './parse/mmtop.ts'
import { parseNumaMaps, parseSmaps, type SmapsArea } from './parse/pid_maps.ts'
import { parsePidStat, parsePidStatm, parsePidStatus } from './parse/pid_stat.ts'
import type { TaskFiles } from './places.ts'
import type { Task } from './sample.ts'
import type { Frame } from './source.ts'
import { cleanText, toInteger } from './text.ts'

/** What a file gives, parsed at the first call; one part for each that is asked for. */
type Parts = { readonly [part in 'stat' | 'statm' | 'status' | 'smaps' | 'rollup' | 'numaMaps']: () => Task[part] }

interface Known {
  readonly names: readonly string[]
  readonly texts: readonly (string | undefined)[]
  readonly parts: Parts
  readonly task: Task
}

/** The processes of the frame before, by pid. */
export type TasksMemo = Map<number, Known>

/** @param memo of the frame before; it is kept up to date */
export function tasksOf(
  { files }: Frame,
  all: readonly TaskFiles[],
  memo: TasksMemo,
  named: ReadonlyMap<number, NamedTask>,
  activity: ReadonlyMap<number, string>,
): Task[] {
  const tasks = all.map(of => {
    const before = memo.get(of.pid)
    const [name, does] = [named.get(of.pid), activity.get(of.pid)]
    if (before !== undefined && before.task.named === name && before.task.activity === does && isSame(before, of, files)) return before.task
    const texts = { names: of.paths.map(file => file.name), texts: of.paths.map(({ path }) => files.get(path)) }
    const parts = partsOf(texts, before)
    const task = taskOf(of.pid, texts, parts, name, does)
    memo.set(of.pid, { ...texts, parts, task })
    return task
  })
  if (memo.size > all.length) {
    const alive = new Set(all.map(({ pid }) => pid))
    for (const pid of memo.keys()) if (!alive.has(pid)) memo.delete(pid)
  }
  return tasks
}

function isSame({ names, texts }: Known, { paths }: TaskFiles, files: Frame['files']): boolean {
  if (names.length !== paths.length) return false
  for (let i = 0; i < paths.length; i++) if (names[i] !== paths[i].name || texts[i] !== files.get(paths[i].path)) return false
  return true
}

type Texts = Pick<Known, 'names' | 'texts'>

function textOf({ names, texts }: Texts, name: string): string | undefined {
  const at = names.indexOf(name)
  return at < 0 ? undefined : texts[at]
}

const PARSE = {
  stat: (text: string | undefined) => parsePidStat(text ?? ''),
  statm: (text: string | undefined) => parsePidStatm(text ?? ''),
  status: (text: string | undefined) => (text === undefined ? undefined : parsePidStatus(text)),
  smaps: (text: string | undefined) => parseSmaps(text ?? ''),
  numaMaps: (text: string | undefined) => parseNumaMaps(text ?? ''),
} as const

function partsOf(now: Texts, before: Known | undefined): Parts {
  const last = before?.parts
  const same = (name: string) => before !== undefined && textOf(before, name) === textOf(now, name)
  const part = <T>(name: string, old: (() => T) | undefined, parse: (text: string | undefined) => T): (() => T) =>
    old !== undefined && same(name) ? old : lazily(textOf(now, name), parse)
  const smaps = part('smaps', last?.smaps, PARSE.smaps)
  return {
    stat: part('stat', last?.stat, PARSE.stat),
    statm: part('statm', last?.statm, PARSE.statm),
    status: part('status', last?.status, PARSE.status),
    smaps,
    rollup: last !== undefined && smaps === last.smaps && same('smaps_rollup') ? last.rollup : rollupOf(textOf(now, 'smaps_rollup'), smaps),
    numaMaps: part('numa_maps', last?.numaMaps, PARSE.numaMaps),
  }
}

/** What has a line for each area is long, and few panels look at it. */
function lazily<T>(text: string | undefined, parse: (text: string | undefined) => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: parse(text === undefined ? undefined : cleanText(text)) }
    return made.value
  }
}

function rollupOf(text: string | undefined, smaps: () => readonly SmapsArea[]): Parts['rollup'] {
  const read = lazily(text, PARSE.smaps)
  return () => read()[0]?.bytes ?? sumOf(smaps())
}

/** What smaps_rollup would print, where smaps was read; page sizes are no sums. */
function sumOf(areas: readonly SmapsArea[]): Map<string, number> | undefined {
  const sum = new Map<string, number>()
  for (const area of areas) for (const [key, bytes] of area.bytes) if (!key.endsWith('PageSize')) sum.set(key, (sum.get(key) ?? 0) + bytes)
  return areas.length === 0 ? undefined : sum
}

function taskOf(pid: number, texts: Texts, parts: Parts, named: NamedTask | undefined, activity: string | undefined): Task {
  return {
    pid,
    get stat() {
      return parts.stat()
    },
    get statm() {
      return parts.statm()
    },
    get status() {
      return parts.status()
    },
    get rollup() {
      return parts.rollup()
    },
    get smaps() {
      return parts.smaps()
    },
    get numaMaps() {
      return parts.numaMaps()
    },
    get oomScore() {
      return toInteger(textOf(texts, 'oom_score')?.trim())
    },
    get oomScoreAdj() {
      return toInteger(textOf(texts, 'oom_score_adj')?.trim())
    },
    named,
    activity,
  }
}
