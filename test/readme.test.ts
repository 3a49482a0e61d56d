/**
 * The tables of README.md are what the code says. After a change of keys, panels, commands, knobs, workloads or folders,
 * `UPDATE=1 npx vitest run --config test/vitest.config.ts test/readme.test.ts` writes them anew.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addCommands } from '../src/cli/commands.ts'
import { KNOBS } from '../src/kernel/tunables.ts'
import { keyTable, VIEW_KEYS } from '../src/tui/keymap.ts'
import { VIEWS } from '../src/view/views.ts'
import { MAY_IMPORT } from './architecture.ts'

const README = new URL('../README.md', import.meta.url)
const WORKLOADS = new URL('../workloads/', import.meta.url)

const cell = (text: string) => text.replaceAll('|', '\\|')
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(row => `| ${row.map(cell).join(' | ')} |`).join('\n')

function commandTable(): string {
  const program = new Command('mmtop')
  addCommands(program, () => undefined)
  return table(
    ['command', 'what it does'],
    program.commands.map(command => [
      `\`${['mmtop', command.name(), command.usage().replace(/^\[options\] ?/, '')].filter(word => word !== '').join(' ')}\``,
      command.description(),
    ]),
  )
}

/** The first sentence of the comment a workload begins with. */
function opening(file: string): string {
  const comment = /^(?:#.*\n)+/.exec(readFileSync(new URL(file, WORKLOADS), 'utf8'))?.[0] ?? ''
  return /^.*?[.:](?=\s|$)/.exec(comment.replace(/^# ?/gm, '').replace(/\s+/g, ' '))?.[0].replace(/:$/, '.') ?? ''
}

const TABLES: Readonly<Record<string, () => string>> = {
  commands: commandTable,
  panels: () =>
    table(
      ['key', 'panel', 'what it answers'],
      VIEWS.map(({ name, answers }) => [`\`${VIEW_KEYS[name]}\``, name, answers]),
    ),
  keys: keyTable,
  workloads: () =>
    table(
      ['workload', 'what it shows'],
      readdirSync(WORKLOADS)
        .filter(file => file.endsWith('.workload'))
        .sort()
        .map(file => [`\`workloads/${file}\``, opening(file)]),
    ),
  folders: () =>
    table(
      ['folder', 'may import'],
      Object.entries(MAY_IMPORT).map(([folder, others]) => [`\`src/${folder}\``, others.join(', ') || 'nothing']),
    ),
  knobs: () =>
    table(
      ['path', 'default', 'what changing it does'],
      KNOBS.map(({ path, default: standard, meaning }) => [`\`${path}\``, standard ?? '', meaning]),
    ),
}

const block = (text: string, name: string) => {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`]
  const at = text.indexOf(begin)
  const to = text.indexOf(end)
  return at < 0 || to < at ? undefined : { start: at + begin.length, end: to }
}

describe('README.md', () => {
  it.each(Object.keys(TABLES))('has the table of %s as the code has it', name => {
    const text = readFileSync(README, 'utf8')
    const place = block(text, name)
    if (place === undefined) throw new Error(`README.md has no place for the table of ${name}`)
    const made = TABLES[name]()
    if (process.env.UPDATE !== undefined) writeFileSync(README, text.slice(0, place.start) + made + text.slice(place.end))
    else expect(text.slice(place.start, place.end)).toBe(made)
  })
})
