import { spawnSync } from 'node:child_process'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { addCommands } from '../../src/cli/commands.ts'
import { completion, SHELLS } from '../../src/cli/completion.ts'
import { manPage } from '../../src/cli/man.ts'
import { workloadNamed } from '../../src/cli/workload.ts'
import { type Course, changes, compareTable, newCourse, note } from '../../src/view/compare.ts'
import { explain, lookUp } from '../../src/view/explain.ts'
import { asJson } from '../../src/view/headless/json.ts'
import { headingLine, rowColumns, rowLine } from '../../src/view/headless/rows.ts'
import { snapshotSchema } from '../../src/view/headless/schema.ts'
import { EVERYTHING, select, tableLines } from '../../src/view/headless/select.ts'
import { TABLES } from '../../src/view/tables.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom, modelOf } from '../view/models.ts'

const program = () => {
  const command = new Command('mmtop')
  addCommands(command, () => undefined)
  return command
}

describe('what is taken of a table', () => {
  const table = {
    name: 'processes',
    columns: ['name', 'rss_bytes', 'swap_bytes'],
    rows: [
      ['web', 10, 5],
      ['db', 30, undefined],
      ['log', 20, 1],
    ],
    single: false,
  }
  const take = (selection: Partial<typeof EVERYTHING>) => select(table, { ...EVERYTHING, ...selection })

  it('is its columns by name, its rows by filter, in order, so many', () => {
    expect(take({ fields: ['rss_bytes', 'name'], sort: 'rss_bytes', top: 2 }).rows).toEqual([
      [30, 'db'],
      [20, 'log'],
    ])
    expect(take({ sort: '+swap_bytes' }).rows.map(row => row[0])).toEqual(['log', 'web', 'db'])
    expect(take({ filter: 'rss_bytes > 15 & !log' }).rows).toEqual([['db', 30, undefined]])
    expect(tableLines(take({ fields: ['name', 'swap_bytes'] }))).toEqual([
      'name  swap_bytes',
      'web            5',
      'db             -',
      'log            1',
    ])
  })

  it('says which column was meant', () => {
    expect(() => take({ fields: ['rss_byte'] })).toThrow(/no column "rss_byte", did you mean "rss_bytes"\?/)
    expect(() => take({ sort: 'size' })).toThrow(/no column "size": name rss_bytes swap_bytes/)
    expect(() => take({ filter: 'rrs_bytes > 1' })).toThrow(/--filter: no column "rrs_bytes"/)
  })
})

describe('rows as vmstat prints them', () => {
  const model = modelFrom([
    frameOf(0, { '/proc/vmstat': 'pgfault 100\nnr_free_pages 256\n', '/proc/meminfo': 'MemFree: 1024 kB\n' }),
    frameOf(2e9, { '/proc/vmstat': 'pgfault 300\nnr_free_pages 256\n', '/proc/meminfo': 'MemFree: 1024 kB\n' }),
  ])

  it('have the columns asked for, each as wide as its heading', () => {
    const columns = rowColumns(model, ['pgfault', 'MemFree'])
    expect(headingLine(columns)).toBe('    time pgfault/s MemFree')
    expect(rowLine(columns, model)).toBe('00:00:02       100   1.00M')
    expect(() => rowColumns(model, ['pgfalt'])).toThrow(/did you mean "pgfault"/)
    expect(headingLine(rowColumns(model, []))).toMatch(/^ {4}time +free +anon/)
  })
})

describe('two courses compared', () => {
  const course = (growth: number, free: number, swappiness: string): Course => {
    const made = newCourse()
    const knob = { path: '/proc/sys/vm/swappiness', type: 'integer', meaning: '', source: '' } as const
    const frames = [0, 1, 2].map(i =>
      frameOf(i * 1e9, { '/proc/vmstat': `pgfault ${i * growth}\nnr_free_pages ${free}\npgmajfault 7\n`, [knob.path]: `${swappiness}\n` }),
    )
    for (let i = 1; i <= frames.length; i++) note(made, modelFrom(frames.slice(0, i), { title: 'test', tunables: [knob] }))
    return made
  }

  it('differ in mean rates, mean levels and knobs, what changed most first', () => {
    const [a, b] = [course(100, 1000, '60'), course(400, 900, '10')]
    expect(changes(a, b)).toEqual([
      { key: 'pgfault', before: 100, after: 400, ratio: 4 },
      { key: 'nr_free_pages', before: 1000, after: 900, ratio: 0.9 },
    ])
    expect(compareTable(a, b).rows.map(row => row[0])).toEqual(['/proc/sys/vm/swappiness', 'pgfault_per_second', 'nr_free_pages'])
    expect(changes(a, a)).toEqual([])
  })
})

describe('the schema of snapshots', () => {
  it('holds for real ones', async () => {
    const schema = z.fromJSONSchema(JSON.parse(JSON.stringify(snapshotSchema())))
    for (const name of ['numa-policies', 'zswap-lzo', 'cgroup-memory-max', 'hugetlb-mempolicy']) {
      const model = await modelOf(name, 1)
      const made = Object.values(TABLES).map(table => table(model))
      expect(schema.safeParse(JSON.parse(asJson(made, model))).error?.issues ?? []).toEqual([])
    }
    expect(schema.safeParse({ schemaVersion: 1 }).success).toBe(false)
  })
})

describe('a workload that comes with mmtop', () => {
  it('goes by its name, where no file is called so', () => {
    expect(workloadNamed('ksm-guests')).toMatch(/\/workloads\/ksm-guests\.workload$/)
    for (const other of ['nothing-of-the-kind', 'package.json', './ksm-guests', '../workloads/ksm-guests', 'host', 'test'])
      expect(workloadNamed(other)).toBe(other)
  })
})

describe('completion', () => {
  it.each(SHELLS)('for %s knows every command and option', shell => {
    const text = completion(program(), shell)
    for (const command of program().commands) {
      expect(text).toContain(command.name())
      for (const { long } of command.options) expect(text).toContain((long ?? '').replace(/^--/, ''))
    }
  })

  it('completes in bash', () => {
    const ask = (line: string, ...words: string[]) => {
      const script = `${completion(program(), 'bash')}\nCOMP_WORDS=(${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _mmtop; echo "\${COMPREPLY[@]}" # ${line}`
      return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim().split(' ')
    }
    expect(ask('a command', 'mmtop', 'snap')).toEqual(['snapshot'])
    expect(ask('an option', 'mmtop', 'snapshot', '--fo')).toEqual(['--format'])
    expect(ask('a value', 'mmtop', 'snapshot', '--view', 'cg')).toEqual(['cgroups'])
  })
})

describe('the man page', () => {
  it('has every command, option and key, and no line that roff would take for a request', () => {
    const text = manPage(program(), '1.2.3')
    const plain = text.replaceAll('\\-', '-')
    for (const { name, options } of program().commands.map(command => ({ name: command.name(), options: command.options }))) {
      expect(plain).toContain(`.SS mmtop ${name}`)
      for (const { flags } of options) expect(plain).toContain(`.B ${flags}`)
    }
    for (const line of text.split('\n')) if (/^[.']/.test(line)) expect(line).toMatch(/^\.(TH|SH|SS|TP|B|br)( |$)/)
  })
})

describe('what is explained', () => {
  it('is found by a part of its name or meaning', () => {
    expect(lookUp('thp_split')[0].name).toBe('thp_split_page')
    expect(lookUp('khugepaged').length).toBeGreaterThan(3)
    expect(lookUp('no such thing')).toEqual([])
  })

  it('is every column of every table', async () => {
    for (const name of ['numa-policies', 'zswap-lzo', 'cgroup-memory-max', 'hugetlb-mempolicy']) {
      const model = await modelOf(name, 1)
      const lists = Object.values(TABLES).flatMap(table => (table(model).single ? [] : [table(model)]))
      const columns = lists.flatMap(list => (list.name === 'buddyinfo' ? [] : list.columns))
      expect(columns.filter(column => explain(column, model) === undefined)).toEqual([])
    }
  })
})
