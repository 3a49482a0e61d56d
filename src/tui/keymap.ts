/**
 * Every key there is. This table drives the keyboard, the footer, the help and README's table; nothing else knows a key.
 *
 * A key may mean different things in different places: `left` moves in the explanation and turns a knob in the list of
 * knobs. What is nearer to the user wins: of the places that are active, the first in which the key is bound.
 */
import { fitText } from '../view/width.ts'

/** Where a key works, from the nearest to the farthest. */
export const PLACES = {
  prompt: 'while typing',
  choosing: 'in a list of columns or presets',
  popup: 'in help and lists of columns or presets',
  explain: 'while explaining',
  turning: 'on the knobs of a panel',
  knobs: 'in the list of knobs',
  list: 'in lists',
  recording: 'in recordings',
  clock: 'where time can be set',
  anywhere: 'anywhere',
} as const
export type PlaceName = keyof typeof PLACES

// biome-ignore format: by subject
export type Action =
  | 'accept' | 'cancel' | 'complete' | 'earlier' | 'later' | 'cursor-left' | 'cursor-right' | 'cursor-home' | 'cursor-end'
  | 'erase' | 'erase-next' | 'erase-word' | 'erase-line'
  | 'choose' | 'close' | 'figure-left' | 'figure-right' | 'figure-up' | 'figure-down' | 'turn-down' | 'turn-up' | 'edit'
  | 'sort' | 'sort-left' | 'sort-right' | 'invert' | 'open' | 'moving' | 'filter'
  | 'jump' | 'next-event' | 'previous-event' | 'step' | 'step-size' | 'faster' | 'slower' | 'normal'
  | 'pause' | 'older' | 'newer' | 'much-older' | 'much-newer' | 'longer' | 'shorter'
  | 'layout' | 'view' | 'next-view' | 'previous-view' | 'up' | 'down' | 'page-up' | 'page-down' | 'first' | 'last'
  | 'palette' | 'presets' | 'mark-a' | 'mark-b' | 'unmark' | 'bookmark' | 'to-bookmark' | 'next-move' | 'save' | 'look-up' | 'click'
  | 'knobs' | 'undo' | 'redo' | 'line' | 'record' | 'explain' | 'expand' | 'back' | 'help' | 'redraw' | 'suspend' | 'quit'

export interface Binding {
  readonly keys: readonly string[]
  readonly action: Action
  readonly help: string
  readonly where: PlaceName
  /** Keys and name in the footer, for what goes together once; without it, it is in the help only. */
  readonly footer?: readonly [keys: string, name: string]
}

/** The key of each panel. The letters behind the digits are left for panels to come. */
export const VIEW_KEYS: Readonly<Record<string, string>> = {
  overview: '1',
  vmstat: '2',
  memory: '3',
  thp: '4',
  hugetlb: '5',
  ksm: '6',
  nodes: '7',
  policies: 'o',
  balancing: 'l',
  zones: '8',
  reclaim: 'R',
  fragmentation: '9',
  pages: 'y',
  processes: '0',
  slab: 'a',
  swap: 'b',
  workingset: 'd',
  cgroups: 'c',
  userfaultfd: 'f',
  postcopy: 'F',
  costs: 'C',
  events: 'v',
  compare: 'x',
  tunables: 't',
}

/** Keys of panels that do nothing but show them. */
const PANEL_KEYS = Object.values(VIEW_KEYS).filter(key => key !== VIEW_KEYS.tunables)

/** In the order of the footer. */
// biome-ignore format: one line a binding
export const KEYMAP: readonly Binding[] = [
  { where: 'prompt', keys: ['enter'], action: 'accept', help: 'do what the line says', footer: ['Enter', 'do it'] },
  { where: 'prompt', keys: ['esc', 'ctrl-c'], action: 'cancel', help: 'leave the line as if nothing was typed', footer: ['Esc', 'cancel'] },
  { where: 'prompt', keys: ['tab'], action: 'complete', help: 'complete the word', footer: ['Tab', 'complete'] },
  { where: 'prompt', keys: ['up'], action: 'earlier', help: 'the line typed before' },
  { where: 'prompt', keys: ['down'], action: 'later', help: 'the line typed after' },
  { where: 'prompt', keys: ['left', 'ctrl-b'], action: 'cursor-left', help: 'cursor to the left' },
  { where: 'prompt', keys: ['right', 'ctrl-f'], action: 'cursor-right', help: 'cursor to the right' },
  { where: 'prompt', keys: ['home', 'ctrl-a'], action: 'cursor-home', help: 'cursor to the beginning' },
  { where: 'prompt', keys: ['end', 'ctrl-e'], action: 'cursor-end', help: 'cursor to the end' },
  { where: 'prompt', keys: ['backspace'], action: 'erase', help: 'erase the character before the cursor' },
  { where: 'prompt', keys: ['delete', 'ctrl-d'], action: 'erase-next', help: 'erase the character under the cursor' },
  { where: 'prompt', keys: ['ctrl-w'], action: 'erase-word', help: 'erase the word before the cursor' },
  { where: 'prompt', keys: ['ctrl-u'], action: 'erase-line', help: 'erase the line' },

  { where: 'choosing', keys: ['enter'], action: 'choose', help: 'sort by this column, set the knobs of this preset', footer: ['Enter', 'choose'] },
  { where: 'popup', keys: ['esc', 'q', '?', 'h', 'f1', 's'], action: 'close', help: 'back to the panel', footer: ['Esc', 'close'] },

  { where: 'explain', keys: ['left'], action: 'figure-left', help: 'the figure to the left', footer: ['Left Right Up Down', 'which figure'] },
  { where: 'explain', keys: ['right'], action: 'figure-right', help: 'the figure to the right' },
  { where: 'explain', keys: ['up', 'k'], action: 'figure-up', help: 'the figure above' },
  { where: 'explain', keys: ['down', 'j'], action: 'figure-down', help: 'the figure below' },
  { where: 'explain', keys: ['enter'], action: 'edit', help: 'change it, if it is a knob', footer: ['Enter', 'change a knob'] },
  { where: 'explain', keys: ['/'], action: 'look-up', help: 'look a figure up by its name', footer: ['/', 'look up'] },
  { where: 'explain', keys: ['n'], action: 'next-move', help: 'go on until this figure moves, and pause there' },
  { where: 'explain', keys: ['e', 'esc'], action: 'back', help: 'end the explanation', footer: ['Esc', 'end'] },

  { where: 'turning', keys: ['left'], action: 'turn-down', help: 'the value before, or a smaller one', footer: ['Left Right', 'turn'] },
  { where: 'turning', keys: ['right'], action: 'turn-up', help: 'the next value, or a larger one' },
  { where: 'turning', keys: ['up', 'k'], action: 'figure-up', help: 'the knob before', footer: ['Up Down', 'which knob'] },
  { where: 'turning', keys: ['down', 'j'], action: 'figure-down', help: 'the next knob' },
  { where: 'turning', keys: ['enter'], action: 'edit', help: 'type a value', footer: ['Enter', 'type a value'] },
  { where: 'turning', keys: ['esc'], action: 'back', help: 'leave the knobs', footer: ['Esc', 'leave'] },

  { where: 'knobs', keys: ['left'], action: 'turn-down', help: 'the value before, or a smaller one; folds a branch', footer: ['Left Right', 'turn'] },
  { where: 'knobs', keys: ['right'], action: 'turn-up', help: 'the next value, or a larger one; unfolds a branch' },
  { where: 'knobs', keys: ['enter'], action: 'edit', help: 'type a value; folds a branch, or unfolds it', footer: ['Enter', 'type a value'] },

  { where: 'anywhere', keys: [' '], action: 'pause', help: 'pause and go on; the real host is frozen on the screen only', footer: ['space', 'pause'] },
  { where: 'clock', keys: ['.'], action: 'step', help: 'pause, and go on by one step', footer: ['.', 'step'] },
  { where: 'list', keys: ['enter'], action: 'open', help: 'open the row: areas of a process, figures of a node or zone, what a counter is, an event again', footer: ['Enter', 'open'] },
  { where: 'list', keys: ['/'], action: 'filter', help: 'only rows with a text, !text, /regex/, column > value; & between several', footer: ['/', 'filter'] },
  { where: 'list', keys: ['s', 'f6'], action: 'sort', help: 'choose the column to sort by', footer: ['s', 'sort'] },
  { where: 'clock', keys: ['+'], action: 'faster', help: 'faster', footer: ['+ -', 'pace'] },
  { where: 'clock', keys: ['-'], action: 'slower', help: 'slower' },
  { where: 'anywhere', keys: ['['], action: 'older', help: 'one sample back in history, while the machine goes on', footer: ['[ ]', 'history'] },
  { where: 'anywhere', keys: [']'], action: 'newer', help: 'one sample forth in history' },
  { where: 'recording', keys: ['J'], action: 'jump', help: 'jump to a time (90s, +10s, -5s), a share (50%) or a clock (00:01:30)', footer: ['J', 'jump'] },
  { where: 'anywhere', keys: ['t'], action: 'knobs', help: 'the knobs of the panel, to turn in place; once more: all knobs', footer: ['t', 'knobs'] },
  { where: 'anywhere', keys: ['u'], action: 'undo', help: 'put the knob turned last back', footer: ['u', 'undo'] },
  { where: 'anywhere', keys: [':'], action: 'line', help: 'type a workload line: write /proc/sys/vm/swappiness 10; where no workload runs, a command as with p', footer: [':', 'line'] },
  { where: 'anywhere', keys: ['e'], action: 'explain', help: 'say what a figure is, where it is read and who makes it', footer: ['e', 'explain'] },
  { where: 'anywhere', keys: ['z'], action: 'expand', help: 'the panel alone, or with tabs, status and the others of a layout', footer: ['z', 'expand'] },
  { where: 'anywhere', keys: ['L'], action: 'layout', help: 'several panels on one screen: the next layout; after the last one panel alone', footer: ['L', 'layout'] },
  { where: 'anywhere', keys: ['r'], action: 'record', help: 'record into a file, or end the recording', footer: ['r', 'record'] },
  { where: 'anywhere', keys: ['q', 'ctrl-c'], action: 'quit', help: 'quit', footer: ['q', 'quit'] },
  { where: 'anywhere', keys: ['?', 'h', 'f1'], action: 'help', help: 'this help', footer: ['?', 'help'] },

  { where: 'list', keys: ['<'], action: 'sort-left', help: 'sort by the column to the left' },
  { where: 'list', keys: ['>'], action: 'sort-right', help: 'sort by the column to the right' },
  { where: 'list', keys: ['I'], action: 'invert', help: 'sort the other way round' },
  { where: 'list', keys: ['m'], action: 'moving', help: 'only rows that move, or all' },
  { where: 'clock', keys: [','], action: 'step-size', help: 'what a step is: an operation, a millisecond, a sample' },
  { where: 'clock', keys: ['='], action: 'normal', help: 'machine time as fast as the clock on the wall' },
  { where: 'clock', keys: ['n'], action: 'next-event', help: 'go on to where something happens, and pause there' },
  { where: 'recording', keys: ['N'], action: 'previous-event', help: 'back to where something happened before' },
  { where: 'anywhere', keys: ['{'], action: 'much-older', help: 'ten samples back in history' },
  { where: 'anywhere', keys: ['}'], action: 'much-newer', help: 'ten samples forth in history' },
  { where: 'anywhere', keys: ['w', ')'], action: 'longer', help: 'charts of a longer time' },
  { where: 'anywhere', keys: ['('], action: 'shorter', help: 'charts of a shorter time' },
  { where: 'anywhere', keys: ['p', 'ctrl-p'], action: 'palette', help: 'type a command: every action, view NAME, theme NAME, preset NAME, set PATH VALUE, goto TIME ...' },
  { where: 'anywhere', keys: ['P'], action: 'presets', help: 'knobs that are set together, for a purpose' },
  { where: 'anywhere', keys: ['A'], action: 'mark-a', help: 'mark A: this moment' },
  { where: 'anywhere', keys: ['B'], action: 'mark-b', help: 'mark B: this moment; the panel of key x shows what changed from A to B' },
  { where: 'anywhere', keys: ['X'], action: 'unmark', help: 'take marks A and B away' },
  { where: 'anywhere', keys: ['M'], action: 'bookmark', help: 'put a bookmark at this moment' },
  { where: 'anywhere', keys: ["'"], action: 'to-bookmark', help: 'to the bookmark before this moment; from the first to the last' },
  { where: 'anywhere', keys: ['W'], action: 'save', help: 'write the configuration file: panel, layout, theme, zoom and keys as they are' },
  { where: 'anywhere', keys: ['click'], action: 'click', help: 'choose a panel or a row with the mouse, where it is on' },
  { where: 'anywhere', keys: ['U', 'ctrl-r'], action: 'redo', help: 'turn the knob again' },
  { where: 'anywhere', keys: PANEL_KEYS, action: 'view', help: 'the panel with this key in its tab' },
  { where: 'anywhere', keys: ['tab'], action: 'next-view', help: 'the next panel, in a layout of those that are there' },
  { where: 'anywhere', keys: ['shift-tab'], action: 'previous-view', help: 'the panel before' },
  { where: 'anywhere', keys: ['up', 'k', 'wheel-up'], action: 'up', help: 'the row above' },
  { where: 'anywhere', keys: ['down', 'j', 'wheel-down'], action: 'down', help: 'the row below' },
  { where: 'anywhere', keys: ['pageup', 'ctrl-b'], action: 'page-up', help: 'a page up' },
  { where: 'anywhere', keys: ['pagedown', 'ctrl-f'], action: 'page-down', help: 'a page down' },
  { where: 'anywhere', keys: ['home', 'g'], action: 'first', help: 'the first row' },
  { where: 'anywhere', keys: ['end', 'G'], action: 'last', help: 'the last row' },
  { where: 'anywhere', keys: ['esc'], action: 'back', help: 'back: close, leave what was opened, end the filter, return to now' },
  { where: 'anywhere', keys: ['ctrl-l'], action: 'redraw', help: 'paint the screen anew' },
  { where: 'anywhere', keys: ['ctrl-z'], action: 'suspend', help: 'stop mmtop until the shell lets it go on' },
]

/** What a key does where these places are active. */
export function bindingOf(key: string, active: readonly PlaceName[], keymap: readonly Binding[] = KEYMAP): Binding | undefined {
  for (const place of active) {
    const found = keymap.find(binding => binding.where === place && binding.keys.includes(key))
    if (found !== undefined) return found
  }
  return undefined
}

/** Bindings that work where these places are active, in the order of the footer. */
export function activeBindings(active: readonly PlaceName[], keymap: readonly Binding[] = KEYMAP): readonly Binding[] {
  return keymap.filter(binding => binding.keys.some(key => bindingOf(key, active, keymap) === binding))
}

const KEY_NAMES: Readonly<Record<string, string>> = {
  ' ': 'space',
  enter: 'Enter',
  esc: 'Esc',
  tab: 'Tab',
  'shift-tab': 'Shift-Tab',
  up: 'Up',
  down: 'Down',
  left: 'Left',
  right: 'Right',
  pageup: 'PgUp',
  pagedown: 'PgDn',
  home: 'Home',
  end: 'End',
  backspace: 'Backspace',
  delete: 'Delete',
  f1: 'F1',
  f6: 'F6',
}

export const keyName = (key: string): string => KEY_NAMES[key] ?? key

/** The keys of a binding as text: "q ctrl-c". */
export const keyNames = ({ keys }: Binding): string => keys.map(keyName).join(' ')

/** README's table of keys. */
export function keyTable(): string {
  const code = (key: string) => (key.includes('`') ? `\`\` ${key} \`\`` : `\`${key}\``)
  const rows = KEYMAP.map(binding => [
    binding.keys.map(key => code(keyName(key))).join(' '),
    binding.help.replaceAll('|', '\\|'),
    PLACES[binding.where],
  ])
  const heads = ['key', 'what it does', 'where']
  const widths = heads.map((head, i) => Math.max(...[head, ...rows.map(row => row[i])].map(cell => cell.length)))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => fitText(cell, widths[i])).join(' | ')} |`
  return [line(heads), `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].map(text => `${text}\n`).join('')
}
