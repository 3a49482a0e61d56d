/**
 * `mmtop mount-tree DIR`: the source's /proc and /sys as files below DIR, kept up to date, so that programs made for a real
 * machine can look at a simulated one or a recording.
 *
 *     DIR/proc/vmstat ...          written over in place each sample: a bind mount of one file goes on showing it
 *     DIR/proc/sys/vm/swappiness   what someone writes there is given to the machine; the file then says what became of it
 *
 * --run COMMAND runs a command to which these files are its /proc and /sys, in a mount namespace of its own: real free,
 * vmstat and numastat read the machine, and nobody else sees anything of it.
 */
import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { summaryPaths } from '../sample/files.ts'
import { toSample } from '../sample/sample.ts'
import type { Frame, Source, Tunable } from '../sample/source.ts'
import { UserError } from '../user_error.ts'
import { complain } from './exit.ts'
import { makeDirectory, writing } from './files.ts'

/** Marks a directory as one of ours, which may be written over. */
const OURS = '.mmtop-tree'
/** How soon what someone wrote into a knob reaches the machine. */
const KNOBS_EVERY_MS = 100
const WATCHED = 50
/** Files that programs look for beside those of a frame. */
const MORE = [
  ...['stat', 'uptime', 'loadavg', 'version', 'filesystems'].map(name => `/proc/${name}`),
  ...['online', 'possible', 'has_memory', 'has_normal_memory', 'has_cpu'].map(name => `/sys/devices/system/node/${name}`),
  ...['online', 'possible', 'present'].map(name => `/sys/devices/system/cpu/${name}`),
]
const PATH = /^\/(proc|sys)(\/[\w.@:+-]+)+$/

interface Tree {
  readonly source: Source
  readonly root: string
  /** path -> text as it was written by us. */
  readonly written: Map<string, string>
  /** Of each knob's file, when we wrote it. */
  readonly times: Map<string, number>
  readonly knobs: ReadonlyMap<string, Tunable>
}

export interface Mounted {
  /** The next frame's files are there; false when there is none. */
  step(): Promise<boolean>
  /** Gives what was written into knobs to the machine. */
  takeWrites(): Promise<void>
}

/** @throws UserError where the directory holds something else */
export function openTree(source: Source, directory: string): Mounted {
  const root = resolve(directory)
  writing(root, () => claim(root))
  const knobs = new Map(source.tunables.map(tunable => [tunable.path, tunable]))
  const tree: Tree = { source, root, written: new Map(), times: new Map(), knobs }
  return {
    step: async () => {
      const frame = await source.next()
      if (frame === undefined) return false
      await takeWrites(tree)
      await update(tree, frame)
      return true
    },
    takeWrites: () => takeWrites(tree),
  }
}

function claim(root: string): void {
  if (existsSync(root)) {
    const names = readdirSync(root)
    if (names.length > 0 && !names.includes(OURS))
      throw new UserError('there is something in this directory already: name an empty one', { file: root })
    for (const name of ['proc', 'sys']) rmSync(join(root, name), { recursive: true, force: true })
  }
  makeDirectory(root)
  writeFileSync(join(root, OURS), 'mmtop writes over what is here\n')
}

async function update(tree: Tree, frame: Frame): Promise<void> {
  const { source, written } = tree
  const files = new Map([...frame.files].filter(([path]) => PATH.test(path) && !path.includes('/..')))
  for (const node of toSample(frame).nodes()) await more(source, files, `/sys/devices/system/node/node${node.node}/cpumap`)
  for (const path of MORE) await more(source, files, path)
  writing(tree.root, () => {
    for (const [path, text] of files) put(tree, path, text)
    for (const path of written.keys()) if (!files.has(path)) remove(tree, path)
  })
  const pids = toSample(frame).tasks()
  source.watch(summaryPaths(pids.slice(0, WATCHED).map(task => task.pid)))
}

async function more(source: Source, files: Map<string, string>, path: string): Promise<void> {
  if (files.has(path)) return
  const text = await source.read(path)
  if (text !== undefined) files.set(path, text)
}

/** Writes over the old text before it cuts what is left of it, so that no reader ever finds an empty file. */
function put({ root, written, times, knobs }: Tree, path: string, text: string): void {
  if (written.get(path) === text) return
  const file = root + path
  if (!written.has(path)) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  } else {
    const fd = openSync(file, 'r+')
    try {
      const length = writeSync(fd, text, 0)
      ftruncateSync(fd, length)
    } finally {
      closeSync(fd)
    }
  }
  written.set(path, text)
  if (knobs.has(path)) times.set(path, statSync(file).mtimeMs)
}

function remove({ root, written, times }: Tree, path: string): void {
  rmSync(root + path, { force: true })
  written.delete(path)
  times.delete(path)
  const process = /^\/proc\/\d+(?=\/)/.exec(path)?.[0]
  if (process !== undefined && ![...written.keys()].some(each => each.startsWith(`${process}/`)))
    rmSync(root + process, { recursive: true, force: true })
}

/** Knobs whose files someone else wrote. */
async function takeWrites(tree: Tree): Promise<void> {
  const { root, written, times, source } = tree
  for (const [path, time] of times) {
    const file = root + path
    const now = statSync(file, { throwIfNoEntry: false })?.mtimeMs
    if (now === undefined || now === time) continue
    const text = readFileSync(file, 'utf8')
    times.set(path, now)
    if (text === written.get(path) || text.trim() === '') continue
    const answer = (await source.write?.(path, text.trimEnd())) ?? { errno: 'EROFS', text: '' }
    if (answer.errno !== '') complain(`${path}: ${answer.errno}`)
    const became = (await source.read(path)) ?? written.get(path) ?? ''
    written.set(path, text)
    put(tree, path, became)
  }
}

/** What stands in for a real file or directory while a command runs. */
const OVER = [
  ...['meminfo', 'vmstat', 'zoneinfo', 'buddyinfo', 'pagetypeinfo', 'slabinfo', 'swaps', 'stat', 'pressure/memory'].map(
    name => `/proc/${name}`,
  ),
  '/sys/devices/system/node',
  '/sys/kernel/mm',
]

/** A shell line that mounts what there is over the real files and becomes the command. */
export function bindLine(root: string, command: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const binds = OVER.filter(path => existsSync(root + path) && existsSync(path)).map(
    path => `mount --bind ${quoted(root + path)} ${quoted(path)}`,
  )
  return [...binds, `exec sh -c ${quoted(command)}`].join(' && ')
}

/**
 * Keeps the tree until it is interrupted, or the command has run; what has ended stays as it was.
 * @returns the exit status: the command's, where there is one
 */
export async function mountTree(source: Source, directory: string, command: string | undefined): Promise<number> {
  const tree = openTree(source, directory)
  if (!(await tree.step())) throw new UserError('the source gave no sample')
  let over = false
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const keeping = (async () => {
    while (!over && (await tree.step())) if (stop.signal.aborted) break
  })()
  keeping.catch(() => stop.abort())
  const timer = setInterval(() => tree.takeWrites().catch(() => undefined), KNOBS_EVERY_MS)
  const status = command === undefined ? await untilStopped(stop.signal) : await runOver(resolve(directory), command)
  over = true
  clearInterval(timer)
  await source.close()
  await keeping
  return status
}

function untilStopped(signal: AbortSignal): Promise<number> {
  return new Promise(done => signal.addEventListener('abort', () => done(130)))
}

function runOver(root: string, command: string): Promise<number> {
  const how = process.geteuid?.() === 0 ? ['--mount'] : ['--map-root-user', '--mount']
  const child = spawn('unshare', [...how, 'sh', '-c', bindLine(root, command)], { stdio: 'inherit' })
  return new Promise((done, fail) => {
    child.once('error', error => fail(new UserError(`unshare: ${error.message}`)))
    child.once('exit', (code, signal) => done(signal === null ? (code ?? 1) : 1))
  })
}
