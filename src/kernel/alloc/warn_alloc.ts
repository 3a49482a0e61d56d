/**
 * A page that could not be had, in the kernel's log: who asked for what, and how memory stands. At most one in ten seconds, and none of
 * requests whose callers can do without (__GFP_NOWARN).
 *
 * Who may use memory beyond its own nodes, because it frees memory or may not wait, gets all nodes shown.
 *
 * Source: mm/page_alloc.c (warn_alloc, warn_alloc_show_mem).
 */
import { now } from '../base/cost.ts'
import { __GFP_DIRECT_RECLAIM, __GFP_NOMEMALLOC, __GFP_NOWARN } from '../base/flags.ts'
import { KERN_WARNING, printk, ratelimit } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { cpusetText, currentComm, dumpStack, gfpText, nodemaskText, showMem } from '../reclaim/show_mem.ts'

const INTERVAL_NS = 10e9

/** @param nodemask nodes that the request names; ALL_NODES: none. @param what failed */
export function warnAlloc(k: Kernel, gfp: number, nodemask: number, what: string): void {
  if ((gfp & __GFP_NOWARN) !== 0 || !ratelimit(k, k.log.allocFailures, INTERVAL_NS, 1, 'warn_alloc')) return
  const mode = `mode:0x${gfp.toString(16)}(${gfpText(gfp)})`
  k.events.push({ ns: now(k), kind: 'allocfail', text: `${currentComm(k)}: ${what}, ${mode}` })
  printk(k, KERN_WARNING, `${currentComm(k)}: ${what}, ${mode}, nodemask=${nodemaskText(nodemask)},${cpusetText(k)}`)
  dumpStack(k)
  const { current } = k
  const frees = (gfp & __GFP_NOMEMALLOC) === 0 && current !== undefined && (current.oomVictim || current.exiting)
  const everywhere = frees || current === undefined || (gfp & __GFP_DIRECT_RECLAIM) === 0
  const asked = nodemask === ALL_NODES ? (current?.memsAllowed ?? ALL_NODES) : nodemask
  showMem(k, gfp, everywhere ? ALL_NODES : asked)
}
