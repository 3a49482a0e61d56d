/**
 * Generations from outside: switching them on and off, and the commands of /sys/kernel/debug/lru_gen.
 *
 *     + MEMCG NODE MAX_SEQ [CAN_SWAP [FORCE_SCAN]]          ages: makes a younger generation than MAX_SEQ
 *     - MEMCG NODE SEQ [SWAPPINESS [NR_TO_RECLAIM]]         evicts generations up to SEQ; the two youngest stay
 *
 * Commands are told apart by commas, semicolons and line ends; the first that fails ends the write. Switching moves every page
 * from the lists in use to the others at once.
 *
 * Source: mm/vmscan.c (lru_gen_change_state, run_aging, run_eviction, run_cmd, lru_gen_seq_write).
 */
import { EINVAL, ERANGE } from '../base/errno.ts'
import { GFP_KERNEL } from '../base/flags.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import type { ScanControl } from '../base/state_reclaim.ts'
import { MAX_NR_ZONES, ZONE_DEVICE } from '../base/units.ts'
import { finishPlug, startPlug } from '../caches/block.ts'
import { drainGenerations, fillGenerations } from '../caches/lru.ts'
import { GEN_ANON, GEN_FILE } from '../caches/lru_gen.ts'
import { MAX_NR_GENS, MIN_NR_GENS } from '../frames/generations.ts'
import { memcgTree, ROOT_MEMCG } from '../frames/memcg.ts'
import { swappinessOf, tryToIncMaxSeq } from '../reclaim/lru_gen_aging.ts'
import { evictFolios } from '../reclaim/lru_gen_evict.ts'
import { scanControl } from '../reclaim/vmscan_control.ts'

/** Switches generations on or off. */
export function lruGenChangeState(k: Kernel, enabled: boolean): void {
  const { lruGen } = k
  if (lruGen.enabled === enabled) return
  if (lruGen.pages.length === 0) lruGen.pages = new Uint8Array(k.maxPfn + 1)
  lruGen.enabled = enabled
  for (const id of memcgTree(k, ROOT_MEMCG)) for (const node of k.nodes) (enabled ? fillGenerations : drainGenerations)(k, node.lruvecs[id])
}

/** Whether the node has memory (N_MEMORY): only such nodes are shown, and can be named. */
export const hasMemory = (k: Kernel, node: Node): boolean =>
  k.zones.slice(node.id * MAX_NR_ZONES, (node.id + 1) * MAX_NR_ZONES).some(zone => zone.presentPages > 0)

/** What number a group goes by in the file: the root is 1. */
export const memcgNumber = (id: number): number => id + 1

const COMMAND = /^(.)\s*(\d+)\s+(\d+)\s+(\d+)\s*(?:(?<=\s)(\d+)\s*(?:(?<=\s)(\d+)\s*)?)?$/s

/** A write to the file. @returns 0, or the errno of the first command that fails. */
export function lruGenCommands(k: Kernel, text: string): number {
  const sc = scanControl({ kswapd: false, gfp: GFP_KERNEL, order: 0, reclaimIdx: ZONE_DEVICE, priority: 0 })
  const { reclaiming } = k.memcg
  k.memcg.reclaiming = true
  const plugged = startPlug(k)
  k.lruGen.walk = { canSwap: false }
  let error = 0
  for (const line of text.split(/[,;\n]/)) {
    const command = line.trimStart()
    if (command !== '') error = runCommand(k, command, sc)
    if (error < 0) break
  }
  k.lruGen.walk = undefined
  if (plugged) finishPlug(k)
  k.memcg.reclaiming = reclaiming
  return error
}

function runCommand(k: Kernel, command: string, sc: ScanControl): number {
  const found = COMMAND.exec(command)
  if (found === null) return -EINVAL
  const [, act, memcg, nid, seq, swappiness, option] = found
  const node = k.nodes.at(Number(nid))
  const id = Number(memcg) - 1
  if (node === undefined || !hasMemory(k, node) || k.memcg.groups[id]?.online !== true) return -EINVAL
  const lruvec = node.lruvecs[id]
  const given = swappiness === undefined ? swappinessOf(k, lruvec) : Number(swappiness)
  if (given > 200) return -EINVAL
  if (act === '+') return runAging(k, node, lruvec, Number(seq), given > 0, option === undefined || Number(option) > 0)
  if (act === '-')
    return runEviction(k, node, lruvec, sc, { seq: Number(seq), swappiness: given, pages: Number(option ?? Number.POSITIVE_INFINITY) })
  return -EINVAL
}

function runAging(k: Kernel, node: Node, lruvec: Lruvec, seq: number, canSwap: boolean, forceScan: boolean): number {
  const { maxSeq, minSeq } = lruvec.gen
  if (seq < maxSeq) return 0
  if (seq > maxSeq) return -EINVAL
  if (!forceScan && minSeq[canSwap ? GEN_ANON : GEN_FILE] + MAX_NR_GENS - 1 <= maxSeq) return -ERANGE
  tryToIncMaxSeq(k, node, lruvec, maxSeq, canSwap, forceScan)
  return 0
}

interface Eviction {
  readonly seq: number
  readonly swappiness: number
  readonly pages: number
}

function runEviction(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl, { seq, swappiness, pages }: Eviction): number {
  const { gen } = lruvec
  if (seq + MIN_NR_GENS > gen.maxSeq) return -EINVAL
  sc.nrReclaimed = 0
  while (seq >= gen.minSeq[swappiness > 0 ? GEN_ANON : GEN_FILE] && sc.nrReclaimed < pages)
    if (evictFolios(k, node, lruvec, sc, swappiness).scanned === 0) break
  return 0
}
