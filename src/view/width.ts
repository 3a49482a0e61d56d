/**
 * How many columns a text takes on a terminal. Text here is clean (no controls), so what counts is East Asian width,
 * emoji, and marks that join the character before them.
 */

/** First and last code points of the ranges that take two columns. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2329, 0x232a],
  [0x23e9, 0x23ec],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
]

const NARROW = /^[\x20-\x7e\u2500-\u25ff\u2800-\u28ff\u00b7\u2190-\u21ff]*$/
const MARK = /^\p{M}$/u

export function displayWidth(text: string): number {
  if (NARROW.test(text)) return text.length
  let columns = 0
  for (const character of text) columns += characterWidth(character)
  return columns
}

function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (MARK.test(character)) return 0
  return WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1
}

/** The longest beginning of `text` that fits `columns`. */
function head(text: string, columns: number): string {
  if (NARROW.test(text)) return text.slice(0, columns)
  let used = 0
  let end = 0
  for (const character of text) {
    used += characterWidth(character)
    if (used > columns) break
    end += character.length
  }
  return text.slice(0, end)
}

/** `text` in at most `columns`, ending in `sign` where something was cut off. */
export function crop(text: string, columns: number, sign = '…'): string {
  if (columns <= 0) return ''
  return displayWidth(text) <= columns ? text : head(text, columns - 1) + sign
}

/** Exactly `columns` wide: cut with a sign or filled with blanks. */
export function fitText(text: string, columns: number, align: 'left' | 'right' = 'left', sign = '…'): string {
  const cropped = crop(text, columns, sign)
  const blanks = ' '.repeat(Math.max(0, columns - displayWidth(cropped)))
  return align === 'left' ? cropped + blanks : blanks + cropped
}

/** Lines of at most `columns`, broken between words. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && displayWidth(last) + 1 + displayWidth(word) <= columns) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
