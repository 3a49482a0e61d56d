/**
 * What the out-of-memory killer writes to the log: who asked for what, how memory stands, who could be killed and who is.
 *
 *     NAME invoked oom-killer: gfp_mask=..., order=0      the request
 *     Mem-Info: ...                                       counters, nodes, zones, free blocks by order with the types they have
 *     Tasks state ...                                     unless oom_dump_tasks is 0
 *     oom-kill:constraint=...                             the verdict in one line
 *     Out of memory: Killed process ...
 *
 * How memory stands is told by show_mem.ts; for a memory cgroup its usage and its figures stand in the place of the machine's. Where
 * kernel objects take more than all pages on lists, the caches are listed too.
 *
 * Source: mm/oom_kill.c (dump_header, dump_tasks, dump_oom_summary), mm/memcontrol.c (mem_cgroup_print_oom_meminfo,
 * mem_cgroup_print_oom_context, mem_cgroup_print_oom_group).
 */
import { NS } from '../base/counters.ts'
import { KERN_ERR, KERN_INFO, KERN_WARNING, printk } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { PAGE_KB } from '../base/units.ts'
import { distinctCaches, partialSlabs } from '../caches/slab.ts'
import { memcgOf, PAGE_COUNTER_MAX, ROOT_MEMCG } from '../frames/memcg.ts'
import { memcgStatText } from '../frames/memcg_stat.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { shownRss, shownRssPages, shownSwap } from '../spaces/rss.ts'
import { cpusetText, currentComm, dumpStack, gfpText, nodemaskText, showMem } from './show_mem.ts'

/** What is out of memory, for what request, and what limits it. */
export interface OomReport {
  readonly gfp: number
  readonly order: number
  /** Bit per node that the request's policy allows; ALL_NODES: it has none. */
  readonly nodemask: number
  readonly memcg: number
  readonly constraint: 'none' | 'memcg' | 'memory_policy' | 'cpuset'
}

/** The machine's part of the report, and the candidates. @param candidates in order of their numbers */
export function dumpHeader(k: Kernel, oc: OomReport, victim: Task | undefined, candidates: readonly Task[]): void {
  const asked = `gfp_mask=0x${oc.gfp.toString(16)}(${gfpText(oc.gfp)}), order=${oc.order}`
  printk(k, KERN_WARNING, `${currentComm(k)} invoked oom-killer: ${asked}, oom_score_adj=${k.current?.oomScoreAdj ?? 0}`)
  dumpStack(k)
  if (oc.memcg !== ROOT_MEMCG) showMemcg(k, oc.memcg)
  else {
    showMem(k, oc.gfp, oc.nodemask === ALL_NODES ? (k.current?.memsAllowed ?? ALL_NODES) : oc.nodemask)
    if (slabsOutweigh(k)) dumpUnreclaimableSlab(k)
  }
  if (k.sysctl.oom_dump_tasks !== 0) dumpTasks(k, candidates)
  if (victim !== undefined) dumpSummary(k, oc, victim)
}

const kb = (pages: number): number => pages * PAGE_KB

const machinePages = (k: Kernel, item: number): number => k.nodes.reduce((pages, node) => pages + node.stat[item], 0)

/** Whether kernel objects that cannot be given back take more than all pages on lists (should_dump_unreclaim_slab). */
function slabsOutweigh(k: Kernel): boolean {
  const items = [NS.nr_active_anon, NS.nr_inactive_anon, NS.nr_active_file, NS.nr_inactive_file, NS.nr_unevictable]
  const listed = items.reduce((pages, item) => pages + machinePages(k, item), 0)
  return machinePages(k, NS.nr_slab_unreclaimable) > listed
}

function dumpUnreclaimableSlab(k: Kernel): void {
  printk(k, KERN_INFO, 'Unreclaimable slab info:')
  printk(k, KERN_INFO, 'Name                      Used          Total')
  for (const cache of distinctCaches(k)) {
    const objects = cache.bootSlabs * cache.objectsPerSlab + cache.total
    if (cache.reclaimable || objects === 0) continue
    const free = k.nodes.reduce((n, node) => n + partialSlabs(k, cache, node.id).free, 0)
    const inKb = (n: number) => `${String(Math.floor((n * cache.objectBytes) / 1024)).padStart(10)}KB`
    printk(k, KERN_INFO, `${cache.name.padEnd(17)} ${inKb(objects - free)} ${inKb(objects)}`)
  }
}

/** What a group's counter says; without a limit it is the largest there can be. */
function showMemcg(k: Kernel, id: number): void {
  const { memory, swap } = memcgOf(k, id)
  const limit = (pages: number) => kb(Math.min(pages, PAGE_COUNTER_MAX))
  printk(k, KERN_INFO, `memory: usage ${kb(memory.usage)}kB, limit ${limit(memory.max)}kB, failcnt ${memory.failures}`)
  printk(k, KERN_INFO, `swap: usage ${kb(swap.usage)}kB, limit ${limit(swap.max)}kB, failcnt ${swap.failures}`)
  printk(k, KERN_INFO, `Memory cgroup stats for ${memcgPath(k, id)}:`)
  printk(k, KERN_INFO, memcgStatText(k, id).trimEnd())
}

/** Path of the group's directory below the mount. */
function memcgPath(k: Kernel, id: number): string {
  const names: string[] = []
  for (let at = k.cgroup.groups.get(memcgOf(k, id).cgroup); at !== undefined && at.parent !== 0; at = k.cgroup.groups.get(at.parent))
    names.unshift(at.name)
  return `/${names.join('/')}`
}

function dumpTasks(k: Kernel, candidates: readonly Task[]): void {
  const right = (n: number, width: number) => String(n).padStart(width)
  printk(k, KERN_INFO, 'Tasks state (memory values in pages):')
  printk(k, KERN_INFO, '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name')
  for (const { pid, uid, mm, oomScoreAdj, comm } of candidates) {
    if (mm === undefined) continue
    const who = `[${right(pid, 7)}] ${right(uid, 5)} ${right(pid, 5)}`
    const has = `${right(mm.totalVm, 8)} ${right(shownRssPages(mm), 8)} ${right(mm.pgtablesBytes, 8)} ${right(shownSwap(mm), 8)}`
    printk(k, KERN_INFO, `${who} ${has}         ${right(oomScoreAdj, 5)} ${comm}`)
  }
}

function dumpSummary(k: Kernel, oc: OomReport, victim: Task): void {
  const words = [
    `oom-kill:constraint=CONSTRAINT_${oc.constraint.toUpperCase()}`,
    `nodemask=${nodemaskText(oc.nodemask)}`,
    cpusetText(k),
    oc.memcg === ROOT_MEMCG ? 'global_oom' : `oom_memcg=${memcgPath(k, oc.memcg)}`,
    `task_memcg=${memcgPath(k, victim.memcg)}`,
    `task=${victim.comm}`,
    `pid=${victim.pid}`,
    `uid=${victim.uid}`,
  ]
  printk(k, KERN_INFO, words.join(','))
}

/** The line that everybody looks for. @param why "Out of memory" or the like */
export function reportKilled(k: Kernel, victim: Task, why: string): void {
  const { mm } = victim
  if (mm === undefined) return
  const { anon, file, shmem } = shownRss(mm)
  const has = `total-vm:${kb(mm.totalVm)}kB, anon-rss:${kb(anon)}kB, file-rss:${kb(file)}kB, shmem-rss:${kb(shmem)}kB`
  const rest = `UID:${victim.uid} pgtables:${mm.pgtablesBytes / 1024}kB oom_score_adj:${victim.oomScoreAdj}`
  printk(k, KERN_ERR, `${why}: Killed process ${victim.pid} (${victim.comm}) ${has}, ${rest}`)
}

/** A whole group is to die. */
export const reportGroup = (k: Kernel, memcg: number): void =>
  printk(k, KERN_INFO, `Tasks in ${memcgPath(k, memcg)} are going to be killed due to memory.oom.group set`)

/** The reaper has unmapped the memory of a process that was killed (oom_reap_task_mm). */
export function reportReaped(k: Kernel, pid: number, comm: string, mm: Mm): void {
  const { anon, file, shmem } = shownRss(mm)
  const left = `now anon-rss:${kb(anon)}kB, file-rss:${kb(file)}kB, shmem-rss:${kb(shmem)}kB`
  printk(k, KERN_INFO, `oom_reaper: reaped process ${pid} (${comm}), ${left}`)
}
