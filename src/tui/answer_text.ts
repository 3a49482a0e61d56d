/** What a source answers, in words. */
import type { Answer } from '../sample/source.ts'
import { errnoText } from '../user_error.ts'

/** What became of a workload line; the source may or may not have said the line and the errno itself. */
export function answerText(line: string, { errno, text }: Answer): string {
  if (text === '') return errno === '' ? `${line}: done` : `${line} = ${errnoText(errno)}`
  const said = text.startsWith(line) ? text : `${line}: ${text}`
  if (errno === '') return said
  return said.includes(errno) ? said.replace(errno, errnoText(errno)) : `${said}, ${errnoText(errno)}`
}
