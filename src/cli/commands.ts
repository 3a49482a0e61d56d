/** The commands, their arguments and options: what --help prints is made of this. */
import { Argument, Command, Option } from 'commander'
import { THEME_NAMES } from '../tui/theme.ts'
import { UserError } from '../user_error.ts'
import { parseExpectation } from '../view/expectations.ts'
import { LAYOUTS } from '../view/layouts.ts'
import { VIEW_NAMES } from '../view/views.ts'
import type { Words } from './run.ts'
import { toBytes, toCount, toInterval, toNames, toNs, toPair, toPort, toSeed, toSetting, toSpeed, toWidth } from './values.ts'

/** Takes the exit status of the command that ran. */
type Done = (status: number) => void

const VERSION = process.env.MMTOP_VERSION ?? 'development'

const EXAMPLES = `
Examples:
  mmtop                                            the screens over the bundled tour
  mmtop host                                       this machine on the same screens
  mmtop play run.mmtop                             a recording on the screens: pause, seek, speed
  mmtop snapshot run.mmtop --at 10s --view thp     one screen in text
  mmtop snapshot run.mmtop --expect 'thp_fault_alloc >= 32'
  mmtop -b -d 5 -n 3 run.mmtop                     batch mode, like that of top

Exit status: 0 all is well, 1 an expectation did not hold, 2 wrong input or arguments, 130 interrupted.`

const TARGET = 'workload or recording, or "host" for this machine'

export function addCommands(program: Command, done: Done): void {
  program
    .description('top and vmstat for Linux memory management: simulated machines, recordings and the real host on the same screens')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .addHelpText('after', EXAMPLES)
    .argument('[target]', `${TARGET}; the bundled tour without one`)
    .option('-b, --batch', 'print screens as text, one after the other')
    .addOption(width())
  looks(program)
  sourceOptions(program).action(async (target: string | undefined, words: Words) =>
    done(await (await run()).screensOrText(target, words, commandNames(program))),
  )
  for (const command of commandsOf(done)) program.addCommand(command.copyInheritedSettings(program))
}

const commandsOf = (done: Done): Command[] => [
  play(done),
  record(done),
  snapshot(done),
  vmstat(done),
  diff(done),
  cat(done),
  check(done),
  importCommand(done),
  tunables(done),
  numa(done),
  slab(done),
  pages(done),
  explain(done),
  serve(done),
  mountTree(done),
  completionOf(done),
  man(done),
  schema(done),
]

const commandNames = (program: Command): string[] => program.commands.map(command => command.name())

/** What the commands do is loaded when one is called. */
const run = () => import('./run.ts')

/** An option whose value is checked as it is read; a mistake says which option it was. */
function option<T>(flags: string, help: string, parse: (text: string, before: T) => T): Option {
  return new Option(flags, help).argParser((text: string, before: T) => {
    try {
      return parse(text, before)
    } catch (error) {
      throw error instanceof UserError ? new UserError(`${flags.replace(/^-\w, | .*/g, '')}: ${error.message}`) : error
    }
  })
}

/** An option that may be given several times. */
function repeated<T>(flags: string, help: string, parse: (text: string) => T): Option {
  return option<T[]>(flags, help, (text, before) => [...before, parse(text)]).default([], 'none')
}

const at = () => option('--at <time>', 'the last sample at or before this machine time: 10s, 500ms, 2m', toNs)
const filter = () => new Option('--filter <text>', 'rows of a list: text, !text, /regex/, column > value').default('', 'none')
const fields = (help = 'columns of a table, by name') => option('--fields <names>', `${help}; commas between`, toNames)
const top = () => option('--top <n>', 'that many rows', toCount)
const width = () => option('--width <columns>', 'columns of text output', toWidth).default(120)

function sourceOptions(command: Command): Command {
  return command
    .addOption(repeated('--set <path=value>', 'write a knob before the start; may be repeated', toSetting))
    .option('--machine <line>', "a machine instead of the workload's own: 'nodes=2 mem=4G,4G'")
    .option('--like <recording>', 'boot a machine like that one: shape, knobs, memory in use, free lists; "host": like this one')
    .option('--write', 'host only, as root: knobs may be written')
    .addOption(option('--seed <n>', 'seed of everything random', toSeed))
    .addOption(option('--speed <x>', 'machine seconds per second, or max', toSpeed))
    .addOption(option('-d, --delay <secs>', 'machine time between samples', toInterval))
    .addOption(option('-n, --count <n>', 'stop after this many samples', toCount))
}

/** How the screens look. */
function looks(command: Command): Command {
  return command
    .option('--no-color', 'no colours on the screens')
    .option('--ascii', 'nothing but ASCII')
    .option('--plain', 'lines instead of screens: for screen readers and dumb terminals')
    .addOption(new Option('--theme <name>', 'colours of the screens').choices([...THEME_NAMES]))
    .addOption(new Option('--glyphs <name>', 'what charts are drawn with').choices(['auto', 'braille', 'block', 'ascii']))
    .option('--layout <name>', `several panels on one screen: ${Object.keys(LAYOUTS).join(', ')}, or as in 'thp | zones / processes'`)
    .option('--mouse', 'the wheel scrolls, a click chooses')
    .option('--config <file>', 'a configuration file instead of $XDG_CONFIG_HOME/mmtop/config.json')
}

function play(done: Done): Command {
  const command = new Command('play')
    .description('the screens over a recording: pause, seek, speed')
    .argument('<recording>', 'of either format')
    .addOption(option('--speed <x>', 'machine seconds per second, or max', toSpeed))
  return looks(command).action(async (file: string, words: Words) => done(await (await run()).playFile(file, words)))
}

function record(done: Done): Command {
  const command = new Command('record')
    .description('run without screens, as fast as it goes, and record')
    .argument('<target>', TARGET)
    .requiredOption('-o, --output <file>', 'file to write')
    .option('--raw', 'keep the full text of every file, as the oracle does')
  return sourceOptions(command).action(async (target: string, words: Words) => done(await (await run()).recordTarget(target, words)))
}

function snapshot(done: Done): Command {
  const command = new Command('snapshot')
    .description('samples without screens, and expectations for tests')
    .argument('[target]', `${TARGET}; the bundled tour without one`)
    .addOption(at())
    .addOption(option('--every <time>', 'a sample each time this much machine time has passed', toInterval))
    .option('--view <name>', `${VIEW_NAMES.join(' ')}, or a table of --format json`)
    .addOption(new Option('--format <format>', 'how to print').choices(['text', 'csv', 'json', 'openmetrics']))
    .addOption(
      repeated(
        '--expect <expectation>',
        "exit 1 unless it holds at the end: 'pgfault >= 1M', '/proc/vmstat:pgfault >= +32'",
        parseExpectation,
      ),
    )
    .addOption(filter())
    .addOption(fields())
    .option('--sort <column>', 'rows by this column, largest first; +column: smallest first')
    .addOption(top())
    .addOption(width())
    .option('--ascii', 'nothing but ASCII')
  return sourceOptions(command).action(async (target: string | undefined, words: Words) =>
    done(await (await run()).snapshotTarget(target, words)),
  )
}

function vmstat(done: Done): Command {
  const command = new Command('vmstat')
    .description('a row a sample, as vmstat prints them: [target] [delay [count]]')
    .argument('[words...]', `${TARGET}; a delay in seconds; a count`)
    .addOption(fields('figures instead of the usual ones: pgfault,MemFree,N0.numa_miss'))
  return sourceOptions(command).action(async (words: string[], options: Words) => done(await (await run()).vmstatRows(words, options)))
}

function diff(done: Done): Command {
  const command = new Command('diff')
    .description('two recordings, JSON snapshots or workloads: mean rates and levels that differ, most changed first')
    .argument('<a>', `${TARGET}, or JSON of snapshot`)
    .argument('<b>', 'the same')
    .addOption(option('--at <time>', 'follow workloads up to this machine time', toNs))
    .addOption(new Option('--format <format>', 'how to print').choices(['text', 'csv', 'json']))
    .addOption(filter())
    .addOption(top())
  return sourceOptions(command).action(async (a: string, b: string, words: Words) => done(await (await run()).diffTargets(a, b, words)))
}

function cat(done: Done): Command {
  const command = new Command('cat')
    .description('one file of the machine, as its kernel prints it')
    .argument('<target>', TARGET)
    .argument('<path>', 'as in /proc/zoneinfo')
    .addOption(at())
    .addOption(option('--skip <bytes>', 'of a file of numbers (/proc/kpageflags): begin there', toBytes))
    .addOption(option('--bytes <n>', 'of a file of numbers: so many bytes', toBytes))
  return sourceOptions(command).action(async (target: string, path: string, words: Words) =>
    done(await (await run()).catFile(target, path, words)),
  )
}

function pages(done: Done): Command {
  const command = new Command('pages')
    .description('pages counted by flags, mappings and owners, as page-types does; with USS, PSS and RSS')
    .argument('<workload>', 'what runs on the simulated machine')
    .argument('[process]', 'number or name; all of memory without it')
    .addOption(repeated('--flag <names>', "only pages with these flags: 'lru,anon', '!active' for those without", text => text))
    .addOption(at())
  return sourceOptions(command).action(async (target: string, who: string | undefined, words: Words) =>
    done(await (await run()).countPages(target, who, words)),
  )
}

function check(done: Done): Command {
  return new Command('check')
    .description('read a workload or recording and say what is wrong with it')
    .argument('<file>', TARGET)
    .action(async (file: string) => done(await (await run()).checkFile(file)))
}

function tunables(done: Done): Command {
  const command = new Command('tunables')
    .description('every knob: path, value, default, range, meaning')
    .argument('[pattern]', 'text or /regex/ in any column', '')
    .option('--of <target>', `${TARGET}; the bundled tour without it`)
    .addOption(width())
    .option('--ascii', 'nothing but ASCII')
  return sourceOptions(command).action(async (pattern: string, words: Words) => done(await (await run()).listTunables(pattern, words)))
}

function importCommand(done: Done): Command {
  return new Command('import')
    .description(
      'a trace of a real program as a workload with page faults at the same addresses; what vmstat or sar printed as a recording',
    )
    .addArgument(new Argument('<tool>', 'that wrote the text').choices(['perf', 'strace', 'vmstat', 'sar']))
    .argument('<file>', 'text of perf script, of strace -f -ttt -y, of vmstat -t 1 or of sar -r ALL -B -W -S, also gzipped')
    .requiredOption('-o, --output <file>', 'workload to write, or recording')
    .addOption(option('-d, --delay <secs>', 'vmstat: time between rows without times; 1 unless said', toInterval))
    .action(async (tool: string, file: string, words: Words) => done(await (await run()).importFile(tool, file, words)))
}

function slab(done: Done): Command {
  const command = new Command('slab')
    .description('kernel objects: the extended report of slabinfo, and its plots')
    .argument('[targets...]', `${TARGET}; several are plotted together; the bundled tour without one`)
    .addOption(option('-N, --rows <n>', 'caches in each list', toCount))
    .option('--scaled', 'sizes as 1.2M instead of bytes')
    .addOption(new Option('--plot <what>', 'plot instead of report').choices(['totals', 'size', 'loss']))
    .option('-o, --output <file>', 'write the plot as .svg or .png; the terminal otherwise')
    .addOption(option('-s, --size <w,h>', 'pixels of the picture', toPair))
    .addOption(option('-r, --range <from,to>', 'samples to plot, numbered from 0', toPair))
    .addOption(at())
    .addOption(width())
  looks(command)
  return sourceOptions(command).action(async (targets: string[], words: Words) => done(await (await run()).slabReports(targets, words)))
}

function numa(done: Done): Command {
  const command = new Command('numa')
    .description('what numastat and numactl print on the machine')
    .argument('[target]', `${TARGET}; the bundled tour without one`)
    .option('-m, --meminfo', 'memory of each node, in MB')
    .option('-N, --events', 'hits and misses of each node, in MB')
    .option('-p, --process <pid|name>', 'memory of processes on each node')
    .option('-H, --hardware', 'nodes, their CPUs, sizes and distances')
    .option('--show <pid|name>', 'policy, CPUs and nodes of a process')
    .option('-z, --skip-zeros', 'leave out rows and columns of zeros')
    .option('-c, --compact', 'columns as narrow as their figures')
    .addOption(at())
  return sourceOptions(command).action(async (target: string | undefined, words: Words) =>
    done(await (await run()).numaReport(target, words)),
  )
}

function serve(done: Done): Command {
  const command = new Command('serve')
    .description("OpenMetrics on loopback, with node_exporter's names where they exist")
    .argument('[target]', `${TARGET}; the bundled tour without one`)
    .addOption(option('--port <n>', '9178 unless said; 0: any free one', toPort))
  return sourceOptions(command).action(async (target: string | undefined, words: Words) =>
    done(await (await run()).serveTarget(target, words)),
  )
}

function mountTree(done: Done): Command {
  const command = new Command('mount-tree')
    .description('keeps the /proc and /sys files below a directory, and takes writes to knobs: real tools read the machine')
    .argument('<directory>', 'an empty one, or one of before')
    .argument('[target]', `${TARGET}; the bundled tour without one`)
    .option('--run <command>', 'run a command to which these are its /proc and /sys, and end with it')
  return sourceOptions(command).action(async (directory: string, target: string | undefined, words: Words) =>
    done(await (await run()).mountTarget(directory, target, words)),
  )
}

function completionOf(done: Done): Command {
  return new Command('completion')
    .description('completion of commands and options for a shell: source <(mmtop completion bash)')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: string, _words: Words, command: Command) => done(await (await paper()).printCompletion(rootOf(command), shell)))
}

function man(done: Done): Command {
  return new Command('man')
    .description('the man page, as roff: mmtop man | man -l -')
    .action(async (_words: Words, command: Command) => done(await (await paper()).printManPage(rootOf(command), VERSION)))
}

function schema(done: Done): Command {
  return new Command('schema')
    .description('the JSON Schema of what is printed and of what is read')
    .addArgument(new Argument('<name>', 'of snapshot --format json, or of the configuration file').choices(['snapshot', 'config']))
    .action(async (name: string) => done(await (await paper()).printSchema(name)))
}

/** What describes the command itself. */
const paper = () => import('./paper.ts')
const rootOf = (command: Command): Command => command.parent ?? command

function explain(done: Done): Command {
  return new Command('explain')
    .description('what a figure means, its unit, the file it is read from and where the kernel makes it')
    .argument('<name>', 'as on the screens: thp_split_pmd, MemAvailable, pss_bytes')
    .option('--search', 'every figure that has this text in its name or meaning')
    .action(async (name: string, words: Words) => done(await (await run()).explainName(name, words.search === true)))
}
