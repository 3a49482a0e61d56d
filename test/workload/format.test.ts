/**
 * format.md is the language as users read it: its tables are the tables in the code, and its example is a workload.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PLACEHOLDER_WORDS } from '../../src/workload/complete.ts'
import { LIMITS } from '../../src/workload/lex.ts'
import { MACHINE_KEYS } from '../../src/workload/machine.ts'
import { CONTROLLER_OPS, FORM_OPS, HEADERS } from '../../src/workload/ops_controller.ts'
import { WORKER_OPS } from '../../src/workload/ops_worker.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const text = readFileSync(new URL('../../src/workload/format.md', import.meta.url), 'utf8')

/** The cells of every table row below a heading, up to the next heading. */
function rowsUnder(heading: string): string[][] {
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map(cell => cell.trim().replaceAll('\\|', '|')),
    )
}

const code = (words: string) => `\`${words.trim()}\``
const table = (rows: Readonly<Record<string, { readonly usage: readonly string[]; readonly help: string }>>) =>
  Object.entries(rows).map(([name, { usage, help }]) => [usage.map(words => code(`${name} ${words}`)).join('<br>'), help])
const firstTwo = (rows: readonly string[][]) => rows.map(row => row.slice(0, 2))

describe('format.md', () => {
  it("lists the controller's ops as the code has them", () => {
    expect(firstTwo(rowsUnder("The controller's ops"))).toEqual(table(CONTROLLER_OPS))
  })

  it("lists the workers' ops as the code has them", () => {
    expect(firstTwo(rowsUnder("The workers' ops")).slice(0, Object.keys(WORKER_OPS).length).sort()).toEqual(table(WORKER_OPS).sort())
  })

  it('lists the words that give a workload its form as the code has them', () => {
    expect(firstTwo(rowsUnder('Side by side, again and again, as expected'))).toEqual(table(FORM_OPS))
  })

  it('lists headers and machine keys as the code has them', () => {
    const rows = rowsUnder('Headers')
    expect(firstTwo(rows.slice(0, Object.keys(HEADERS).length))).toEqual(table(HEADERS))
    expect(rows.slice(Object.keys(HEADERS).length)).toEqual(
      Object.entries(MACHINE_KEYS).map(([key, { usage, help, default: without }]) => [code(key), code(usage), help, without]),
    )
  })

  it('lists the words of every list as the code has them', () => {
    const rows = rowsUnder('Values').filter(([, words]) => /^[A-Za-z0-9_ ]+$/.test(words))
    expect(rows.filter(([name]) => PLACEHOLDER_WORDS[name.slice(1, -1)])).toEqual(
      Object.entries(PLACEHOLDER_WORDS).map(([name, words]) => [code(name), words.join(' ')]),
    )
  })

  it('names the limits that hold', () => {
    const limits = text.split('## Limits\n')[1].replaceAll('\n', ' ')
    const { fileChars, lines, lineChars, nesting, files, cmdlineChars } = LIMITS
    expect(limits).toContain(`${fileChars >> 20} MiB and ${lines} lines of at most ${lineChars} characters`)
    expect(limits).toContain(
      `blocks nest ${nesting} deep; ${files} \`file\` headers; the kernel's command line has ${cmdlineChars} characters`,
    )
    expect(text).toContain(`\`loop N\` counts from 1 to ${LIMITS.loopTimes}`)
    expect(text).toContain(`at most ${LIMITS.nameChars}. A process`)
  })

  it('begins with an example that is a workload', () => {
    const example = text
      .split('\n')
      .filter(line => line.startsWith('    '))
      .map(line => line.slice(4))
    const program = parseWorkload(example.join('\n'), 'format.md')
    expect(program.title).toBe('Two tenants')
    expect(program.statements).toHaveLength(10)
  })
})
