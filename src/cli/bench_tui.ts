/**
 * What the screens cost, measured on the built command in a terminal of its own (a pseudo-terminal of 160 x 50 that takes
 * everything at once). It needs @lydell/node-pty, which is there for development only.
 *
 *     first_frame_ms    from the start of the process to the end of the first write that has figures in it
 *     tui_cpu_percent   time on any CPU (all threads, from /proc/PID/stat) against wall time, while every figure changes
 *     host_cpu_percent  the same over the real host, reading included; host_rss_mib: its resident set at the end of that
 *     paused_cpu_percent  the same over the tour, paused
 *     busy_key_ms       from a key to the end of what it paints, while a simulation runs as fast as it can
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRecording } from '../recording/writer.ts'
import type { Frame } from '../sample/source.ts'
import { UserError } from '../user_error.ts'

const WIDTH = 160
const HEIGHT = 50
/** Linux counts CPU time in hundredths of a second. */
const TICK_MS = 10
const WARM_UP_MS = 3000
const PATIENCE_MS = 20_000

/** dist/mmtop.js, beside the bundle this is part of or one directory up when it is a chunk. */
const builtCommand = (): string => {
  const found = ['./mmtop.js', '../mmtop.js', '../../dist/mmtop.js']
    .map(name => fileURLToPath(new URL(name, import.meta.url)))
    .find(existsSync)
  if (found === undefined) throw new UserError('dist/mmtop.js is not built')
  return found
}

interface Screens {
  readonly pid: number
  /** Resolves when what is on the terminal matches. */
  readonly shows: (pattern: RegExp) => Promise<void>
  readonly type: (keys: string) => void
  readonly kill: () => void
}

/** Starts the command in a terminal. */
async function start(words: readonly string[], command: string): Promise<Screens> {
  const pty = await import('@lydell/node-pty').catch(() => {
    throw new UserError('the screens are measured in a pseudo-terminal: this needs @lydell/node-pty (npm install in the repository)')
  })
  const env = { ...process.env, TERM: 'xterm-256color', COLORTERM: 'truecolor', LANG: 'C.UTF-8' }
  const child = pty.spawn(process.execPath, [command, ...words], { cols: WIDTH, rows: HEIGHT, env })
  let seen = ''
  let check = (): void => undefined
  child.onData(data => {
    seen = (seen + data).slice(-100_000)
    check()
  })
  return {
    pid: child.pid,
    shows: pattern =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`nothing like ${pattern} on the screen`)), PATIENCE_MS)
        check = () => {
          if (!pattern.test(seen)) return
          clearTimeout(timer)
          seen = ''
          resolve()
        }
        check()
      }),
    type: keys => child.write(keys),
    kill: () => child.kill('SIGTERM'),
  }
}

/** Starts the command for a measure, and ends it whatever comes of that. */
async function during<T>(words: readonly string[], command: string, measure: (screens: Screens) => Promise<T>): Promise<T> {
  const screens = await start(words, command)
  try {
    return await measure(screens)
  } finally {
    screens.kill()
  }
}

/** The end of a write that has figures: the overview says how much is free. */
const FIGURES = /free[\s\S]*\x1b\[\?2026l/

/** Milliseconds to the first screen with figures of what is shown without any argument, the tour; the median of `runs`. */
export async function firstFrameMs(runs = 9, command = builtCommand()): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const startMs = performance.now()
    await during([], command, async screens => {
      await screens.shows(FIGURES)
      times.push(performance.now() - startMs)
    })
  }
  return times.sort((a, b) => a - b)[Math.floor(runs / 2)]
}

/** Milliseconds from a key to the end of the write that shows what it does, the median of `keys`, while the screens are at work. */
export async function keyToPaintMs(base: Frame, keys = 30, command = builtCommand()): Promise<number> {
  const ways = [
    ['4', /split_page[\s\S]*\x1b\[\?2026l/],
    ['1', /steal[\s\S]*\x1b\[\?2026l/],
  ] as const
  return onChangingFigures(base, 60, 20, file =>
    during(['play', file], command, async screens => {
      await screens.shows(FIGURES)
      return keyMs(screens, ways, keys, 37)
    }),
  )
}

/** Percent of one core that the screens take at `hz` samples a second. */
export async function tuiCpuPercent(base: Frame, hz: number, seconds = 15, command = builtCommand()): Promise<number> {
  return onChangingFigures(base, seconds + 10, hz, file =>
    during(['play', file], command, async screens => {
      await screens.shows(FIGURES)
      await warmUp()
      return cpuPercent(screens.pid, seconds)
    }),
  )
}

/** Percent of one core, and MiB resident, of the screens over this machine with a sample each `intervalSeconds`. */
export async function hostCost(
  intervalSeconds: number,
  seconds = 15,
  command = builtCommand(),
): Promise<{ readonly percent: number; readonly rssMib: number }> {
  return during(['host', '-d', String(intervalSeconds)], command, async screens => {
    await screens.shows(FIGURES)
    await warmUp()
    const percent = await cpuPercent(screens.pid, seconds)
    const rssKib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${screens.pid}/status`, 'utf8'))?.[1])
    return { percent, rssMib: rssKib / 1024 }
  })
}

/** Percent of one core that a paused simulation takes. */
export function pausedCpuPercent(seconds = 10, command = builtCommand()): Promise<number> {
  return during([], command, async screens => {
    await screens.shows(FIGURES)
    screens.type(' ')
    await screens.shows(/paused/)
    await warmUp()
    return cpuPercent(screens.pid, seconds)
  })
}

/** Milliseconds from a key to the end of what it paints while the tour runs as fast as it can, the median of `keys`. */
export function busyKeyMs(keys = 20, command = builtCommand()): Promise<number> {
  const ways = [
    ['?', /Esc closes/],
    ['q', /vmstat[\s\S]*\x1b\[\?2026l/],
  ] as const
  return during(['--speed', 'max'], command, async screens => {
    await screens.shows(FIGURES)
    await warmUp()
    return keyMs(screens, ways, keys, 137)
  })
}

/** The median of the times from a key to what it brings on the screen, the ways taken in turn. */
async function keyMs(
  screens: Screens,
  ways: readonly (readonly [key: string, brings: RegExp])[],
  keys: number,
  pauseMs: number,
): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < keys; i++) {
    const [key, brings] = ways[i % ways.length]
    await new Promise(resolve => setTimeout(resolve, pauseMs + (i % 5) * 10))
    const startMs = performance.now()
    screens.type(key)
    await screens.shows(brings)
    times.push(performance.now() - startMs)
  }
  return times.sort((a, b) => a - b)[Math.floor(keys / 2)]
}

const warmUp = () => new Promise(resolve => setTimeout(resolve, WARM_UP_MS))

async function cpuPercent(pid: number, seconds: number): Promise<number> {
  const [startMs, startTicks] = [performance.now(), cpuTicks(pid)]
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  return (((cpuTicks(pid) - startTicks) * TICK_MS) / (performance.now() - startMs)) * 100
}

/** utime and stime of a process with all its threads. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Runs `measure` on a recording of so many seconds in which every figure changes with every sample. */
async function onChangingFigures<T>(base: Frame, seconds: number, hz: number, measure: (file: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'mmtop-bench-'))
  try {
    const file = join(directory, 'changing.mmtop')
    const recorder = createRecording(file, { kind: 'recording', title: 'changing', tunables: [] })
    for (let i = 0; i < seconds * hz; i++) recorder.append(changed(base, i, (i * 1e9) / hz))
    recorder.close()
    return await measure(file)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The frame with every counter and level a little further on, each at its own pace and never at the same one. */
function changed({ files }: Frame, step: number, ns: number): Frame {
  const further = (digits: string, at: number) => String(Number(digits) + step * (17 + (at % 83)) + ((step * step * (at % 29)) % 1013))
  const moved = [...files].map(([path, text]): [string, string] => {
    const moves = /(vmstat|meminfo|numastat|stat|status|zoneinfo)$/.test(path)
    return [path, moves ? text.replace(/\b\d{1,15}\b(?=(?: kB)?$)/gm, further) : text]
  })
  return { ns, files: new Map(moved) }
}
