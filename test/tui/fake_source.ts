/** A machine for the tests of tui/: frames are handed out by the test, knobs can be turned, everything is noted down. */
import type { Answer, Frame, Pace, Source, Step, Tunable } from '../../src/sample/source.ts'

export interface FakeSource extends Source {
  /** Hands out a frame; the test waits until it is taken. */
  give(frame: Frame): Promise<void>
  /** No frame will follow. */
  end(): void
  /** What was asked of it: "write /proc/... 10", "pause true", "run A exit" ... */
  readonly asked: string[]
  /** The knobs' texts. */
  readonly knobs: Map<string, string>
}

export const SWAPPINESS = '/proc/sys/vm/swappiness'
export const ENABLED = '/sys/kernel/mm/transparent_hugepage/enabled'

export const KNOBS: readonly Tunable[] = [
  {
    path: SWAPPINESS,
    type: 'integer',
    min: 0,
    max: 200,
    default: '60',
    meaning: 'How willing reclaim is to swap anonymous pages',
    source: 'mm/vmscan.c get_scan_count',
  },
  {
    path: ENABLED,
    type: 'choice',
    choices: ['always', 'madvise', 'never'],
    default: 'madvise',
    meaning: 'Which mappings get huge pages at a fault',
    source: 'mm/huge_memory.c hugepage_vma_check',
  },
]

/** @param base files of every frame beside those given */
export function fakeSource(base: ReadonlyMap<string, string> = new Map()): FakeSource {
  const asked: string[] = []
  const knobs = new Map([
    [SWAPPINESS, '60\n'],
    [ENABLED, 'always [madvise] never\n'],
  ])
  const frames: Frame[] = []
  let [paused, speed, ended] = [false, 1, false]
  let waiting: ((frame: Frame | undefined) => void) | undefined
  const settle = () => {
    if (waiting === undefined || (frames.length === 0 && !ended)) return
    const resolve = waiting
    waiting = undefined
    resolve(frames.shift())
  }
  const pace = (): Pace => ({ paused, speed, ratio: paused ? 0 : speed, ended })
  return {
    kind: 'simulation',
    title: 'fake.workload',
    tunables: KNOBS,
    asked,
    knobs,
    give: async ({ ns, files }) => {
      frames.push({ ns, files: new Map([...base, ...files, ...knobs]) })
      settle()
      await settled()
    },
    end: () => {
      ended = true
      settle()
    },
    watch: paths => asked.push(`watch ${paths.length}`),
    next: () =>
      new Promise(resolve => {
        waiting = resolve
        settle()
      }),
    read: async path => knobs.get(path) ?? base.get(path),
    pace,
    transport: {
      pause: on => {
        paused = on
        asked.push(`pause ${on}`)
      },
      speed: wanted => {
        speed = wanted
        asked.push(`speed ${wanted}`)
      },
      step: (by: Step) => asked.push(`step ${by}`),
    },
    write: async (path, text): Promise<Answer> => {
      asked.push(`write ${path} ${text}`)
      // A machine may refuse what its knob's description allows.
      if (path === SWAPPINESS && text === '199') return { errno: 'EINVAL', text: '' }
      knobs.set(path, path === ENABLED ? 'always madvise never\n'.replace(text, `[${text}]`) : `${text}\n`)
      return { errno: '', text: '' }
    },
    run: async line => {
      asked.push(`run ${line}`)
      return line.startsWith('A') ? { errno: '', text: '2 ms' } : { errno: 'ENOSYS', text: 'not built yet' }
    },
    complete: async line => ['madvise', 'map', 'mlock'].filter(word => word.startsWith(line.split(' ').at(-1) ?? '')),
    close: async () => undefined,
  }
}

/** Lets promises, timers of no length and React catch up. */
export const settled = (ms = 5): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
