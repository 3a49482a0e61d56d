/**
 * Shell completion, made from the option table: commands, the options of each, the words that an option takes, files
 * everywhere else.
 *
 *     bash   source <(mmtop completion bash)
 *     zsh    mmtop completion zsh > "${fpath[1]}/_mmtop"
 *     fish   mmtop completion fish | source
 */
import type { Command, Option } from 'commander'
import { LAYOUTS } from '../view/layouts.ts'
import { TABLES } from '../view/tables.ts'
import { VIEW_NAMES } from '../view/views.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** Words that an option's value is one of; undefined: anything, or a file. */
function valuesOf(option: Option): readonly string[] | undefined {
  if (option.long === '--view') return [...new Set([...VIEW_NAMES, ...Object.keys(TABLES)])]
  if (option.long === '--layout') return Object.keys(LAYOUTS)
  return option.argChoices
}

const visible = (command: Command): readonly Option[] => command.options.filter(option => !option.hidden)
const flagsOf = (option: Option): string[] => [option.short, option.long].flatMap(flag => flag ?? [])
const takesValue = (option: Option): boolean => option.required || option.optional
/** In single quotes of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

export function completion(program: Command, shell: Shell): string {
  return { bash, zsh, fish }[shell](program)
}

function bash(program: Command): string {
  const options = (command: Command) => visible(command).flatMap(flagsOf).join(' ')
  const cases = program.commands.map(command => `    ${command.name()}) words=${quoted(options(command))} ;;`)
  const values = new Map(
    [program, ...program.commands].flatMap(visible).flatMap(option => {
      const words = valuesOf(option)
      return words === undefined ? [] : [[flagsOf(option).join('|'), words.join(' ')] as const]
    }),
  )
  return `# bash completion of mmtop
_mmtop() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
    -*) ;;
    *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $before in
${[...values].map(([flags, words]) => `    ${flags}) COMPREPLY=($(compgen -W ${quoted(words)} -- "$word")); return ;;`).join('\n')}
  esac
  case $command in
${cases.join('\n')}
    *) words=${quoted([...program.commands.map(command => command.name()), 'host', options(program)].join(' '))} ;;
  esac
  if [[ $word == -* || -z $command ]]; then COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
  else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _mmtop mmtop
`
}

/** One specification of _arguments. */
function zshOption(option: Option): string {
  const text = option.description.replace(/[[\]:]/g, ' ')
  const words = valuesOf(option)
  const value = takesValue(option) ? `:value:${words === undefined ? '_files' : `(${words.join(' ')})`}` : ''
  const flags = flagsOf(option)
  return flags.length > 1 ? `{${flags.join(',')}}${quoted(`[${text}]${value}`)}` : quoted(`${flags[0]}[${text}]${value}`)
}

function zsh(program: Command): string {
  const specs = (command: Command) => visible(command).map(option => `      ${zshOption(option)} \\`)
  return `#compdef mmtop
_mmtop() {
  local -a commands
  commands=(
${program.commands.map(command => `    ${quoted(`${command.name()}:${command.description().replaceAll(':', ' ')}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    _files
    return
  fi
  case $words[2] in
${program.commands.map(command => [`    ${command.name()}) _arguments -s \\`, ...specs(command), "      '*:file:_files' ;;"].join('\n')).join('\n')}
    *) _arguments -s \\
${specs(program).join('\n')}
      '*:file:_files' ;;
  esac
}
_mmtop "$@"
`
}

function fish(program: Command): string {
  const names = program.commands.map(command => command.name())
  const option = (condition: string) => (each: Option) => {
    const words = valuesOf(each)
    return [
      `complete -c mmtop -n ${quoted(condition)}`,
      each.short === undefined ? '' : `-s ${each.short.slice(1)}`,
      each.long === undefined ? '' : `-l ${each.long.slice(2)}`,
      takesValue(each) ? '-r' : '',
      words === undefined ? '' : `-f -a ${quoted(words.join(' '))}`,
      `-d ${quoted(each.description)}`,
    ]
      .filter(part => part !== '')
      .join(' ')
  }
  const none = `not __fish_seen_subcommand_from ${names.join(' ')}`
  return [
    '# fish completion of mmtop',
    ...program.commands.map(
      command => `complete -c mmtop -n ${quoted(none)} -a ${quoted(command.name())} -d ${quoted(command.description())}`,
    ),
    ...visible(program).map(option(none)),
    ...program.commands.flatMap(command => visible(command).map(option(`__fish_seen_subcommand_from ${command.name()}`))),
    '',
  ].join('\n')
}
