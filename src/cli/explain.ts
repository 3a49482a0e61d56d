/** `mmtop explain`: what a figure means and where it comes from. */
import { nearestWord, UserError } from '../user_error.ts'
import { explain, explainable } from '../view/explain.ts'
import { EXIT, print } from './exit.ts'

/** @throws UserError where there is no such figure */
export async function explainName(name: string): Promise<number> {
  const found = explain(name)
  if (found === undefined) {
    const near = nearestWord(name, explainable())
    throw new UserError(`no figure "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
  }
  const { meaning, unit, source, kernel } = found
  await print(`${name}: ${meaning}\n  unit    ${unit}\n  source  ${source}\n${kernel === '' ? '' : `  kernel  ${kernel}\n`}`)
  return EXIT.asked
}
