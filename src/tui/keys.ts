/**
 * Bytes from a terminal as keys, each with one name whatever the terminal calls it.
 *
 *     "q"           q            "\x1b[A" "\x1bOA"      up             "\x7f" "\b"    backspace
 *     "\x03"        ctrl-c       "\x1b[1;5C"            ctrl-right     "\x1b"         esc (when nothing follows)
 *     "\t"          tab          "\x1b[Z"               shift-tab      "\x1b[200~…"   paste
 *
 * Ink's own hook tells unknown sequences from typed text no more, calls backspace delete and Escape a modifier, so keys
 * are read here, below it. What arrives in pieces waits for its rest; a sequence that nobody knows is no key.
 */

export interface Key {
  readonly name: string
  /** What it writes where text is typed; '' for keys that write nothing. */
  readonly text: string
  /** Where the mouse was, from 0. */
  readonly at?: { readonly row: number; readonly column: number }
}

export interface Read {
  readonly keys: readonly Key[]
  /** The beginning of a key, to be read again with what follows. */
  readonly rest: string
}

const FINAL: Readonly<Record<string, string>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  F: 'end',
  H: 'home',
  P: 'f1',
  Q: 'f2',
  R: 'f3',
  S: 'f4',
  Z: 'shift-tab',
  M: 'enter',
}

const TILDE: Readonly<Record<string, string>> = {
  1: 'home',
  2: 'insert',
  3: 'delete',
  4: 'end',
  5: 'pageup',
  6: 'pagedown',
  7: 'home',
  8: 'end',
  11: 'f1',
  12: 'f2',
  13: 'f3',
  14: 'f4',
  15: 'f5',
  17: 'f6',
}

const CONTROLS: Readonly<Record<string, string>> = {
  '\t': 'tab',
  '\r': 'enter',
  '\n': 'enter',
  '\x7f': 'backspace',
  '\b': 'backspace',
}

const PASTE = '\x1b[200~'
const PASTE_END = '\x1b[201~'
/** A paste longer than this is cut up: its end may never come. */
const PASTE_LIMIT = 65536

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: keys are control sequences
const CSI = /^\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])/
const CSI_BEGUN = /^\x1b(\[[0-9;:<=>?]*[ -/]*|O)?$/
const SS3 = /^\x1bO([A-Za-z])/
const CONSOLE_F = /^\x1b\[\[([A-E])/
const CONTROL = /^[\x00-\x1f\x7f-\x9f]/
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: keys are control sequences

/** The keys in what has arrived. */
export function readKeys(input: string): Read {
  const keys: Key[] = []
  let rest = input
  while (rest !== '') {
    const [key, length] = nextKey(rest)
    if (length === 0) break
    if (key !== undefined) keys.push(key)
    rest = rest.slice(length)
  }
  return { keys, rest }
}

/** What the beginning of a key stands for when nothing follows it: Escape, and whatever else there was. */
export function readLate(rest: string): readonly Key[] {
  return rest.startsWith('\x1b') ? [named('esc'), ...readKeys(rest.slice(1)).keys] : readKeys(rest).keys
}

const named = (name: string): Key => ({ name, text: '' })

/** The first key (undefined: none that is known) and how long it is; length 0 when its end is missing. */
function nextKey(input: string): readonly [Key | undefined, number] {
  if (input.startsWith(PASTE)) return pasted(input)
  if (input.startsWith('\x1b')) return escaped(input)
  const [first] = input
  if (CONTROL.test(first)) return [controlKey(first), first.length]
  return [{ name: first, text: first }, first.length]
}

function pasted(input: string): readonly [Key | undefined, number] {
  const end = input.indexOf(PASTE_END)
  if (end < 0 && input.length < PASTE_LIMIT) return [undefined, 0]
  const text = input.slice(PASTE.length, end < 0 ? input.length : end)
  return [{ name: 'paste', text }, end < 0 ? input.length : end + PASTE_END.length]
}

function escaped(input: string): readonly [Key | undefined, number] {
  const console = CONSOLE_F.exec(input)
  if (console !== null) return [named(`f${console[1].charCodeAt(0) - 64}`), console[0].length]
  const csi = CSI.exec(input)
  // The console's "\x1b[[A" looks like a finished "\x1b[[" first.
  if (csi !== null && csi[0] === '\x1b[[' && input.length === 3) return [undefined, 0]
  if (csi !== null) return [csi[1].startsWith('<') ? mouseKey(csi[1], csi[2]) : csiKey(csi[1], csi[2]), csi[0].length]
  const ss3 = SS3.exec(input)
  if (ss3 !== null) return [FINAL[ss3[1]] === undefined ? undefined : named(FINAL[ss3[1]]), ss3[0].length]
  if (CSI_BEGUN.test(input)) return [undefined, 0]
  // No key here is bound with Alt, which many terminals send as Escape too; so Escape it is.
  return [named('esc'), 1]
}

/** "1;5C" and "5~", no mouse's report and no answer to a question. */
function csiKey(parameters: string, final: string): Key | undefined {
  const [first, modifier] = parameters.split(';')
  const shape = final === '~' ? /^\d+(;\d+)?$/ : /^(1(;\d+)?)?$/
  const name = final === '~' ? TILDE[first] : FINAL[final]
  if (name === undefined || !shape.test(parameters)) return undefined
  const bits = Number(modifier ?? 1) - 1
  const prefix = `${(bits & 4) > 0 ? 'ctrl-' : ''}${(bits & 2) > 0 ? 'alt-' : ''}${(bits & 1) > 0 ? 'shift-' : ''}`
  return named(prefix + name)
}

/** "<0;12;3" and M (pressed) or m (let go): button, column and row. Only the left button and the wheel mean anything. */
function mouseKey(parameters: string, final: string): Key | undefined {
  const match = /^<(\d{1,4});(\d{1,4});(\d{1,4})$/.exec(parameters)
  const name = { 0: 'click', 64: 'wheel-up', 65: 'wheel-down' }[match?.[1] ?? '']
  if (match === null || name === undefined || final !== 'M') return undefined
  return { name, text: '', at: { row: Number(match[3]) - 1, column: Number(match[2]) - 1 } }
}

function controlKey(character: string): Key | undefined {
  const known = CONTROLS[character]
  if (known !== undefined) return named(known)
  const code = character.charCodeAt(0)
  return code >= 1 && code <= 26 ? named(`ctrl-${String.fromCharCode(code + 96)}`) : undefined
}
