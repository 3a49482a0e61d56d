/** `mmtop cat`: one file of the machine, as its kernel prints it. */
import type { Frame, Source } from '../sample/source.ts'
import { cleanText } from '../sample/text.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { EXIT, print } from './exit.ts'
import { walk } from './watch.ts'

/** Which part of a file of numbers is wanted, in bytes. */
export interface Part {
  readonly skip: number
  readonly bytes: number
}

/** Bytes asked for at a time. */
const CHUNK = 2 ** 20

/**
 * Exactly the file's text, so that it can be piped into anything; only to a terminal it goes without control characters. A file of numbers
 * (pagemap, kpageflags ...) goes into a pipe or file as it is.
 * @throws UserError where the machine has no such file, or a file of numbers would go to a terminal
 */
export async function cat(source: Source, path: string, atNs: number | undefined, part: Part): Promise<number> {
  try {
    let frame: Frame | undefined
    for await (const model of walk(source, { atNs, everyNs: undefined, count: 1 }, () => [path])) frame = model.sample.frame
    const text = frame?.files.get(path)
    if (text !== undefined) await print(process.stdout.isTTY ? cleanText(text) : text)
    else if (frame === undefined || !(await printBytes(source, path, part))) throw noFile(path, frame)
  } finally {
    await source.close()
  }
  return EXIT.asked
}

/** Prints a file of numbers; false where there is no such file. */
async function printBytes(source: Source, path: string, { skip, bytes }: Part): Promise<boolean> {
  if ((await source.bytes?.(path, 0, 0)) === undefined) return false
  if (process.stdout.isTTY) throw new UserError(`${path} holds numbers, not text: send it into a pipe or a file`)
  for (let at = skip; at < skip + bytes; ) {
    const some = await source.bytes?.(path, at, Math.min(CHUNK, skip + bytes - at))
    if (some === undefined) throw new UserError(`${path} is read from a multiple of 8 bytes on, in multiples of 8`)
    if (some.length === 0) break
    await print(some)
    at += some.length
  }
  return true
}

function noFile(path: string, frame: Frame | undefined): UserError {
  const near = frame === undefined ? undefined : nearestWord(path, frame.files.keys())
  return new UserError(`this machine has no file "${path}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
}
