/**
 * /sys/kernel/debug/lru_gen and lru_gen_full: the generations of each memory cgroup on each node with memory.
 *
 *     memcg  NUMBER PATH
 *      node  NUMBER
 *          SEQ  AGE_MS  ANON_PAGES  FILE_PAGES            one line a generation, the oldest first
 *               tier  refaulted, evicted, protected ...   (full) of the oldest of each type; averages beside the youngest
 *               L O Y N F A                               (full) what walks have seen: frames/generations.ts MM_STATS
 *
 * The short file takes commands (calls/lru_gen.ts). The full one shows the last four generations, gone ones marked with x.
 *
 * Source: mm/vmscan.c (lru_gen_seq_show, lru_gen_seq_show_full).
 */
import { JIFFY_MS, jiffies } from '../kernel/base/jiffies.ts'
import type { Kernel, Node } from '../kernel/base/state.ts'
import type { LruvecGen } from '../kernel/base/state_lru_gen.ts'
import { GEN_ANON, GEN_FILE, genOf } from '../kernel/caches/lru_gen.ts'
import { cgroupPath } from '../kernel/calls/cgroup.ts'
import { hasMemory, lruGenCommands, memcgNumber } from '../kernel/calls/lru_gen.ts'
import { MAX_NR_GENS, MAX_NR_TIERS } from '../kernel/frames/generations.ts'
import { memcgOf, memcgTree, ROOT_MEMCG } from '../kernel/frames/memcg.ts'
import { genSize } from '../kernel/reclaim/lru_gen_aging.ts'
import { debugTable, type File } from './file.ts'

const padded = (value: number): string => ` ${String(value).padStart(10)}`
const WALKED = 'LOYNFA'

function text(k: Kernel, full: boolean): string {
  const nodes = k.nodes.filter(node => hasMemory(k, node))
  return memcgTree(k, ROOT_MEMCG)
    .map(id => {
      const head = `memcg ${String(memcgNumber(id)).padStart(5)} ${cgroupPath(k, memcgOf(k, id).cgroup)}\n`
      return head + nodes.map(node => nodeText(k, node, node.lruvecs[id].gen, full)).join('')
    })
    .join('')
}

function nodeText(k: Kernel, node: Node, gen: LruvecGen, full: boolean): string {
  let out = ` node ${String(node.id).padStart(5)}\n`
  for (let seq = full ? Math.max(0, gen.maxSeq - MAX_NR_GENS + 1) : gen.minSeq[GEN_ANON]; seq <= gen.maxSeq; seq++) {
    const ageMs = (jiffies(k) - gen.bornTicks[genOf(seq)]) * JIFFY_MS
    const sizes = [GEN_ANON, GEN_FILE].map(type => `${padded(genSize(gen, seq, type))}${full && seq < gen.minSeq[type] ? 'x' : ' '}`)
    out += `${padded(seq)}${padded(ageMs)}${sizes.join('')}\n`
    if (full) out += details(gen, seq)
  }
  return out
}

/** What came of each tier, and what walks have seen. */
function details(gen: LruvecGen, seq: number): string {
  let out = ''
  for (let tier = 0; tier < MAX_NR_TIERS; tier++) {
    const types = [GEN_ANON, GEN_FILE].map(type => tierText(gen, seq, type, tier))
    out += `            ${String(tier).padStart(10)}${types.join('')}\n`
  }
  const stats = [...gen.mm.stats].map((n, i) => (seq === gen.maxSeq ? `${padded(n)}${WALKED[i]}` : `${padded(0)} `))
  return `${out}                      ${stats.join('')}\n`
}

function tierText(gen: LruvecGen, seq: number, type: number, tier: number): string {
  const at = type * MAX_NR_TIERS + tier
  if (seq === gen.maxSeq) return `${padded(gen.avgRefaulted[at])}R${padded(gen.avgTotal[at])}T${padded(0)} `
  if (seq !== gen.minSeq[type]) return `${padded(0)} `.repeat(3)
  return `${padded(gen.refaulted[at])}r${padded(gen.evicted[at])}e${padded(gen.protected[at])}p`
}

/** /sys/kernel/debug/lru_gen */
export const lruGen: File = {
  ...debugTable(k => text(k, false)),
  write: (k, written) => {
    const error = lruGenCommands(k, written)
    return error < 0 ? error : written.length
  },
}

/** /sys/kernel/debug/lru_gen_full */
export const lruGenFull: File = debugTable(k => text(k, true))
