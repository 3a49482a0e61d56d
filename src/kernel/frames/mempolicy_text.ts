/**
 * Memory policies as text: what numa_maps shows, and tmpfs' mount option.
 *
 *     bind:0-1    interleave=static:0,2    prefer=relative:1    prefer (many):0-1    local    default
 *
 * Source: mm/mempolicy.c (mpol_to_str, mpol_parse_str), lib/bitmap.c (bitmap_parselist, %*pbl).
 */
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { NO_NODE } from '../base/units.ts'
import { maskNodes, memoryNodes, nodeMask } from './mempolicy.ts'

/** Names by mode number. */
const MODES: readonly string[] = ['default', 'prefer', 'bind', 'interleave', 'local', 'prefer (many)']

/** Runs of nodes: "0-2,5". */
export function nodeListText(mask: number): string {
  const runs: string[] = []
  const nodes = maskNodes(mask)
  for (let i = 0; i < nodes.length; ) {
    let last = i
    while (nodes[last + 1] === nodes[last] + 1) last++
    runs.push(last === i ? `${nodes[i]}` : `${nodes[i]}-${nodes[last]}`)
    i = last + 1
  }
  return runs.join(',')
}

/** The policy as numa_maps prints it; undefined is the default one. */
export function mpolToStr(policy: Mempolicy | undefined): string {
  if (policy === undefined) return MODES[MPOL_DEFAULT]
  const flags = [
    (policy.flags & MPOL_F_STATIC_NODES) !== 0 ? 'static' : (policy.flags & MPOL_F_RELATIVE_NODES) !== 0 ? 'relative' : '',
    (policy.flags & MPOL_F_NUMA_BALANCING) !== 0 ? 'balancing' : '',
  ].filter(word => word !== '')
  const nodes = policy.mode === MPOL_LOCAL || policy.nodes === 0 ? '' : `:${nodeListText(policy.nodes)}`
  return `${MODES[policy.mode]}${flags.length > 0 ? `=${flags.join('|')}` : ''}${nodes}`
}

/** Node numbers of "0-2,5", or undefined when that is no such list. */
function parseNodes(text: string): number[] | undefined {
  if (!/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/.test(text)) return undefined
  const nodes: number[] = []
  for (const part of text.split(',')) {
    const [first, last = first] = part.split('-').map(Number)
    if (last < first || last >= 1024) return undefined
    for (let node = first; node <= last; node++) nodes.push(node)
  }
  return nodes
}

/**
 * tmpfs' mpol= option. The policy remembers the nodes as they were given; each file's is worked out when it is made.
 * @returns the policy, undefined for the default one, 'invalid' for what mount refuses with EINVAL.
 */
export function mpolParseStr(k: Kernel, text: string): Mempolicy | undefined | 'invalid' {
  const [head, ...lists] = text.split(':')
  const [word, ...flagWords] = head.split('=')
  const mode = MODES.indexOf(word)
  const list = lists.length > 0 ? lists.join(':') : undefined
  const named = list === undefined ? [] : parseNodes(list)
  if (mode < 0 || named === undefined || (nodeMask(named) & ~memoryNodes(k)) !== 0) return 'invalid'
  if (mode === MPOL_DEFAULT) return list === undefined ? undefined : 'invalid'
  if (!listSuits(mode, list)) return 'invalid'
  const flags = modeFlags(flagWords)
  if (flags < 0 || (mode === MPOL_LOCAL && flags !== 0) || (mode === MPOL_PREFERRED && list === undefined && flags !== 0)) return 'invalid'
  const asked = mode === MPOL_INTERLEAVE && list === undefined ? memoryNodes(k) : nodeMask(named)
  const local = mode === MPOL_PREFERRED && list === undefined
  return { mode: local ? MPOL_LOCAL : mode, flags, nodes: asked, userNodes: asked, homeNode: NO_NODE }
}

/** Whether the mode goes with this node list, or with none. */
function listSuits(mode: number, list: string | undefined): boolean {
  if (mode === MPOL_PREFERRED) return list === undefined || /^\d+$/.test(list)
  if (mode === MPOL_LOCAL) return list === undefined
  return (mode !== MPOL_BIND && mode !== MPOL_PREFERRED_MANY) || list !== undefined
}

function modeFlags(words: readonly string[]): number {
  if (words.length === 0) return 0
  const text = words.join('=')
  if (text === 'static') return MPOL_F_STATIC_NODES
  return text === 'relative' ? MPOL_F_RELATIVE_NODES : -1
}
