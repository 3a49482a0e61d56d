/**
 * What this machine has: nodes, huge page sizes, processes, control groups, knobs. Looked up again every few seconds, as
 * all of it can change; the files of a frame follow from it.
 */
import { readdirSync, statSync } from 'node:fs'
import { basePaths, type Shape } from '../sample/files.ts'
import { describer, maybeKnob, typeOf } from '../sample/knobs.ts'
import { parsePidStat } from '../sample/parse/pid_stat.ts'
import type { Tunable } from '../sample/source.ts'
import { type Reader, readText } from './reader.ts'
import { switchOf } from './rest.ts'

export interface HostShape extends Shape {
  /** Files that change with every event: counters, and what rates are made of. */
  readonly counters: readonly string[]
  /** Of counters that can be off, the file that says so: counter -> its path. */
  readonly switches: ReadonlyMap<string, string>
  /** Files of levels and settings, which may be read in turn. */
  readonly levels: readonly string[]
}

/** Processes whose files are read; of more, the largest. */
export const TASKS_MAX = 400
const CGROUPS_MAX = 200
const CGROUP_DEPTH = 6
/** Knobs in directories that belong to memory management. */
const KNOB_DIRECTORIES = ['/proc/sys/vm', '/sys/kernel/mm', '/sys/module/zswap/parameters']
/** DAMON has a tree of its own, with files by the hundred. */
const FOREIGN = /\/damon(\/|$)/
/** Reading these makes the kernel do something. */
const ACTS = /\/(stat_refresh|compact_memory|drop_caches|compact|demote)$/

/** Names in a directory; [] where there is none or it may not be read. */
function names(reader: Reader, directory: string): string[] {
  try {
    return readdirSync(reader.root + directory)
  } catch {
    return []
  }
}

function directoriesIn(reader: Reader, directory: string): string[] {
  try {
    return readdirSync(reader.root + directory, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}

/** Files at any depth below a directory, at most `depth` down. */
function filesBelow(reader: Reader, directory: string, depth = 4): string[] {
  try {
    return readdirSync(reader.root + directory, { withFileTypes: true }).flatMap(entry => {
      const path = `${directory}/${entry.name}`
      if (entry.isFile()) return [path]
      return entry.isDirectory() && depth > 0 && !FOREIGN.test(path) ? filesBelow(reader, path, depth - 1) : []
    })
  } catch {
    return []
  }
}

const numbers = (found: readonly string[], pattern: RegExp): number[] =>
  found
    .flatMap(name => {
      const match = pattern.exec(name)
      return match === null ? [] : [Number(match[1])]
    })
    .sort((a, b) => a - b)

export const pidsOf = (reader: Reader): number[] => numbers(names(reader, '/proc'), /^(\d{1,10})$/)

/** All processes, or the largest where there are very many. */
export function largest(reader: Reader, pids: readonly number[]): readonly number[] {
  if (pids.length <= TASKS_MAX) return pids
  return pids
    .map(pid => ({ pid, rss: parsePidStat(readText(reader, `/proc/${pid}/stat`, false) ?? '')?.rssPages ?? 0 }))
    .sort((a, b) => b.rss - a.rss || a.pid - b.pid)
    .slice(0, TASKS_MAX)
    .map(({ pid }) => pid)
    .sort((a, b) => a - b)
}

/** Groups of the second version of cgroups, which alone have memory.current everywhere below the root. */
function cgroupsOf(reader: Reader): string[] {
  const found: string[] = []
  const visit = (name: string, depth: number) => {
    for (const child of directoriesIn(reader, `/sys/fs/cgroup/${name}`)) {
      if (found.length >= CGROUPS_MAX || depth === 0) return
      const path = name === '' ? child : `${name}/${child}`
      if (names(reader, `/sys/fs/cgroup/${path}`).includes('memory.current')) found.push(path)
      visit(path, depth - 1)
    }
  }
  if (names(reader, '/sys/fs/cgroup').includes('cgroup.controllers')) visit('', CGROUP_DEPTH)
  return found
}

/** Directories of counters that newer kernels add files to: whatever is there is read. */
const COUNTER_DIRECTORIES = ['/sys/kernel/mm/ksm', '/sys/kernel/debug/zswap', '/sys/kernel/mm/transparent_hugepage']
const COUNTER =
  /^\/proc\/(vmstat|meminfo|zoneinfo|buddyinfo|swaps|pressure\/memory)$|\/node\d+\/(meminfo|numastat|vmstat)$|\/ksm\/(?!run$|smart_scan$|use_|max_|merge_|advisor_|\w+_millisecs$|pages_to_scan$)|\/debug\/zswap\/|\/stats\/\w+$|\/khugepaged\/(full_scans|pages_collapsed)$/

export function shapeOf(reader: Reader): HostShape {
  const shape = {
    nodes: numbers(names(reader, '/sys/devices/system/node'), /^node(\d{1,4})$/),
    hugepageSizesKb: numbers(names(reader, '/sys/kernel/mm/hugepages'), /^hugepages-(\d{1,10})kB$/),
    pids: [],
    cgroups: cgroupsOf(reader),
  }
  const paths = [...new Set([...basePaths(shape), ...COUNTER_DIRECTORIES.flatMap(directory => filesBelow(reader, directory))])]
  const readable = paths.filter(path => !ACTS.test(path))
  const counters = readable.filter(path => COUNTER.test(path))
  const switches = new Map(
    counters.flatMap((path): [string, string][] => {
      const off = switchOf(path)
      return off === undefined ? [] : [[path, off]]
    }),
  )
  return { ...shape, counters, switches, levels: readable.filter(path => !COUNTER.test(path)) }
}

/**
 * Every knob of this machine: what may be written in the directories of memory management, and others that are known.
 * @param known descriptions; a knob without one is shown with the type that its text has
 */
export function knobsOf(reader: Reader, nodes: readonly number[], known: readonly Tunable[]): Tunable[] {
  const describe = describer(known)
  const pools = nodes.flatMap(node => filesBelow(reader, `/sys/devices/system/node/node${node}/hugepages`, 1))
  const fixed = known.map(({ path }) => path).filter(path => !path.includes('{'))
  const found = [...KNOB_DIRECTORIES.flatMap(directory => filesBelow(reader, directory)), ...pools, ...fixed]
  return [...new Set(found)].flatMap(path => {
    const mode = modeOf(reader, path)
    if (mode === undefined || (mode & 0o222) === 0 || (!maybeKnob(path) && !fixed.includes(path))) return []
    return [describe(path) ?? { path, ...guess(reader, path, mode), meaning: '', source: '' }]
  })
}

function guess(reader: Reader, path: string, mode: number): Pick<Tunable, 'type' | 'choices'> {
  if ((mode & 0o444) === 0 || ACTS.test(path)) return { type: 'trigger' }
  return typeOf(readText(reader, path, false) ?? '')
}

/** Permission bits of a file; undefined where there is none. */
function modeOf(reader: Reader, path: string): number | undefined {
  try {
    const stat = statSync(reader.root + path)
    return stat.isFile() ? stat.mode & 0o777 : undefined
  } catch {
    return undefined
  }
}
