/**
 * The kernel's log: what dmesg shows, and each line of it an event for the screens.
 *
 * Records are numbered on from those of boot, which are not kept. A record may have several lines; readers of the log see "\\x0a" where one
 * ends. Of a long log the oldest records are dropped.
 *
 * Some messages come at most so often: of the others there is a count before the next one.
 *
 * Source: kernel/printk/printk.c (vprintk_store, info_print_ext_header, record_print_text), kernel/panic.c panic, lib/ratelimit.c.
 */
import { now, sinceBoot } from './cost.ts'
import type { Kernel } from './state.ts'
import type { KernelLog, LogRecord, Ratelimit } from './state_memory.ts'

const KERN_EMERG = 0
export const KERN_ALERT = 1
export const KERN_ERR = 3
export const KERN_WARNING = 4
export const KERN_INFO = 6

/** About as many records as a boot leaves before the first process runs. */
const BOOT_RECORDS = 353
const KEPT = 4096

const ratelimitState = (): Ratelimit => ({ beginNs: undefined, printed: 0, missed: 0 })

export const kernelLog = (): KernelLog => ({
  records: [],
  next: BOOT_RECORDS,
  read: BOOT_RECORDS,
  quietDrops: false,
  allocFailures: ratelimitState(),
  oomReports: ratelimitState(),
  swapErrors: ratelimitState(),
})

/** Logs one record. */
export function printk(k: Kernel, level: number, text: string): void {
  const { log } = k
  log.records.push({ seq: log.next++, level, us: Math.floor(sinceBoot(now(k)) / 1000), text })
  if (log.records.length > KEPT) log.records.shift()
  for (const line of text.split('\n')) k.events.push({ ns: now(k), kind: 'kernel', text: line.trim() })
}

/**
 * Whether a message is to be logged (___ratelimit).
 * @param burst how many of the kind may be within the interval.
 * @param where the function that logs: it stands before the count of those that were left out.
 */
export function ratelimit(k: Kernel, limit: Ratelimit, intervalNs: number, burst: number, where: string): boolean {
  limit.beginNs ??= now(k)
  if (now(k) > limit.beginNs + intervalNs) {
    if (limit.missed > 0) printk(k, KERN_WARNING, `${where}: ${limit.missed} callbacks suppressed`)
    limit.missed = 0
    limit.beginNs = now(k)
    limit.printed = 0
  }
  if (limit.printed < burst) {
    limit.printed++
    return true
  }
  limit.missed++
  return false
}

/** Where Linux would stop for good: the log says so, with an event of its own, and what comes after can be seen as well. */
export function panic(k: Kernel, text: string): void {
  printk(k, KERN_EMERG, `Kernel panic - not syncing: ${text}`)
  k.events.push({ ns: now(k), kind: 'panic', text })
}

const shown = ({ level, seq, us, text }: LogRecord): string => `${level},${seq},${us},-;${text.replaceAll('\n', '\\x0a')}\n`

/** The records that were logged since this was asked last, as /dev/kmsg gives them. */
export function readLog(k: Kernel): string {
  const { log } = k
  const fresh = log.records.filter(({ seq }) => seq >= log.read)
  log.read = log.next
  return fresh.map(shown).join('')
}
