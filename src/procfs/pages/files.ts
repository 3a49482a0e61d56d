/**
 * The files under /mmtop/pages: what tools that read pagemap, kpageflags and kpagecount work out, worked out where the pages are. The path says
 * what is asked for; a path that makes no sense is no file.
 *
 *     types/WHO/FLAGS             types.ts
 *     map/START/END/CELLS         map.ts
 *     frame/PFN                   map.ts
 *     task/PID/CELLS              areas.ts
 */
import type { Kernel } from '../../kernel/base/state.ts'
import type { Mm } from '../../kernel/base/state_mm.ts'
import { areaLines } from './areas.ts'
import { frameLines, mapLines } from './map.ts'
import { parseFlags, typesOfAll, typesOfTask } from './types.ts'

export const PAGES = '/mmtop/pages/'
/** More cells than any screen has. */
const CELLS_MAX = 1 << 16

/** The text of a file under /mmtop/pages; undefined where there is none. */
export function pagesText(k: Kernel, path: string): string | undefined {
  const [what, ...rest] = path.slice(PAGES.length).split('/')
  const lines = linesOf(k, what, rest)
  return lines === undefined ? undefined : lines.map(line => `${line}\n`).join('')
}

function linesOf(k: Kernel, what: string, words: readonly string[]): string[] | undefined {
  if (what === 'types' && words.length === 2) return types(k, words[0], words[1])
  if (what === 'map' && words.length === 3) return map(k, words.map(number))
  if (what === 'frame' && words.length === 1) return frame(k, number(words[0]))
  if (what === 'task' && words.length === 2) return task(k, number(words[0]), number(words[1]))
  return undefined
}

const number = (word: string): number => (/^\d{1,15}$/.test(word) ? Number(word) : -1)

function types(k: Kernel, who: string, flags: string): string[] | undefined {
  const filter = parseFlags(flags)
  if (typeof filter === 'string') return undefined
  if (who === 'all') return typesOfAll(k, filter)
  const mm = memoryOf(k, number(who))
  return mm === undefined ? undefined : typesOfTask(k, mm, filter)
}

function map(k: Kernel, [start, end, cells]: readonly number[]): string[] | undefined {
  if (start < 0 || cells < 1 || cells > CELLS_MAX || start >= Math.min(end, k.maxPfn)) return undefined
  return mapLines(k, start, Math.min(end, k.maxPfn), cells)
}

const frame = (k: Kernel, pfn: number): string[] | undefined => (pfn < 0 || pfn >= k.maxPfn ? undefined : frameLines(k, pfn))

function task(k: Kernel, pid: number, cells: number): string[] | undefined {
  const mm = memoryOf(k, pid)
  return mm === undefined || cells < 1 || cells > CELLS_MAX ? undefined : areaLines(k, mm, cells)
}

const memoryOf = (k: Kernel, pid: number): Mm | undefined => k.tasks.get(pid)?.mm
