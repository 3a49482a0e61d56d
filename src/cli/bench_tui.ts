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

/** The end of a write that has figures: the overview says how much is free. */
const FIGURES = /free[\s\S]*\x1b\[\?2026l/

/** Milliseconds to the first screen with figures of what is shown without any argument, the tour; the median of `runs`. */
export async function firstFrameMs(runs = 9, command = builtCommand()): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const startMs = performance.now()
    const screens = await start([], command)
    await screens.shows(FIGURES)
    times.push(performance.now() - startMs)
    screens.kill()
  }
  return times.sort((a, b) => a - b)[Math.floor(runs / 2)]
}

/** Milliseconds from a key to the end of the write that shows what it does, the median of `keys`, while the screens are at work. */
export async function keyToPaintMs(base: Frame, keys = 30, command = builtCommand()): Promise<number> {
  return onChangingFigures(base, 60, 20, async file => {
    const screens = await start(['play', file], command)
    await screens.shows(FIGURES)
    const times: number[] = []
    for (let i = 0; i < keys; i++) {
      await new Promise(resolve => setTimeout(resolve, 37 + (i % 5) * 10))
      const startMs = performance.now()
      screens.type(i % 2 === 0 ? '4' : '1')
      await screens.shows(i % 2 === 0 ? /split_page[\s\S]*\x1b\[\?2026l/ : /steal[\s\S]*\x1b\[\?2026l/)
      times.push(performance.now() - startMs)
    }
    screens.kill()
    return times.sort((a, b) => a - b)[Math.floor(keys / 2)]
  })
}

/** Percent of one core that the screens take at `hz` samples a second. */
export async function tuiCpuPercent(base: Frame, hz: number, seconds = 15, command = builtCommand()): Promise<number> {
  return onChangingFigures(base, seconds + 10, hz, async file => {
    const screens = await start(['play', file], command)
    await screens.shows(FIGURES)
    await new Promise(resolve => setTimeout(resolve, WARM_UP_MS))
    const percent = await cpuPercent(screens.pid, seconds)
    screens.kill()
    return percent
  })
}

/** Percent of one core, and MiB resident, of the screens over this machine with a sample each `intervalSeconds`. */
export async function hostCost(
  intervalSeconds: number,
  seconds = 15,
  command = builtCommand(),
): Promise<{ readonly percent: number; readonly rssMib: number }> {
  const screens = await start(['host', '-d', String(intervalSeconds)], command)
  await screens.shows(FIGURES)
  await new Promise(resolve => setTimeout(resolve, WARM_UP_MS))
  const percent = await cpuPercent(screens.pid, seconds)
  const rssKib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${screens.pid}/status`, 'utf8'))?.[1])
  screens.kill()
  return { percent, rssMib: rssKib / 1024 }
}

/** Percent of one core that a paused simulation takes. */
export async function pausedCpuPercent(seconds = 10, command = builtCommand()): Promise<number> {
  const screens = await start([], command)
  await screens.shows(FIGURES)
  screens.type(' ')
  await screens.shows(/paused/)
  await new Promise(resolve => setTimeout(resolve, WARM_UP_MS))
  const percent = await cpuPercent(screens.pid, seconds)
  screens.kill()
  return percent
}

/** Milliseconds from a key to the end of what it paints while the tour runs as fast as it can, the median of `keys`. */
export async function busyKeyMs(keys = 30, command = builtCommand()): Promise<number> {
  const screens = await start(['--speed', 'max'], command)
  await screens.shows(FIGURES)
  await new Promise(resolve => setTimeout(resolve, WARM_UP_MS))
  const times: number[] = []
  for (let i = 0; i < keys; i++) {
    await new Promise(resolve => setTimeout(resolve, 137 + (i % 5) * 10))
    const startMs = performance.now()
    screens.type(i % 2 === 0 ? '?' : '\x1b')
    await screens.shows(i % 2 === 0 ? /Esc closes/ : /vmstat[\s\S]*\x1b\[\?2026l/)
    times.push(performance.now() - startMs)
  }
  screens.kill()
  return times.sort((a, b) => a - b)[Math.floor(keys / 2)]
}

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
