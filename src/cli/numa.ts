/** `mmtop numa`: what numastat and numactl would print on the machine. */
import type { Model } from '../sample/model.ts'
import type { Sample, Task } from '../sample/sample.ts'
import type { Source } from '../sample/source.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { hardwareLines, type NumastatOptions, numastatLines, processLines, showLines } from '../view/numa_tools.ts'
import { complain, EXIT, print } from './exit.ts'
import { walk } from './watch.ts'

export interface NumaOptions extends NumastatOptions {
  readonly atNs: number | undefined
  readonly hardware: boolean
  /** Processes by number or part of their name; undefined: none is asked about. */
  readonly processes: string | undefined
  /** The process to show; undefined: none is to be shown. */
  readonly show: string | undefined
}

/** Prints one report; the exit status. @throws UserError where the machine has no nodes, or no such process */
export async function numa(source: Source, options: NumaOptions): Promise<number> {
  const wanted = options.show ?? options.processes
  try {
    let last: Model | undefined
    for await (const model of walk(source, { atNs: options.atNs, everyNs: undefined, count: 1 }, each => filesOf(each.sample, wanted)))
      last = model
    if (last === undefined) return EXIT.asked
    const lines = linesOf(last.sample, options)
    await print(lines.map(line => `${line}\n`).join(''))
  } finally {
    await source.close()
  }
  return EXIT.asked
}

function linesOf(sample: Sample, options: NumaOptions): string[] {
  if (sample.nodes().length === 0) throw new UserError('this machine shows no nodes: it has no /sys/devices/system/node')
  if (options.hardware) return hardwareLines(sample)
  if (options.show !== undefined) return showLines(sample, tasksOf(sample, options.show)[0])
  if (options.processes === undefined) return numastatLines(sample, options)
  const tasks = tasksOf(sample, options.processes)
  for (const { pid } of tasks) if (!sample.frame.files.has(`/proc/${pid}/numa_maps`)) complain(`Can't read /proc/${pid}/numa_maps`)
  return processLines(
    sample,
    tasks.map(({ pid }) => pid),
    options,
  )
}

const nameOf = (task: Task) => task.named?.name ?? task.status?.name ?? task.stat?.name ?? ''

/** Processes of a number, or whose name has the text in it. */
const matching = (sample: Sample, wanted: string): Task[] =>
  sample.tasks().filter(task => (/^\d+$/.test(wanted) ? task.pid === Number(wanted) : nameOf(task).includes(wanted)))

function tasksOf(sample: Sample, wanted: string): Task[] {
  const tasks = matching(sample, wanted)
  if (tasks.length > 0) return tasks
  const near = nearestWord(wanted, sample.tasks().map(nameOf))
  throw new UserError(`no process "${wanted}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
}

const filesOf = (sample: Sample, wanted: string | undefined): string[] =>
  wanted === undefined ? [] : matching(sample, wanted).flatMap(({ pid }) => [`/proc/${pid}/numa_maps`, `/proc/${pid}/status`])
