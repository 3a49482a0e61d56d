/**
 * How close the simulator is to the real kernel: runs the oracle's scenarios in it and lays the recordings beside the real
 * ones, by the rules of test/oracle/compare.mjs.
 *
 *     npm run fidelity                       all scenarios: a row each, a row a topic, the total
 *     npm run fidelity -- traces [DIR]       traces of real programs, replayed (fidelity_traces.ts)
 *     npm run fidelity thp fork-cow my.scn   topics, scenarios, files; of those named singly, each check that fails
 *       -- --json     rows, topics and total as JSON       --all         checks that hold too
 *          --keep DIR the simulator's recordings           --limit SECS  for one scenario (120)
 *          --verify   recount the machine after every op
 *
 * The real recording of a scenario is test/oracle/recordings/NAME.ndjson[.gz], or lies beside the scenario's file. Each
 * scenario runs in a process of its own, two at a time; one that breaks or takes too long is compared as far as it came.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { recordRaw } from '../sim/raw.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { parseWorkload } from '../workload/parse.ts'
import { replayTraces, tellTraces } from './fidelity_traces.ts'

const ORACLE = 'test/oracle'
const AT_A_TIME = 2
const LIMIT_S = 120

/** One comparison: what the real runs said and what the simulator says. */
interface Check {
  readonly where: string
  readonly name: string
  readonly real: unknown
  readonly real2?: unknown
  readonly sim: unknown
  readonly ok: boolean
}

interface Score {
  readonly checks: number
  readonly held: number
}

interface Scenario {
  readonly name: string
  readonly file: string
  readonly real: string
  /** Named singly: its failing checks are shown. */
  readonly named: boolean
}

interface Row extends Score {
  readonly name: string
  readonly named: boolean
  readonly list: readonly Check[]
  /** Why it did not come to its end. */
  readonly broke: string | undefined
  readonly ms: number
}

interface Options {
  readonly words: readonly string[]
  readonly json: boolean
  readonly all: boolean
  readonly keep: string | undefined
  readonly limitS: number
  readonly verify: boolean
}

function optionsOf(argv: readonly string[]): Options {
  const words: string[] = []
  const valued = new Map<string, string>()
  const flags = new Set<string>()
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]
    if (word === '--keep' || word === '--limit') {
      const value = argv[++i]
      if (value === undefined) throw new UserError(`${word} needs a value`)
      valued.set(word, value)
    } else if (['--json', '--all', '--verify'].includes(word)) flags.add(word)
    else if (word.startsWith('-')) throw new UserError(`unknown option ${word}: --json, --all, --verify, --keep DIR or --limit SECONDS`)
    else words.push(word)
  }
  return {
    words,
    json: flags.has('--json'),
    all: flags.has('--all'),
    keep: valued.get('--keep'),
    limitS: Number(valued.get('--limit') ?? LIMIT_S),
    verify: flags.has('--verify'),
  }
}

// ------------------------------------------------------------------------------------------- which

const topicOf = (name: string) => name.split('-')[0]

function scenariosOf(words: readonly string[]): Scenario[] {
  const names = readdirSync(join(ORACLE, 'scenarios'))
    .filter(file => file.endsWith('.scn'))
    .map(file => basename(file, '.scn'))
    .sort()
  if (words.length === 0) return names.map(name => scenario(name, join(ORACLE, 'scenarios', `${name}.scn`), false))
  return words.flatMap(word => {
    if (names.includes(word)) return [scenario(word, join(ORACLE, 'scenarios', `${word}.scn`), true)]
    if (word.endsWith('.scn')) return [scenario(basename(word, '.scn'), word, true)]
    const topic = names.filter(name => topicOf(name) === word)
    if (topic.length === 0) throw unknownWord(word, names)
    return topic.map(name => scenario(name, join(ORACLE, 'scenarios', `${name}.scn`), false))
  })
}

function unknownWord(word: string, names: readonly string[]): UserError {
  const near = nearestWord(word, [...new Set(names.map(topicOf)), ...names])
  return new UserError(`"${word}" is no topic, scenario or .scn file${near === undefined ? '' : `, did you mean "${near}"?`}`)
}

function scenario(name: string, file: string, named: boolean): Scenario {
  if (!existsSync(file)) throw new UserError('there is no such file', { file })
  const places = [join(ORACLE, 'recordings', name), join(dirname(file), name)].flatMap(base => [`${base}.ndjson.gz`, `${base}.ndjson`])
  const real = places.find(existsSync)
  if (real === undefined) throw new UserError(`no recording of the real kernel for it: ${places[0]}, or ${name}.ndjson beside it`, { file })
  return { name, file, real, named }
}

// ------------------------------------------------------------------------------------------- running

/** In a process of its own: one scenario's recording, a line at a time. */
function recordOne(file: string, out: string, verify: boolean): void {
  const fd = openSync(out, 'w')
  try {
    recordRaw(parseWorkload(readFileSync(file, 'utf8'), file), { verify }, line => writeSync(fd, line))
  } finally {
    closeSync(fd)
  }
}

/** Runs a scenario. @returns why it did not come to its end, undefined when it did */
function runChild(file: string, out: string, { limitS, verify }: Options): Promise<string | undefined> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--record', file, out, ...(verify ? ['--verify'] : [])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  return new Promise(done => {
    const timer = setTimeout(() => {
      complaint = `took more than ${limitS} s`
      child.kill('SIGKILL')
    }, limitS * 1000)
    child.on('error', error => done(error.message))
    child.on('close', code => {
      clearTimeout(timer)
      done(code === 0 ? undefined : complaint.trim() || `ended with ${code}`)
    })
  })
}

/** Runs `work` on each item, a few at a time; the results in the items' order. */
async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const lane = async () => {
    while (next < items.length) {
      const i = next++
      results[i] = await work(items[i])
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return results
}

interface Comparator {
  readonly compare: (real: string, sim: string) => readonly Check[]
}

async function rowOf({ name, file, real, named }: Scenario, dir: string, options: Options, { compare }: Comparator): Promise<Row> {
  const out = join(dir, `${name}.ndjson`)
  const startMs = performance.now()
  const broke = await runChild(file, out, options)
  const ms = performance.now() - startMs
  const list = compare(real, out)
  return { name, named, list, broke, ms, checks: list.length, held: list.filter(check => check.ok).length }
}

// ------------------------------------------------------------------------------------------- telling

const percent = ({ checks, held }: Score) => `${(checks === 0 ? 0 : (100 * held) / checks).toFixed(1)}%`
const sum = (scores: readonly Score[]): Score => ({
  checks: scores.reduce((n, { checks }) => n + checks, 0),
  held: scores.reduce((n, { held }) => n + held, 0),
})

function short(value: unknown): string {
  const text = String(value).replace(/\n/g, '\\n')
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function checkLine({ ok, where, name, real, real2, sim }: Check): string {
  const other = real2 === undefined || real2 === real ? '' : ` or ${short(real2)}`
  return `${ok ? 'ok  ' : 'FAIL'} ${where.slice(0, 60).padEnd(60)} ${name.padEnd(44)} real ${short(real)}${other}  sim ${short(sim)}`
}

function topicsOf(rows: readonly Row[]): Map<string, Score> {
  const names = [...new Set(rows.map(({ name }) => topicOf(name)))]
  return new Map(names.map(topic => [topic, sum(rows.filter(({ name }) => topicOf(name) === topic))]))
}

function tell(rows: readonly Row[], all: boolean): void {
  const say = (text: string) => process.stdout.write(`${text}\n`)
  for (const { named, list } of rows) for (const check of list) if (all || (named && !check.ok)) say(checkLine(check))
  for (const row of rows) {
    const broke =
      row.broke === undefined ? '' : `  broke: ${short(row.broke.split('\n').find(line => /Error|took/.test(line)) ?? row.broke)}`
    say(
      `${row.name.padEnd(36)} ${percent(row).padStart(7)}  ${`${row.held}/${row.checks}`.padEnd(11)} ${(row.ms / 1000).toFixed(1).padStart(5)} s${broke}`,
    )
    if (row.named && row.broke !== undefined) say(row.broke)
  }
  for (const [topic, score] of topicsOf(rows)) say(`topic ${topic.padEnd(30)} ${percent(score).padStart(7)}  ${score.held}/${score.checks}`)
  const layouts = rows.flatMap(({ list }) => list.filter(({ name }) => name.startsWith('layout:')))
  const layout = { checks: layouts.length, held: layouts.filter(({ ok }) => ok).length }
  say(`layouts ${''.padEnd(28)} ${percent(layout).padStart(7)}  ${layout.held}/${layout.checks}`)
  const total = sum(rows)
  say(`total: ${percent(total)} of ${total.checks} checks hold; ${rows.filter(whole).length} of ${rows.length} scenarios hold whole`)
}

const whole = ({ held, checks, broke }: Row) => held === checks && broke === undefined

function asJson(rows: readonly Row[]): string {
  const plain = rows.map(({ name, checks, held, broke }) => ({
    name,
    checks,
    held,
    ...(broke === undefined ? {} : { broke: broke.split('\n')[0] }),
  }))
  return JSON.stringify({ rows: plain, topics: Object.fromEntries(topicsOf(rows)), total: sum(rows), whole: rows.filter(whole).length })
}

function traces(argv: readonly string[]): number {
  const rows = replayTraces(argv.find(word => !word.startsWith('--')))
  process.stdout.write(argv.includes('--json') ? `${JSON.stringify({ rows })}\n` : `${tellTraces(rows)}\n`)
  return 0
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === '--record') {
    recordOne(argv[1], argv[2], argv[3] === '--verify')
    return 0
  }
  if (argv[0] === 'traces') return traces(argv.slice(1))
  if (!existsSync(ORACLE)) throw new UserError(`there is no ${ORACLE} here: run this at the root of the repository`)
  const options = optionsOf(argv)
  const scenarios = scenariosOf(options.words)
  const comparator: Comparator = await import(pathToFileURL(resolve(ORACLE, 'compare.mjs')).href)
  const dir = options.keep ?? mkdtempSync(join(tmpdir(), 'mmtop-fidelity-'))
  mkdirSync(dir, { recursive: true })
  try {
    const rows = await inParallel(scenarios, each => rowOf(each, dir, options, comparator))
    if (options.json) process.stdout.write(`${asJson(rows)}\n`)
    else tell(rows, options.all)
  } finally {
    if (options.keep === undefined) rmSync(dir, { recursive: true, force: true })
  }
  return 0
}

main(process.argv.slice(2)).then(
  status => {
    process.exitCode = status
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof UserError ? error.oneLine : error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = error instanceof UserError ? 2 : 1
  },
)
