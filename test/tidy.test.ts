/**
 * The architecture, as two literals, and the habits that keep it readable: this test is what makes them true.
 * MAY_IMPORT (architecture.ts) says which folder may import which; ROOMS lists the kernel's rooms from the ground up: a room may
 * import only rooms above it in the list.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MAY_IMPORT } from './architecture.ts'

/** What everyone but the kernel may import: the error that becomes one line on stderr. */
const COMMON = 'user_error.ts'

/** Folders that are pure: no Node, no clock, no randomness, no package. */
const PURE = ['kernel', 'procfs', 'workload', 'sample', 'view']
/** Packages a folder may import beside Node's own modules. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  tui: ['ink', 'react', 'blessed-contrib'],
  cli: ['commander', '@lydell/node-pty'],
}

const ROOMS = readFileSync(new URL('rooms.txt', import.meta.url), 'utf8')
  .split('\n')
  .map(line => line.replace(/#.*/, '').trim())
  .filter(line => line !== '')

const FUNCTION_LINES = 70
const FILE_LINES = 500

const root = new URL('..', import.meta.url).pathname
// Declarations of a package's types (NAME.d.ts) are imported by the compiler alone.
const sources = walk(join(root, 'src')).filter(file => /(?<!\.d)\.tsx?$/.test(file))

function walk(dir: string): string[] {
  return readdirSync(dir).flatMap(name => {
    const path = join(dir, name)
    return statSync(path).isDirectory() ? walk(path) : [path]
  })
}

interface Import {
  readonly from: string
  readonly line: number
}

function importsOf(file: string): Import[] {
  const found: Import[] = []
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((text, i) => {
      const match = /^(?:import|export)\b.*?\bfrom '([^']+)'|^import '([^']+)'|^} from '([^']+)'|\bimport\('([^']+)'\)/.exec(text)
      const from = match?.[1] ?? match?.[2] ?? match?.[3] ?? match?.[4]
      if (from !== undefined) found.push({ from, line: i + 1 })
    })
  return found
}

const folderOf = (file: string) => relative(join(root, 'src'), file).split('/')[0] ?? ''
const roomOf = (file: string) => relative(join(root, 'src/kernel'), file).replace(/\.ts$/, '')
const target = (file: string, from: string) => normalize(join(dirname(file), from))
const at = (file: string, line: number) => `${relative(root, file)}:${line}`

describe('the architecture', () => {
  it('has folders that import only what MAY_IMPORT lists', () => {
    const wrong = sources.flatMap(file =>
      importsOf(file)
        .filter(({ from }) => from.startsWith('.'))
        .map(({ from, line }) => ({ to: folderOf(target(file, from)), line }))
        .filter(({ to }) => to !== folderOf(file) && to !== COMMON && !(MAY_IMPORT[folderOf(file)] ?? []).includes(to))
        .map(({ to, line }) => `${at(file, line)}: ${folderOf(file)} may not import ${to}`),
    )
    expect(sources.length).toBeGreaterThan(10)
    expect(wrong).toEqual([])
  })

  it('keeps the kernel from importing anything outside itself', () => {
    const kernel = sources.filter(file => folderOf(file) === 'kernel')
    const out = kernel.flatMap(file =>
      importsOf(file)
        .filter(({ from }) => from.startsWith('.') && folderOf(target(file, from)) !== 'kernel')
        .map(({ line }) => at(file, line)),
    )
    expect(out).toEqual([])
  })

  it('has kernel rooms that import only rooms below them', () => {
    const wrong = sources
      .filter(file => folderOf(file) === 'kernel')
      .flatMap(file => {
        const mine = ROOMS.indexOf(roomOf(file))
        if (mine < 0) return [`${relative(root, file)}: not in test/rooms.txt`]
        return importsOf(file)
          .filter(({ from }) => from.startsWith('.'))
          .filter(({ from }) => {
            const other = ROOMS.indexOf(roomOf(target(file, from)))
            return other < 0 || other >= mine
          })
          .map(({ from, line }) => `${at(file, line)}: ${roomOf(file)} may not import ${from}`)
      })
    expect(wrong).toEqual([])
  })

  it('lists no room that does not exist', () => {
    const there = new Set(sources.filter(file => folderOf(file) === 'kernel').map(roomOf))
    expect(ROOMS.filter(room => !there.has(room))).toEqual([])
  })

  it('keeps the pure folders pure', () => {
    const wrong = sources
      .filter(file => PURE.includes(folderOf(file)))
      .flatMap(file => {
        const packages = importsOf(file)
          .filter(({ from }) => !from.startsWith('.'))
          .map(({ from, line }) => `${at(file, line)}: imports ${from}`)
        const impure = linesOf(file)
          .filter(({ text }) => /\b(Math\.random|Date\.now|new Date|performance\.|process\.|setTimeout|console\.)/.test(text))
          .map(({ line, text }) => `${at(file, line)}: ${text.trim()}`)
        return [...packages, ...impure]
      })
    expect(wrong).toEqual([])
  })

  it('uses no package that its folder is not meant to know', () => {
    const wrong = sources.flatMap(file =>
      importsOf(file)
        .filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
        .filter(({ from }) => !(PACKAGES[folderOf(file)] ?? []).some(name => from === name || from.startsWith(name + '/')))
        .map(({ from, line }) => `${at(file, line)}: imports ${from}`),
    )
    expect(wrong).toEqual([])
  })

  it('has no file that nobody imports', () => {
    const entries = ['src/cli/main.ts', 'src/sim/worker.ts', 'src/cli/bench.ts', 'src/cli/fidelity.ts']
    const imported = new Set(sources.flatMap(file => importsOf(file).map(({ from }) => target(file, from))))
    for (const test of walk(join(root, 'test')).filter(file => /\.tsx?$/.test(file)))
      for (const { from } of importsOf(test)) if (!target(test, from).includes('/src/')) imported.add(target(test, from))
    const dead = sources.filter(file => !imported.has(file) && !entries.includes(relative(root, file)))
    expect(dead.map(file => relative(root, file))).toEqual([])
  })
})

function linesOf(file: string): { line: number; text: string }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((text, i) => ({ line: i + 1, text }))
    .filter(({ text }) => !/^\s*(\/\/|\*|\/\*)/.test(text))
}

describe('the habits', () => {
  it(`has files of at most ${FILE_LINES} lines`, () => {
    const long = sources.map(file => ({ file, n: readFileSync(file, 'utf8').split('\n').length })).filter(({ n }) => n > FILE_LINES + 1)
    expect(long.map(({ file, n }) => `${relative(root, file)}: ${n} lines`)).toEqual([])
  })

  it(`has functions of at most ${FUNCTION_LINES} lines`, () => {
    expect(sources.flatMap(longFunctions)).toEqual([])
  })

  it('has no any, no non-null assertion, no enum, no cast outside the brands, no TODO', () => {
    const banned: readonly [RegExp, string][] = [
      [/:\s*any\b|<any>|\bas any\b/, 'any'],
      [/[\w\])]!(?=[.;,)\]\s]|$)(?!=)/, 'non-null !'],
      [/^\s*(export\s+)?(const\s+)?enum\b/, 'enum'],
      [/\bTODO\b|\bFIXME\b/, 'TODO'],
    ]
    const wrong = sources.flatMap(file =>
      linesOf(file).flatMap(({ line, text }) => {
        const code = text.replace(/'(?:[^'\\]|\\.)*'|`[^`]*`|\/(?:[^/\\\n]|\\.)+\/[gimsuy]*/g, "''").replace(/\/\/.*/, '')
        const hits = banned.filter(([re]) => re.test(code)).map(([, what]) => `${at(file, line)}: ${what}`)
        const cast = /\bas (?!const\b)[A-Z_a-z{[]/.test(code) && !/^\s*(import|export)\b|\bimport \* as\b/.test(code)
        return cast && !/kernel\/base\/units\.ts$/.test(file) ? [...hits, `${at(file, line)}: cast`] : hits
      }),
    )
    expect(wrong).toEqual([])
  })
})

/** Functions declared at the start of a line or as methods, measured to the closing brace at the same indent. */
function longFunctions(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((text, i) => {
    const head =
      /^(\s*)(?:export )?(?:default )?(?:async )?function\b|^(\s*)(?:export )?const \w+ = (?:async )?(?:\([^)]*\)|\w+)(?::[^=]+)? => \{$/.exec(
        text,
      )
    if (!head) return []
    const indent = head[1] ?? head[2] ?? ''
    const end = lines.findIndex((line, j) => j > i && (line === indent + '}' || line === indent + '})'))
    return end - i + 1 > FUNCTION_LINES ? [`${at(file, i + 1)}: ${end - i + 1} lines`] : []
  })
}
