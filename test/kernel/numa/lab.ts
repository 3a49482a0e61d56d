/** Short programs on small machines of several nodes, and what their lines said. */
import { recordRaw } from '../../../src/sim/raw.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

interface Line {
  readonly op?: string
  readonly ret?: number
  readonly err?: string
  readonly text?: string
  readonly mode?: string
  readonly nodes?: unknown
  readonly status?: unknown
  readonly node?: number
  readonly [field: string]: unknown
}

/** What the lines of a program said, in order. */
export interface Told {
  /** The n-th line (from 0) that says this, or the last one. */
  readonly line: (op: string, n?: number) => Line
  /** Pages on each node, as the n-th pagemap of a process' region tells. */
  readonly nodes: (what: string, n?: number) => Readonly<Record<string, number>>
  /** The number of a node's or the machine's counter at a sample. */
  readonly counter: (file: string, key: string, sample: string) => number
}

const isLine = (value: unknown): value is Line => typeof value === 'object' && value !== null

function parsed(text: string): Line {
  const value: unknown = JSON.parse(text)
  if (!isLine(value)) throw new Error(`no record: ${text}`)
  return value
}

/** Runs a program to its end. Lines may begin with blanks, and a first line without `machine` gets a machine of two nodes. */
export function told(program: string): Told {
  const text = program.replace(/^ +/gm, '').trim()
  const whole = text.startsWith('machine') ? text : `machine nodes=2 mem=96M,96M cpus=1,1\ncmdline transparent_hugepage=never\n${text}`
  const lines: Line[] = []
  recordRaw(parseWorkload(`${whole}\n`, 'program'), {}, line => lines.push(parsed(line)))
  const line = (op: string, n = -1): Line => {
    const found = lines.filter(each => each.op === op).at(n)
    if (found === undefined) throw new Error(`no line "${op}" was executed`)
    return found
  }
  return {
    line,
    nodes: (what, n) => {
      const { nodes } = line(what.replace(' ', ' pagemap '), n)
      return isLine(nodes) ? Object.fromEntries(Object.entries(nodes).map(([node, pages]) => [node, Number(pages)])) : {}
    },
    counter: (file, key, sample) => counterIn(line(`sample ${sample}`), file, key),
  }
}

function counterIn({ files }: Line, file: string, key: string): number {
  const text = isLine(files) ? files[file] : undefined
  const value = typeof text === 'string' ? new RegExp(`^(?:Node \\d+ )?${key}:?\\s+(\\d+)`, 'm').exec(text)?.[1] : undefined
  if (value === undefined) throw new Error(`no ${key} in ${file}`)
  return Number(value)
}
