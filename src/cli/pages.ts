/** `mmtop pages`: what the kernel's page-types tool would tell on the machine, and how much of a process is its own. */
import type { Model } from '../sample/model.ts'
import { flagsForPath, PAGE_FLAGS, parsePageTypes } from '../sample/parse/pages.ts'
import type { Source } from '../sample/source.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { pageTypesLines } from '../view/page_tools.ts'
import { EXIT, print } from './exit.ts'
import { walk } from './watch.ts'

export interface PagesOptions {
  readonly atNs: number | undefined
  /** A process by number or name; undefined: all of memory. */
  readonly who: string | undefined
  /** Flags that pages must have, "!" before those that they must not have. */
  readonly flags: readonly string[]
}

/** Prints the counts; the exit status. @throws UserError for an unknown flag or process, or a source that shows no pages */
export async function pages(source: Source, options: PagesOptions): Promise<number> {
  try {
    const flags = flagsForPath(options.flags)
    if (flags.startsWith('?')) throw unknownFlag(flags.slice(1))
    let last: Model | undefined
    const path = (model: Model) => `/mmtop/pages/types/${options.who === undefined ? 'all' : pidOf(model, options.who)}/${flags}`
    for await (const model of walk(source, { atNs: options.atNs, everyNs: undefined, count: 1 }, each => [path(each)])) last = model
    const text = last?.sample.frame.files.get(path(last))
    if (source.kind !== 'simulation') throw new UserError('pages are shown of simulated machines only: this source keeps none')
    if (text === undefined) throw new UserError(`no process "${options.who}" at this moment`)
    await print(
      pageTypesLines(parsePageTypes(text))
        .map(line => `${line}\n`)
        .join(''),
    )
  } finally {
    await source.close()
  }
  return EXIT.asked
}

function unknownFlag(word: string): UserError {
  const near = nearestWord(
    word.replace(/^[!~]/, ''),
    PAGE_FLAGS.map(([, name]) => name).filter(name => name !== ''),
  )
  return new UserError(`--flag: no page flag "${word}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
}

/** The process' number, -1 while there is none of that name. */
function pidOf(model: Model, who: string): number {
  if (/^\d+$/.test(who)) return Number(who)
  const nameOf = (task: ReturnType<Model['sample']['tasks']>[number]) => task.named?.name ?? task.stat?.name ?? ''
  return model.sample.tasks().find(task => nameOf(task) === who)?.pid ?? -1
}
