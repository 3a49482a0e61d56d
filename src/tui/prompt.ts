/** A line that is being typed: text, cursor, and what Tab and the arrows do to it. All of it values. */
import { cleanLine } from '../sample/text.ts'

export type PromptKind = 'filter' | 'line' | 'record' | 'jump' | 'knob' | 'command' | 'explain' | 'confirm'

export interface Prompt {
  readonly kind: PromptKind
  /** What stands before the line. */
  readonly label: string
  readonly text: string
  /** Characters (code points) before the cursor. */
  readonly cursor: number
  /** What was there before: of a filter the filter, of a knob its path. */
  readonly about: string
  /** How many lines back in `lines` this one was taken from; 0: typed. */
  readonly recalled: number
  /** What could be typed next, or what is wrong. */
  readonly hint: string
}

/** A line longer than this is nobody's typing. */
const LENGTH_LIMIT = 1000

export function newPrompt(kind: PromptKind, label: string, text = '', about = ''): Prompt {
  return { kind, label, text, cursor: [...text].length, about, recalled: 0, hint: '' }
}

/** A knob of the real machine is not turned without a word: both values are shown, and Enter is pressed once more. */
export const asked = (path: string, name: string, before: string, after: string): Prompt => ({
  ...newPrompt('confirm', `${name}, now ${before}: `, after, path),
  hint: 'Enter writes to this machine, Esc leaves',
})

export function typed(prompt: Prompt, text: string): Prompt {
  const [before, after] = split(prompt)
  const added = [...cleanLine(text)].slice(0, Math.max(0, LENGTH_LIMIT - [...prompt.text].length))
  return { ...prompt, text: before + added.join('') + after, cursor: prompt.cursor + added.length, hint: '' }
}

export function moved(prompt: Prompt, by: number): Prompt {
  return { ...prompt, cursor: Math.min([...prompt.text].length, Math.max(0, prompt.cursor + by)) }
}

export type Erase = 'before' | 'next' | 'word' | 'line'

export function erased(prompt: Prompt, what: Erase): Prompt {
  const [before, after] = split(prompt)
  if (what === 'line') return { ...prompt, text: '', cursor: 0, hint: '' }
  if (what === 'next') return { ...prompt, text: before + [...after].slice(1).join(''), hint: '' }
  const kept = what === 'before' ? [...before].slice(0, -1).join('') : before.replace(/\S*\s*$/, '')
  return { ...prompt, text: kept + after, cursor: [...kept].length, hint: '' }
}

/** The line `by` further back among those typed before, oldest first. */
export function recalled(prompt: Prompt, lines: readonly string[], by: number): Prompt {
  const back = Math.min(lines.length, Math.max(0, prompt.recalled + by))
  if (back === prompt.recalled) return prompt
  const text = back === 0 ? '' : lines[lines.length - back]
  return { ...prompt, text, cursor: [...text].length, recalled: back, hint: '' }
}

/** The last word before the cursor made longer, as far as all candidates agree; several are listed. */
export function completed(prompt: Prompt, candidates: readonly string[]): Prompt {
  if (candidates.length === 0) return { ...prompt, hint: 'nothing known begins so' }
  const [before, after] = split(prompt)
  const begin = before.replace(/\S*$/, '')
  const whole = candidates.length === 1 && !/[=:,]$/.test(candidates[0])
  const text = begin + commonBeginning(candidates) + (whole ? ' ' : '')
  return { ...prompt, text: text + after, cursor: [...text].length, hint: candidates.length === 1 ? '' : candidates.join(' ') }
}

function commonBeginning(words: readonly string[]): string {
  let common = words[0]
  for (const word of words) while (!word.startsWith(common)) common = common.slice(0, -1)
  return common
}

/** The text before and behind the cursor. */
export function split({ text, cursor }: Pick<Prompt, 'text' | 'cursor'>): readonly [string, string] {
  const characters = [...text]
  return [characters.slice(0, cursor).join(''), characters.slice(cursor).join('')]
}
