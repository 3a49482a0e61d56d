/** `mmtop explain`: what a figure means and where it comes from. */
import { nearestWord, UserError } from '../user_error.ts'
import { explain, explainable, lookUp } from '../view/explain.ts'
import { EXIT, print } from './exit.ts'

/**
 * @param search every figure whose name or meaning has the text, instead of the one of that name
 * @throws UserError where there is no such figure
 */
export async function explainName(name: string, search: boolean): Promise<number> {
  if (search) return searchFor(name)
  const found = explain(name)
  if (found === undefined) {
    const near = nearestWord(name, explainable())
    throw new UserError(`no figure "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
  }
  const { meaning, unit, source, kernel } = found
  await print(`${name}: ${meaning}\n  unit    ${unit}\n  source  ${source}\n${kernel === '' ? '' : `  kernel  ${kernel}\n`}`)
  return EXIT.asked
}

async function searchFor(text: string): Promise<number> {
  const found = lookUp(text)
  if (found.length === 0) throw new UserError(`nothing is said of "${text}"`)
  const width = Math.max(...found.map(({ name }) => name.length))
  await print(found.map(({ name, meaning }) => `${name.padEnd(width)}  ${meaning}\n`).join(''))
  return EXIT.asked
}
