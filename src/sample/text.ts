/**
 * How text from outside becomes words and numbers.
 *
 * File texts may come from a hostile machine: a process may call itself "\x1b[2J", a recording may hold any bytes.
 * Everything that can be shown enters a Sample through `cleanText`, once, and nothing downstream has to think of it
 * again. Numbers that are no numbers are missing (undefined), never NaN: a figure is either known or not shown.
 */

/** All that a /proc file of an honest machine holds is in this range; the test costs microseconds a file. */
const UNUSUAL = /[^\n\t\x20-\x7e]/

/**
 * What must not reach a terminal: controls, invisible and direction-changing characters, private use (the screen
 * writer marks its rows with those), halves of surrogate pairs, unassigned code points (their width is anyone's guess).
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\u2028\u2029]/gu

/** `text` with every character that a terminal could act on replaced by "?"; newlines and tabs stay. */
export function cleanText(text: string): string {
  if (!UNUSUAL.test(text)) return text
  return text.replace(UNSAFE, character => (character === '\n' || character === '\t' ? character : '?'))
}

/** One line of clean text: newlines and tabs become blanks too. */
export function cleanLine(text: string): string {
  return cleanText(text).replace(/[\n\t]+/g, ' ')
}

/** The decimal integer that `text` is (a sign and at most 20 digits, as 64 bits need), or undefined. */
export function toInteger(text: string | undefined): number | undefined {
  const short = text === undefined ? undefined : shortInteger(text)
  if (short !== undefined) return short
  if (text === undefined || !/^-?\d{1,20}$/.test(text)) return undefined
  return Number(text)
}

/** Digits that a number holds exactly. */
const EXACT_DIGITS = 15

/** Nearly every figure of a frame, and there are thousands: 1 to 15 digits and nothing else; undefined for any other text. */
function shortInteger(text: string): number | undefined {
  if (text.length === 0 || text.length > EXACT_DIGITS) return undefined
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value
}

/** The decimal number that `text` is ("12", "-3", "0.25"), or undefined. */
export function toNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d{1,20}(\.\d{1,20})?$/.test(text)) return undefined
  return Number(text)
}

/** The words of a line, without the blanks around them. */
export function words(line: string): string[] {
  const trimmed = line.trim()
  return trimmed === '' ? [] : trimmed.split(/\s+/)
}

/** "0-2,5" as [0, 1, 2, 5]; parts that are no list items are left out, ranges are cut at `limit` members. */
export function toList(text: string, limit = 4096): number[] {
  const members: number[] = []
  for (const part of text.trim().split(',')) {
    const [from, to] = part.split('-').map(end => toInteger(end.trim()))
    if (from === undefined || from < 0) continue
    for (let member = from; member <= (to ?? from) && members.length < limit; member++) members.push(member)
  }
  return members
}
