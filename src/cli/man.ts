/** The man page, made from the option table, the table of keys and the table of panels. */
import type { Command, Option } from 'commander'
import { KEYMAP, keyNames, PLACES, VIEW_KEYS } from '../tui/keymap.ts'
import { VIEWS } from '../view/views.ts'

/** Text as roff takes it: no line begins with a dot or an apostrophe, no backslash escapes. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')

const entry = (head: string, text: string): string[] => ['.TP', `.B ${roff(head)}`, roff(text)]

const optionEntry = (option: Option): string[] => {
  const choices = option.argChoices === undefined ? '' : ` (${option.argChoices.join(', ')})`
  return entry(option.flags, option.description + choices)
}

const STATUS: readonly (readonly [number, string])[] = [
  [0, 'As asked.'],
  [1, 'An expectation did not hold.'],
  [2, 'The input or the arguments are wrong; one line on standard error says where and what.'],
  [70, 'A bug of mmtop.'],
  [130, 'Interrupted.'],
]

export function manPage(program: Command, version: string): string {
  const options = (command: Command) => command.options.filter(option => !option.hidden).flatMap(optionEntry)
  const lines = [
    `.TH MMTOP 1 "" "mmtop ${version}" "User Commands"`,
    '.SH NAME',
    `mmtop \\- ${roff(program.description())}`,
    '.SH SYNOPSIS',
    `.B mmtop`,
    '[\\fIoptions\\fR] [\\fItarget\\fR]',
    ...program.commands.flatMap(command => ['.br', `.B mmtop ${command.name()}`, roff(command.usage())]),
    '.SH DESCRIPTION',
    roff(
      'Shows huge pages, hugetlb pools, KSM, NUMA placement, swap, reclaim and compaction at work, on a simulated Linux kernel, a recording, or this machine. ' +
        'A target is a workload, a recording, or the word "host". Without a terminal a snapshot is printed instead of the screens.',
    ),
    '.SH OPTIONS',
    ...options(program),
    '.SH COMMANDS',
    ...program.commands.flatMap(command => [
      `.SS mmtop ${command.name()} ${roff(command.usage())}`,
      roff(command.description()),
      ...options(command),
    ]),
    '.SH PANELS',
    ...VIEWS.flatMap(view => entry(`${VIEW_KEYS[view.name] ?? ''}  ${view.name}`, view.answers)),
    '.SH KEYS',
    ...Object.entries(PLACES).flatMap(([place, name]) => [
      `.SS ${roff(name)}`,
      ...KEYMAP.filter(({ where }) => where === place).flatMap(binding => entry(keyNames(binding), binding.help)),
    ]),
    '.SH EXIT STATUS',
    ...STATUS.flatMap(([status, text]) => entry(String(status), text)),
    '.SH ENVIRONMENT',
    ...entry('NO_COLOR', 'Not empty: no colours.'),
    ...entry('FORCE_COLOR', '0 to 3: no colours, 16, 256, all of them; goes before NO_COLOR.'),
    ...entry('XDG_CONFIG_HOME', 'Where mmtop/config.json is looked for; ~/.config otherwise.'),
  ]
  return `${lines.join('\n')}\n`
}
