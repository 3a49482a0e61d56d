/**
 * DAMON, the kernel's own monitor of accesses (since 5.15; this tree since 5.18): which daemons run, what they look at, and what their
 * schemes did with what they found.
 *
 *     /sys/kernel/mm/damon/admin/kdamonds/0/state                                       on or off
 *                                 kdamonds/0/contexts/0/operations                      vaddr: processes, paddr: physical memory
 *                                 kdamonds/0/contexts/0/schemes/0/{action,stats/...}    pageout, and how much of it was done
 *
 * Each directory says in nr_... how many there are below it, so nobody has to list them: `damonPaths` grows from frame to frame until all
 * of it is known. The counts of schemes are those of the last time that someone had the kernel update them.
 */
import { toInteger } from '../text.ts'

const ADMIN = '/sys/kernel/mm/damon/admin/kdamonds/'
const COUNT = `${ADMIN}nr_kdamonds`
/** Daemons, contexts, targets and schemes that are looked at, of each kind. */
const MOST = 16

const CONTEXT_FILES = [
  'operations',
  ...['sample_us', 'aggr_us', 'update_us'].map(name => `monitoring_attrs/intervals/${name}`),
  ...['min', 'max'].map(name => `monitoring_attrs/nr_regions/${name}`),
  'targets/nr_targets',
  'schemes/nr_schemes',
]
const SCHEME_FILES = [
  'action',
  ...['nr_tried', 'sz_tried', 'nr_applied', 'sz_applied', 'qt_exceeds'].map(name => `stats/${name}`),
  ...['ms', 'bytes', 'reset_interval_ms'].map(name => `quotas/${name}`),
  ...['sz', 'nr_accesses', 'age'].flatMap(name => [`access_pattern/${name}/min`, `access_pattern/${name}/max`]),
]

/** What is done with regions that fit. */
export interface DamonScheme {
  readonly kdamond: number
  readonly scheme: number
  readonly action: string
  /** By the name of its file below schemes/N: "stats/sz_applied", "quotas/bytes" ... */
  readonly numbers: ReadonlyMap<string, number>
}

export interface DamonContext {
  readonly kdamond: number
  /** "on" or "off". */
  readonly state: string
  /** Of the daemon; -1 while it is off. */
  readonly pid: number
  /** vaddr, fvaddr or paddr. */
  readonly operations: string
  /** Processes whose memory is looked at; [] for physical memory. */
  readonly targets: readonly number[]
  /** By the name of its file below contexts/0: "monitoring_attrs/intervals/sample_us" ... */
  readonly numbers: ReadonlyMap<string, number>
  readonly schemes: readonly DamonScheme[]
}

type Files = ReadonlyMap<string, string>

const numberAt = (files: Files, path: string): number | undefined => toInteger(files.get(path)?.trim())
const countAt = (files: Files, path: string): number => Math.max(0, Math.min(MOST, numberAt(files, path) ?? 0))
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
/** A kdamond has one context. */
const contextOf = (kdamond: number): string => `${ADMIN}${kdamond}/contexts/0/`

/** Files that tell what there is, as far as it is known from those that were read. */
export function damonPaths(files: Files): string[] {
  return [
    COUNT,
    ...upTo(countAt(files, COUNT)).flatMap(kdamond => {
      const context = contextOf(kdamond)
      const targets = upTo(countAt(files, `${context}targets/nr_targets`)).map(target => `${context}targets/${target}/pid_target`)
      const schemes = upTo(countAt(files, `${context}schemes/nr_schemes`)).flatMap(scheme =>
        SCHEME_FILES.map(file => `${context}schemes/${scheme}/${file}`),
      )
      const own = [`${ADMIN}${kdamond}/state`, `${ADMIN}${kdamond}/pid`]
      return [...own, ...CONTEXT_FILES.map(file => context + file), ...targets, ...schemes]
    }),
  ]
}

function numbersAt(files: Files, directory: string, names: readonly string[]): Map<string, number> {
  return new Map(
    names.flatMap((name): [string, number][] => {
      const value = numberAt(files, directory + name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

/** @returns undefined where the kernel has no such tree, or it was not read */
export function damonOf(files: Files, clean: (text: string) => string): DamonContext[] | undefined {
  if (!files.has(COUNT)) return undefined
  return upTo(countAt(files, COUNT)).map(kdamond => {
    const context = contextOf(kdamond)
    const word = (path: string) => clean(files.get(path) ?? '').trim()
    const operations = word(`${context}operations`)
    return {
      kdamond,
      state: word(`${ADMIN}${kdamond}/state`),
      pid: numberAt(files, `${ADMIN}${kdamond}/pid`) ?? -1,
      operations,
      targets:
        operations === 'paddr'
          ? []
          : upTo(countAt(files, `${context}targets/nr_targets`)).flatMap(
              target => numberAt(files, `${context}targets/${target}/pid_target`) ?? [],
            ),
      numbers: numbersAt(files, context, CONTEXT_FILES),
      schemes: upTo(countAt(files, `${context}schemes/nr_schemes`)).map(scheme => {
        const directory = `${context}schemes/${scheme}/`
        return { kdamond, scheme, action: word(`${directory}action`), numbers: numbersAt(files, directory, SCHEME_FILES) }
      }),
    }
  })
}
