/**
 * A process' ops on memory policies and on where its pages are.
 */
import { EINVAL } from '../kernel/base/errno.ts'
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
import type { Task } from '../kernel/base/state_mm.ts'
import { sysMbind, sysSetMempolicyHomeNode } from '../kernel/calls/mbind.ts'
import { type PolicyRequest, sysGetMempolicy, sysSetMempolicy } from '../kernel/calls/mempolicy.ts'
import { notYet } from './interpreter_missing.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, Run, Worker } from './interpreter_state.ts'
import { POLICY_MODES, type Policy, type PolicyQuestion } from './program.ts'

type PolicyOp = OpOf<'mbind' | 'set_mempolicy' | 'get_mempolicy' | 'migrate_pages' | 'move_pages' | 'home_node'>

const MODES = {
  default: MPOL_DEFAULT,
  preferred: MPOL_PREFERRED,
  bind: MPOL_BIND,
  interleave: MPOL_INTERLEAVE,
  local: MPOL_LOCAL,
  preferred_many: MPOL_PREFERRED_MANY,
} as const
const MODE_FLAGS = { static: MPOL_F_STATIC_NODES, relative: MPOL_F_RELATIVE_NODES, balancing: MPOL_F_NUMA_BALANCING } as const
const MBIND_FLAGS = { move: MPOL_MF_MOVE, move_all: MPOL_MF_MOVE_ALL, strict: MPOL_MF_STRICT } as const
/** Bits of the node masks that the op hands over and asks for. */
const MASK_BITS = 64
const ANSWER_BITS = 1024

export function policyOp(run: Run, worker: Worker, doing: Doing, op: PolicyOp, _untilNs: number): number | undefined {
  const { k } = run
  switch (op.op) {
    case 'set_mempolicy':
      return setMempolicy(run, worker.task, op.policy)
    case 'get_mempolicy':
      return getMempolicy(run, worker, doing, op.question)
    case 'mbind': {
      const region = regionOf(worker, op.region)
      if (region === undefined) return -EINVAL
      const { offset, length } = extentOf(region, op.range)
      const flags = op.flags.reduce((all, word) => all | MBIND_FLAGS[word], 0)
      return sysMbind(k, worker.task, region.address + offset, length, requestOf(op.policy), flags)
    }
    case 'home_node': {
      const region = regionOf(worker, op.region)
      return region === undefined ? -EINVAL : sysSetMempolicyHomeNode(k, worker.task, region.address, region.bytes, op.node)
    }
    default:
      return 'region' in op && regionOf(worker, op.region) === undefined ? -EINVAL : notYet(doing)
  }
}

const requestOf = ({ mode, nodes, flags }: Policy): PolicyRequest => ({
  mode: MODES[mode],
  flags: flags.reduce((all, word) => all | MODE_FLAGS[word], 0),
  nodes,
  maxnode: MASK_BITS,
})

/** set_mempolicy(2) by the task. */
export const setMempolicy = (run: Run, task: Task, policy: Policy): number => sysSetMempolicy(run.k, task, requestOf(policy))

const hex = (mask: number) => `0x${mask.toString(16)}`

function getMempolicy(run: Run, worker: Worker, doing: Doing, question: PolicyQuestion): number {
  const { k } = run
  const { task } = worker
  if (question.kind === 'allowed') {
    const allowed = sysGetMempolicy(k, task, MPOL_F_MEMS_ALLOWED, 0, ANSWER_BITS)
    if (typeof allowed === 'number') return allowed
    doing.extra['mems_allowed'] = hex(allowed.nodes)
    return 0
  }
  const region = question.kind === 'task' ? undefined : regionOf(worker, question.region)
  if (question.kind !== 'task' && region === undefined) return -EINVAL
  const address = region === undefined || question.kind === 'task' ? 0 : region.address + question.offset
  const flags = (region === undefined ? 0 : MPOL_F_ADDR) | (question.kind === 'node' ? MPOL_F_NODE : 0)
  const found = sysGetMempolicy(k, task, flags, address, question.kind === 'node' ? undefined : ANSWER_BITS)
  if (typeof found === 'number') return found
  if (question.kind === 'node') doing.extra['node'] = found.mode
  else {
    doing.extra['mode'] = modeText(found.mode)
    doing.extra['nodes'] = hex(found.nodes)
  }
  return 0
}

function modeText(mode: number): string {
  const fixed = (mode & MPOL_F_STATIC_NODES) !== 0 ? '|static' : ''
  return `${POLICY_MODES[mode & 0xfff]}${fixed}${(mode & MPOL_F_RELATIVE_NODES) !== 0 ? '|relative' : ''}`
}
