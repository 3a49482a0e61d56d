/**
 * Which counters of the real machine are at rest, so that they need not be read in every frame.
 *
 *     hugepages-64kB/enabled   always inherit madvise [never]     the switch
 *     hugepages-64kB/stats/*   0                                  never moved: at rest
 *     /proc/2/stat             a thread of the kernel: it has no memory of its own
 *
 * A new kernel has a counter a file, hundreds of them, most for page sizes that nobody has switched on. What counts for something
 * that is switched off, and never did, is read in turn like a level; the first sign of life puts it back among those of every frame.
 */

/** A part of the kernel that can be off: its counters, the file that says so, and what that file says then. */
interface Switch {
  readonly counters: RegExp
  /** With $1 for what the first group of `counters` matched. */
  readonly path: string
  readonly off: RegExp
}

const SWITCHES: readonly Switch[] = [
  { counters: /^(\/sys\/kernel\/mm\/transparent_hugepage\/hugepages-\d+kB)\/stats\/\w+$/, path: '$1/enabled', off: /\[never\]/ },
  { counters: /^(\/sys\/kernel\/mm\/ksm)\/\w+$/, path: '$1/run', off: /^0$/m },
  { counters: /^\/sys\/kernel\/debug\/zswap\/\w+$/, path: '/sys/module/zswap/parameters/enabled', off: /^N$/m },
]

/** The file that switches a counter's part of the kernel on and off; undefined where there is none. */
export function switchOf(counter: string): string | undefined {
  const found = SWITCHES.find(({ counters }) => counters.test(counter))
  return found && counter.replace(found.counters, found.path)
}

/** Whether what counts in `counter` is off, by the text of its switch, and has never counted. */
export function isAtRest(counter: string, text: string | undefined, switchText: string | undefined): boolean {
  if (switchText === undefined || text?.trim() !== '0') return false
  return SWITCHES.some(({ counters, off }) => counters.test(counter) && off.test(switchText))
}

/** In the flags of a process: it is a thread of the kernel (include/linux/sched.h PF_KTHREAD). */
const KERNEL_THREAD = 0x200000
/** Flags are the seventh field behind the name. */
const FLAGS = /^\S+ \S+ \S+ \S+ \S+ \S+ (\d{1,10}) /

/** Whether a /proc/PID/stat is of a thread of the kernel. */
export function isKernelThread(stat: string): boolean {
  const flags = FLAGS.exec(stat.slice(stat.lastIndexOf(')') + 2))
  return flags !== null && (Number(flags[1]) & KERNEL_THREAD) !== 0
}
