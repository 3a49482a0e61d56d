/** `mmtop cat`: one file of the machine, as its kernel prints it. */
import type { Frame, Source } from '../sample/source.ts'
import { cleanText } from '../sample/text.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { EXIT, print } from './exit.ts'
import { walk } from './watch.ts'

/**
 * Exactly the file's text, so that it can be piped into anything; only to a terminal it goes without control characters.
 * @throws UserError where the machine has no such file
 */
export async function cat(source: Source, path: string, atNs: number | undefined): Promise<number> {
  try {
    let frame: Frame | undefined
    for await (const model of walk(source, { atNs, everyNs: undefined, count: 1 }, () => [path])) frame = model.sample.frame
    const text = frame?.files.get(path)
    if (frame === undefined || text === undefined) throw noFile(path, frame)
    await print(process.stdout.isTTY ? cleanText(text) : text)
  } finally {
    await source.close()
  }
  return EXIT.asked
}

function noFile(path: string, frame: Frame | undefined): UserError {
  const near = frame === undefined ? undefined : nearestWord(path, frame.files.keys())
  return new UserError(`this machine has no file "${path}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
}
