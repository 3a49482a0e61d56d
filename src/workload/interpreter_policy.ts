/**
 * A process' ops on memory policies and on where its pages are.
 */
import { EINVAL, errnoName } from '../kernel/base/errno.ts'
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_ADDR,
  MPOL_F_MEMS_ALLOWED,
  MPOL_F_NODE,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_MF_MOVE,
  MPOL_MF_MOVE_ALL,
  MPOL_MF_STRICT,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../kernel/base/flags.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Task } from '../kernel/base/state_mm.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { sysMbind, sysSetMempolicyHomeNode } from '../kernel/calls/mbind.ts'
import { type FoundPolicy, type PolicyRequest, sysGetMempolicy, sysSetMempolicy } from '../kernel/calls/mempolicy.ts'
import { sysMigratePages } from '../kernel/calls/migrate_pages.ts'
import { sysMovePages } from '../kernel/calls/move_pages.ts'
import { condResched } from '../kernel/kernel.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, Run, Worker } from './interpreter_state.ts'
import type { Policy, PolicyMode } from './program.ts'

type PolicyOp = OpOf<'mbind' | 'set_mempolicy' | 'get_mempolicy' | 'migrate_pages' | 'move_pages' | 'home_node'>

const MODES: Readonly<Record<PolicyMode, number>> = {
  default: MPOL_DEFAULT,
  preferred: MPOL_PREFERRED,
  bind: MPOL_BIND,
  interleave: MPOL_INTERLEAVE,
  local: MPOL_LOCAL,
  preferred_many: MPOL_PREFERRED_MANY,
}
const FLAGS = { static: MPOL_F_STATIC_NODES, relative: MPOL_F_RELATIVE_NODES, balancing: MPOL_F_NUMA_BALANCING }
const MBIND_FLAGS = { move: MPOL_MF_MOVE, move_all: MPOL_MF_MOVE_ALL, strict: MPOL_MF_STRICT }
/** Bits of the node masks that the executor hands over, and of the one it asks for. */
const MASK_BITS = 64
const ANSWER_BITS = 1024

/** A policy as the executor's system call names it: a mask only where there are nodes. */
function request({ mode, nodes, flags }: Policy): PolicyRequest {
  const named = nodes.filter(node => node < MASK_BITS)
  return { mode: MODES[mode], flags: bits(flags, FLAGS), nodes: named, maxnode: named.length > 0 ? MASK_BITS : 0 }
}

const bits = <Name extends string>(names: readonly Name[], values: Readonly<Record<Name, number>>): number =>
  names.reduce((sum, name) => sum | values[name], 0)

/** set_mempolicy(2) by the task. */
export const setMempolicy = (k: Kernel, task: Task, policy: Policy): number => sysSetMempolicy(k, task, request(policy))

export function policyOp(run: Run, worker: Worker, doing: Doing, op: PolicyOp): number {
  const { k } = run
  const { task } = worker
  switch (op.op) {
    case 'set_mempolicy':
      return setMempolicy(k, task, op.policy)
    case 'get_mempolicy':
      return getMempolicy(k, worker, doing, op)
    case 'migrate_pages':
      return sysMigratePages(k, task, 0, MASK_BITS, op.from, op.to, condResched)
    default: {
      const region = regionOf(worker, op.region)
      if (region === undefined) return -EINVAL
      if (op.op === 'move_pages') return movePages(k, task, doing, region.address, op)
      if (op.op === 'home_node') return sysSetMempolicyHomeNode(k, task, region.address, region.bytes, op.node)
      const { offset, length } = extentOf(region, op.range)
      return sysMbind(k, task, region.address + offset, length, request(op.policy), bits(op.flags, MBIND_FLAGS), condResched)
    }
  }
}

/** Pages of one move_pages call, as the executor makes it, and what a status is before the kernel writes it. */
const MOVE_PAGES = 512
const UNTOUCHED = -255

/** A call for every 512 pages; what each page's status is, is counted. The result is the sum of what the calls said, or the last errno. */
function movePages(k: Kernel, task: Task, doing: Doing, address: number, op: OpOf<'move_pages'>): number {
  const { offset, length, node } = op
  const counts = new Map<number, number>()
  let moved = 0
  let error = 0
  for (let done = 0; done < length; done += MOVE_PAGES * PAGE_SIZE) {
    const pages = Math.min(MOVE_PAGES, Math.ceil((length - done) / PAGE_SIZE))
    const addresses = Array.from({ length: pages }, (_, i) => address + offset + done + i * PAGE_SIZE)
    const status = new Int32Array(pages).fill(UNTOUCHED)
    const nodes = node === undefined ? undefined : addresses.map(() => node)
    const ret = sysMovePages(k, task, 0, addresses, nodes, status, MPOL_MF_MOVE, condResched)
    if (ret < 0) error = ret
    else moved += ret
    for (const each of status) counts.set(each, (counts.get(each) ?? 0) + 1)
  }
  doing.extra['status'] = Object.fromEntries([...counts].sort(byStatus).map(([status, n]) => [statusName(status), n]))
  return error < 0 ? error : moved
}

/** Nodes in order, then errors in theirs. */
const byStatus = ([a]: [number, number], [b]: [number, number]) => (a < 0 || b < 0 ? b - a : a - b)

const statusName = (status: number) => (status >= 0 ? `${status}` : status === UNTOUCHED ? 'untouched' : `-${errnoName(status)}`)

function getMempolicy(k: Kernel, worker: Worker, doing: Doing, { question }: OpOf<'get_mempolicy'>): number {
  const { task } = worker
  if (question.kind === 'allowed') {
    return answer(sysGetMempolicy(k, task, MPOL_F_MEMS_ALLOWED, 0, ANSWER_BITS), ({ nodes }) => {
      doing.extra['mems_allowed'] = hex(nodes)
    })
  }
  if (question.kind === 'task') return answer(sysGetMempolicy(k, task, 0, 0, ANSWER_BITS), found => showPolicy(doing, found))
  const region = regionOf(worker, question.region)
  if (region === undefined) return -EINVAL
  const address = region.address + question.offset
  if (question.kind === 'policy')
    return answer(sysGetMempolicy(k, task, MPOL_F_ADDR, address, ANSWER_BITS), found => showPolicy(doing, found))
  return answer(sysGetMempolicy(k, task, MPOL_F_ADDR | MPOL_F_NODE, address, undefined), ({ mode }) => {
    doing.extra['node'] = mode
  })
}

function answer(found: FoundPolicy | number, show: (found: FoundPolicy) => void): number {
  if (typeof found === 'number') return found
  show(found)
  return 0
}

function showPolicy(doing: Doing, { mode, nodes }: FoundPolicy): void {
  const name = Object.entries(MODES).find(([, number]) => number === (mode & 0xfff))?.[0] ?? '?'
  const flags = `${(mode & MPOL_F_STATIC_NODES) !== 0 ? '|static' : ''}${(mode & MPOL_F_RELATIVE_NODES) !== 0 ? '|relative' : ''}`
  doing.extra['mode'] = name + flags
  doing.extra['nodes'] = hex(nodes)
}

const hex = (mask: number) => `0x${mask.toString(16)}`
