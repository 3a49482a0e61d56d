/**
 * /proc/PID/{status,stat,statm,comm,cmdline}.
 *
 * What the executor's processes have in common with real ones is shown as it is there: one thread, no signals waiting,
 * handlers for SIGBUS, SIGSEGV and SIGCHLD, all capabilities until setuid. Context switches and addresses of the program's parts are
 * not kept and read 0. All CPU time counts as the kernel's: what is modelled of a process is the work it makes for it.
 *
 * Source: fs/proc/array.c (proc_pid_status, do_task_stat, proc_pid_statm), fs/proc/task_mmu.c (task_mem, task_statm).
 */
import { sinceBoot } from '../../kernel/base/cost.ts'
import { VM_EXEC } from '../../kernel/base/flags.ts'
import type { Mm, Vma } from '../../kernel/base/state_mm.ts'
import { PAGE_KB, PAGE_SIZE } from '../../kernel/base/units.ts'
import { maskNodes, memsAllowed } from '../../kernel/frames/mempolicy.ts'
import { shownRss, shownRssPages, shownSwap } from '../../kernel/spaces/rss.ts'
import { eachVma } from '../../kernel/spaces/vma.ts'
import { kb, kilobytes, listText, maskText } from '../format.ts'
import type { Living } from './living.ts'

const ALL_CAPABILITIES = '000001ffffffffff'
const NONE = '0000000000000000'
/** SIGBUS, SIGSEGV and SIGCHLD, as bits of their numbers less one. */
const CAUGHT = (1 << 6) | (1 << 10) | (1 << 16)
const MAX_NUMNODES = 1024
const NS_PER_TICK = 1e7
const RLIM_INFINITY = '18446744073709551615'
const SIGCHLD = 17
/** Has forked but not called exec. */
const PF_FORKNOEXEC = 64

const stateOf = ({ k, task }: Living): readonly [letter: string, word: string] =>
  k.current === task ? ['R', 'running'] : ['S', 'sleeping']

/** The program's own code: the lowest executable area of a file. */
function textVma(mm: Mm): Vma | undefined {
  for (const vma of eachVma(mm)) if ((vma.flags & VM_EXEC) !== 0 && vma.mapping !== undefined) return vma
  return undefined
}

function textPages(mm: Mm): number {
  const text = textVma(mm)
  return text === undefined ? 0 : Math.min(text.end - text.start, mm.execVm)
}

/** Memory lines of status (task_mem). */
function memory(mm: Mm): string[] {
  const text = textPages(mm)
  const { anon, file, shmem } = shownRss(mm)
  return [
    kb('VmPeak:\t', Math.max(mm.totalVm, mm.hiwaterVm)),
    kb('VmSize:\t', mm.totalVm),
    kb('VmLck:\t', mm.lockedVm),
    kb('VmPin:\t', 0),
    kb('VmHWM:\t', Math.max(shownRssPages(mm), mm.hiwaterRss)),
    kb('VmRSS:\t', shownRssPages(mm)),
    kb('RssAnon:\t', anon),
    kb('RssFile:\t', file),
    kb('RssShmem:\t', shmem),
    kb('VmData:\t', mm.dataVm),
    kb('VmStk:\t', mm.stackVm),
    kb('VmExe:\t', text),
    kb('VmLib:\t', mm.execVm - text),
    kilobytes('VmPTE:\t', Math.floor(mm.pgtablesBytes / 1024)),
    kb('VmSwap:\t', shownSwap(mm)),
    kilobytes('HugetlbPages:\t', mm.hugetlbPages * PAGE_KB),
    'CoreDumping:\t0\n',
    `THP_enabled:\t${Number(!mm.thpDisable)}\n`,
  ]
}

export function status(living: Living): string {
  const { k, task, mm } = living
  const [letter, word] = stateOf(living)
  const four = (id: number) => `${id}\t${id}\t${id}\t${id}`
  const capabilities = task.uid === 0 ? ALL_CAPABILITIES : NONE
  const mems = maskNodes(memsAllowed(k, task))
  return [
    `Name:\t${escapedComm(task.comm)}\n`,
    `Umask:\t0022\nState:\t${letter} (${word})\n`,
    `Tgid:\t${task.pid}\nNgid:\t0\nPid:\t${task.pid}\nPPid:\t${task.parent}\nTracerPid:\t0\n`,
    `Uid:\t${four(task.uid)}\nGid:\t${four(0)}\n`,
    'FDSize:\t64\nGroups:\t \n',
    `NStgid:\t${task.pid}\nNSpid:\t${task.pid}\nNSpgid:\t0\nNSsid:\t0\n`,
    ...(mm === undefined ? [] : memory(mm)),
    `Threads:\t1\nSigQ:\t0/${Math.floor(k.boot.maxThreads / 2)}\n`,
    `SigPnd:\t${NONE}\nShdPnd:\t${NONE}\nSigBlk:\t${NONE}\nSigIgn:\t${NONE}\nSigCgt:\t${CAUGHT.toString(16).padStart(16, '0')}\n`,
    `CapInh:\t${NONE}\nCapPrm:\t${capabilities}\nCapEff:\t${capabilities}\nCapBnd:\t${ALL_CAPABILITIES}\nCapAmb:\t${NONE}\n`,
    'NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n',
    'Speculation_Store_Bypass:\tnot vulnerable\nSpeculationIndirectBranch:\talways enabled\n',
    `Cpus_allowed:\t${maskText(task.cpusAllowed, k.cpus.length)}\nCpus_allowed_list:\t${listText(task.cpusAllowed)}\n`,
    `Mems_allowed:\t${maskText(mems, MAX_NUMNODES)}\nMems_allowed_list:\t${listText(mems)}\n`,
    'voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n',
  ].join('')
}

/** In status, a newline or backslash in a name cannot end its line. */
const escapedComm = (name: string) => name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')

export function stat(living: Living): string {
  const { k, task, mm } = living
  const [letter] = stateOf(living)
  const text = mm === undefined ? undefined : textVma(mm)
  const ticks = (ns: number) => Math.floor(ns / NS_PER_TICK)
  const figures = [
    ...[task.parent, 0, 0, 0, -1, PF_FORKNOEXEC, task.minflt, 0, task.majflt, 0],
    ...[0, ticks(task.ranNs), 0, 0, 20, 0, 1, 0, ticks(sinceBoot(task.startNs))],
    ...[(mm?.totalVm ?? 0) * PAGE_SIZE, mm === undefined ? 0 : shownRssPages(mm), RLIM_INFINITY],
    ...[(text?.start ?? 0) * PAGE_SIZE, (text?.end ?? 0) * PAGE_SIZE, 0, 0, 0],
    ...[0, 0, 0, CAUGHT, Number(k.current !== task), 0, 0, SIGCHLD, task.cpu, 0, 0, 0, 0, 0],
    ...[0, 0, mm?.startBrk ?? 0, 0, 0, 0, 0, task.killed],
  ]
  return `${task.pid} (${task.comm}) ${letter} ${figures.join(' ')}\n`
}

export function statm({ mm }: Living): string {
  if (mm === undefined) return '0 0 0 0 0 0 0\n'
  const { anon, file, shmem } = shownRss(mm)
  return `${mm.totalVm} ${anon + file + shmem} ${file + shmem} ${textPages(mm)} 0 ${mm.dataVm + mm.stackVm} 0\n`
}

export const comm = ({ task }: Living): string => `${task.comm}\n`

/** The program's arguments are not kept; its name stands for them. */
export const cmdline = ({ task, mm }: Living): string => (mm === undefined ? '' : `${task.comm}\0`)
