/**
 * Which files of a frame belong together, told by their paths.
 *
 *     /sys/kernel/mm/ksm/pages_shared               ksm       "pages_shared"
 *     /sys/devices/system/node/node1/meminfo        nodes     1
 *     /proc/42/stat                                 tasks     42: "stat"
 *
 * A frame has hundreds of files, most of them the same ones as the frame before. So what one path is, is found out once, and all
 * of them are sorted anew only when one has come or gone: a frame with the same paths in the same order gets the same Places.
 */
import type { Frame } from './source.ts'
import { cleanLine } from './text.ts'

/** A file by the rest of its path, safe to show. */
interface NamedFile {
  readonly name: string
  readonly path: string
}

/** A file of a hugetlb pool: of the machine (`node` undefined) or of one node. */
interface PoolFile extends NamedFile {
  readonly node: number | undefined
  readonly sizeKb: number
}

export interface TaskFiles {
  readonly pid: number
  /** "stat", "fdinfo/5" ... */
  readonly paths: readonly NamedFile[]
}

export interface Places {
  readonly thp: readonly NamedFile[]
  readonly ksm: readonly NamedFile[]
  readonly zswap: readonly NamedFile[]
  readonly zswapParameters: readonly NamedFile[]
  /** By node and size. */
  readonly pools: readonly PoolFile[]
  readonly nodes: readonly number[]
  readonly zram: readonly number[]
  readonly tasks: readonly TaskFiles[]
  /** memory.current of each group; the name is the group's path. */
  readonly cgroups: readonly NamedFile[]
  /** What is told of single pages. */
  readonly stories: readonly string[]
}

/** Files that are known by the rest of their path. */
const DIRECTORIES = {
  thp: '/sys/kernel/mm/transparent_hugepage/',
  ksm: '/sys/kernel/mm/ksm/',
  zswap: '/sys/kernel/debug/zswap/',
  zswapParameters: '/sys/module/zswap/parameters/',
} as const

const TASK_FILE = /^\/proc\/(\d{1,10})\/(.*)$/s
const NODE_FILE = /^\/sys\/devices\/system\/node\/node(\d{1,4})\/(?:meminfo|numastat|vmstat)$/
const POOL_FILE = /^\/sys\/(?:kernel\/mm|devices\/system\/node\/node(\d{1,4}))\/hugepages\/hugepages-(\d{1,10})kB\/(\w+)$/
const ZRAM_FILE = /^\/sys\/block\/zram(\d{1,4})\/mm_stat$/
const CGROUP_FILE = /^\/sys\/fs\/cgroup\/(.*)\/memory\.current$/s
const STORIES = '/mmtop/pages/frame/'

/** What a single path is; undefined for a file that stands for itself. */
type Place =
  | { readonly of: keyof typeof DIRECTORIES | 'cgroups'; readonly file: NamedFile }
  | { readonly of: 'pools'; readonly file: PoolFile }
  | { readonly of: 'nodes'; readonly number: number }
  | { readonly of: 'zram'; readonly number: number }
  | { readonly of: 'tasks'; readonly pid: number; readonly file: NamedFile }
  | { readonly of: 'stories'; readonly path: string }
  | undefined

function placeOf(path: string): Place {
  const task = TASK_FILE.exec(path)
  if (task !== null) return { of: 'tasks', pid: Number(task[1]), file: { name: task[2], path } }
  for (const of of ['thp', 'ksm', 'zswap', 'zswapParameters'] as const)
    if (path.startsWith(DIRECTORIES[of])) return { of, file: { name: cleanLine(path.slice(DIRECTORIES[of].length)), path } }
  const pool = POOL_FILE.exec(path)
  if (pool !== null)
    return {
      of: 'pools',
      file: { name: pool[3], path, node: pool[1] === undefined ? undefined : Number(pool[1]), sizeKb: Number(pool[2]) },
    }
  const node = NODE_FILE.exec(path)
  if (node !== null) return { of: 'nodes', number: Number(node[1]) }
  const group = CGROUP_FILE.exec(path)
  if (group !== null) return { of: 'cgroups', file: { name: cleanLine(group[1]), path } }
  const zram = ZRAM_FILE.exec(path)
  if (zram !== null) return { of: 'zram', number: Number(zram[1]) }
  return path.startsWith(STORIES) ? { of: 'stories', path } : undefined
}

/** What is known of the paths of the frame before. */
export interface PlacesMemo {
  /** Of single paths; forgotten when there are far more than a frame has. */
  readonly known: Map<string, Place>
  paths: readonly string[]
  places: Places
}

const KNOWN_LEAST = 4096

export const newPlacesMemo = (): PlacesMemo => ({ known: new Map(), paths: [], places: sortPaths([], new Map()) })

/** @param memo of the frame before; it is kept up to date */
export function placesOf({ files }: Frame, memo: PlacesMemo): Places {
  if (files.size === memo.paths.length && sameOrder(files, memo.paths)) return memo.places
  if (memo.known.size > Math.max(KNOWN_LEAST, 4 * files.size)) memo.known.clear()
  memo.paths = [...files.keys()]
  memo.places = sortPaths(memo.paths, memo.known)
  return memo.places
}

function sameOrder(files: ReadonlyMap<string, string>, paths: readonly string[]): boolean {
  let at = 0
  for (const path of files.keys()) if (path !== paths[at++]) return false
  return true
}

/** The files that go by names, while they are sorted. */
type Named = Record<keyof typeof DIRECTORIES | 'cgroups', NamedFile[]>

function sortPaths(paths: readonly string[], known: Map<string, Place>): Places {
  const named: Named = { thp: [], ksm: [], zswap: [], zswapParameters: [], cgroups: [] }
  const pools: PoolFile[] = []
  const stories: string[] = []
  const numbers = { nodes: new Set<number>(), zram: new Set<number>() }
  const tasks = new Map<number, NamedFile[]>()
  for (const path of paths) {
    let place = known.get(path)
    if (place === undefined && !known.has(path)) {
      place = placeOf(path)
      known.set(path, place)
    }
    if (place === undefined) continue
    if (place.of === 'tasks') addFile(tasks, place.pid, place.file)
    else if (place.of === 'nodes' || place.of === 'zram') numbers[place.of].add(place.number)
    else if (place.of === 'stories') stories.push(place.path)
    else if (place.of === 'pools') pools.push(place.file)
    else named[place.of].push(place.file)
  }
  return {
    ...named,
    pools: pools.sort((a, b) => (a.node ?? -1) - (b.node ?? -1) || a.sizeKb - b.sizeKb),
    nodes: [...numbers.nodes].sort((a, b) => a - b),
    zram: [...numbers.zram].sort((a, b) => a - b),
    tasks: [...tasks].map(([pid, of]): TaskFiles => ({ pid, paths: of })).sort((a, b) => a.pid - b.pid),
    stories,
  }
}

function addFile(tasks: Map<number, NamedFile[]>, pid: number, file: NamedFile): void {
  const files = tasks.get(pid)
  if (files === undefined) tasks.set(pid, [file])
  else files.push(file)
}
