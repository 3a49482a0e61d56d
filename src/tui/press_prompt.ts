/** Keys while a line is being typed. */
import { cleanLine } from '../sample/text.ts'
import { lookUp } from '../view/explain.ts'
import { shortPath } from '../view/subjects/knobs.ts'
import type { Seen } from './actions.ts'
import { bindingOf } from './keymap.ts'
import type { Key } from './keys.ts'
import { knobNamed, whyNot } from './knobs.ts'
import { command, commandWords, lookUpNamed } from './palette.ts'
import { parseJump } from './playback.ts'
import { asked, completed, erased, moved, type Prompt, recalled, split, typed } from './prompt.ts'
import { atPlace, type Pressed, type State } from './state.ts'

export function pressInPrompt(state: State, prompt: Prompt, key: Key, seen: Seen): Pressed {
  const action = bindingOf(key.name, ['prompt'], seen.keymap)?.action
  if (action === 'accept') return accept(state, prompt, seen)
  if (action === 'cancel') return only(cancel(state, prompt))
  if (action === 'complete') return complete(state, prompt, seen)
  const next = edited(prompt, action, key, state.lines)
  return only(following({ ...state, prompt: next }, next))
}

const only = (state: State): Pressed => ({ state, effects: [] })

function edited(prompt: Prompt, action: string | undefined, { text }: Key, lines: readonly string[]): Prompt {
  const recall = prompt.kind === 'line' ? lines : []
  switch (action) {
    case 'earlier':
      return recalled(prompt, recall, 1)
    case 'later':
      return recalled(prompt, recall, -1)
    case 'cursor-left':
      return moved(prompt, -1)
    case 'cursor-right':
      return moved(prompt, 1)
    case 'cursor-home':
      return moved(prompt, Number.NEGATIVE_INFINITY)
    case 'cursor-end':
      return moved(prompt, Number.POSITIVE_INFINITY)
    case 'erase':
      return erased(prompt, 'before')
    case 'erase-next':
      return erased(prompt, 'next')
    case 'erase-word':
      return erased(prompt, 'word')
    case 'erase-line':
      return erased(prompt, 'line')
    default:
      return text === '' ? prompt : typed(prompt, text)
  }
}

/** A filter works while it is typed. */
function following(state: State, prompt: Prompt): State {
  return prompt.kind === 'filter' ? atPlace(state, { filter: prompt.text, scroll: 0 }) : state
}

function cancel(state: State, prompt: Prompt): State {
  const closed = { ...state, prompt: undefined }
  return prompt.kind === 'filter' ? atPlace(closed, { filter: prompt.about }) : closed
}

function accept(state: State, prompt: Prompt, seen: Seen): Pressed {
  const closed = { ...state, prompt: undefined }
  const text = prompt.text.trim()
  if (prompt.kind === 'filter' || text === '') return only(closed)
  if (prompt.kind === 'line') {
    const lines = [...state.lines.filter(line => line !== text), text]
    return { state: { ...closed, lines }, effects: [{ kind: 'run', line: text }] }
  }
  if (prompt.kind === 'record') return { state: closed, effects: [{ kind: 'record', path: text }] }
  if (prompt.kind === 'jump') return jump(state, prompt, text, seen)
  if (prompt.kind === 'command') return command(closed, text, seen)
  if (prompt.kind === 'explain') return lookUpNamed(closed, text, seen)
  const knob = knobNamed(seen.model?.tunables ?? [], prompt.about)
  const before = knob === undefined ? undefined : (seen.knobValue(knob) ?? '')
  if (knob === undefined || before === undefined) return only(closed)
  const wrong = whyNot(knob, cleanLine(text))
  if (wrong !== undefined) return only({ ...state, prompt: { ...prompt, hint: wrong } })
  if (prompt.kind === 'knob' && seen.kind === 'host')
    return only({ ...closed, prompt: asked(prompt.about, shortPath(prompt.about), before, cleanLine(text)) })
  return { state: closed, effects: [{ kind: 'write', turn: { path: prompt.about, before, after: cleanLine(text) }, way: 'new' }] }
}

function jump(state: State, prompt: Prompt, text: string, { model, span }: Seen): Pressed {
  const ns = span === undefined ? undefined : parseJump(text, model?.sample.ns ?? 0, span)
  if (ns === undefined) return only({ ...state, prompt: { ...prompt, hint: 'write 90s, +10s, -5s, 50% or 00:01:30' } })
  return { state: { ...state, prompt: undefined, seq: undefined }, effects: [{ kind: 'seek', ns }] }
}

function complete(state: State, prompt: Prompt, seen: Seen): Pressed {
  const { model, screen } = seen
  const [before] = split(prompt)
  const word = /\S*$/.exec(before)?.[0] ?? ''
  if (prompt.kind === 'line') return { state, effects: [{ kind: 'complete', line: before }] }
  const words =
    prompt.kind === 'knob'
      ? (knobNamed(model?.tunables ?? [], prompt.about)?.choices ?? [])
      : prompt.kind === 'filter'
        ? (screen.panel?.list?.sortKeys ?? [])
        : prompt.kind === 'command'
          ? commandWords(before, seen)
          : prompt.kind === 'explain'
            ? lookUp(word, model).map(({ name }) => name)
            : []
  const next = completed(
    prompt,
    words.filter(each => each.startsWith(word)),
  )
  return only(following({ ...state, prompt: next }, next))
}
