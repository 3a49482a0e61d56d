/**
 * Knobs of subsystems that are not built: zswap, the multi-generation LRU, swap's read-ahead, memory tiers and the pace of NUMA balancing.
 *
 * Their files are there with the values of an idle machine. A write is checked as Linux checks it; one that says what
 * stands anyway is taken, one that would change something fails with ENOSYS.
 *
 * Source: mm/zswap.c, mm/vmscan.c (lru_gen), mm/swap_state.c, mm/memory-tiers.c, kernel/sched/debug.c.
 */
import { EINVAL, ENOENT, ENOSYS } from './base/errno.ts'
import { type Knob, type Standing, standing, standsAt, standsBool } from './tunables_knob.ts'
import { kstrtouint } from './tunables_parse.ts'

const anyBase = (text: string) => kstrtouint(text, 0)

type Doc = Omit<Standing, 'path' | 'because' | 'type' | 'source'> & Partial<Pick<Standing, 'type' | 'source'>>

const zswap = (file: string, doc: Doc): Knob =>
  standing({ type: 'integer', source: 'mm/zswap.c', ...doc, path: `/sys/module/zswap/parameters/${file}`, because: 'zswap' })

/** A name of something that must exist: `stands` is there, the others are not built. */
const named =
  (stands: string, others: readonly string[]) =>
  (text: string): number => {
    const name = text.trim()
    return name === stands ? 0 : others.includes(name) ? -ENOSYS : -ENOENT
  }

const ZSWAP: readonly Knob[] = [
  zswap('accept_threshold_percent', {
    default: '90',
    min: 0,
    unit: '%',
    meaning: 'A full pool takes pages again below this share of its limit',
    check: standsAt(90, anyBase, 0, undefined, true),
  }),
  zswap('compressor', {
    type: 'choice',
    default: 'lzo',
    meaning: 'How pages are compressed',
    check: named('lzo', ['lzo-rle', 'lz4', 'lz4hc', 'zstd', 'deflate', '842']),
  }),
  zswap('enabled', {
    type: 'choice',
    choices: ['Y', 'N'],
    default: 'N',
    meaning: 'Whether pages on their way to swap are kept compressed in memory',
    check: standsBool(false),
  }),
  zswap('max_pool_percent', {
    default: '20',
    min: 0,
    unit: '%',
    meaning: 'Most memory the compressed pages may take',
    check: standsAt(20, anyBase, 0, undefined, true),
  }),
  zswap('non_same_filled_pages_enabled', {
    type: 'choice',
    choices: ['Y', 'N'],
    default: 'Y',
    meaning: 'Whether pages are kept that are not one word repeated',
    check: standsBool(true),
  }),
  zswap('same_filled_pages_enabled', {
    type: 'choice',
    choices: ['Y', 'N'],
    default: 'Y',
    meaning: 'Whether pages of one word repeated are kept as that word',
    check: standsBool(true),
  }),
  zswap('zpool', {
    type: 'choice',
    default: 'zbud',
    meaning: 'How compressed pages are packed',
    check: named('zbud', ['zsmalloc', 'z3fold']),
  }),
]

/** "n" and "y" stand for no and all parts of it; otherwise a number whose first three bits count. */
function lruGen(text: string): number {
  if (/^[nN]/.test(text)) return 0
  if (/^[yY]/.test(text)) return -ENOSYS
  const { error, value } = anyBase(text)
  return error < 0 ? -EINVAL : value % 8 === 0 ? 0 : -ENOSYS
}

const OTHER: readonly Knob[] = [
  standing({
    path: '/sys/kernel/mm/lru_gen/enabled',
    type: 'integer',
    default: '0x0000',
    meaning: 'Whether reclaim ages pages by generations: bits 1 at all, 2 by walking page tables, 4 by upper tables too',
    source: 'mm/vmscan.c store_enabled',
    because: 'the multi-generation LRU',
    check: lruGen,
  }),
  standing({
    path: '/sys/kernel/mm/lru_gen/min_ttl_ms',
    type: 'integer',
    default: '0',
    min: 0,
    unit: 'ms',
    meaning: 'Pages used within this time are never reclaimed; the OOM killer comes instead',
    source: 'mm/vmscan.c store_min_ttl',
    because: 'the multi-generation LRU',
    check: standsAt(0, anyBase),
  }),
  standing({
    path: '/sys/kernel/mm/numa/demotion_enabled',
    type: 'choice',
    choices: ['true', 'false'],
    default: 'false',
    meaning: 'Whether reclaim moves pages to a slower node instead of dropping them',
    source: 'mm/memory-tiers.c numa_demotion_enabled_store',
    because: 'memory tiers',
    check: standsBool(false),
  }),
  standing({
    path: '/sys/kernel/mm/swap/vma_ra_enabled',
    type: 'choice',
    choices: ['true', 'false'],
    default: 'true',
    meaning: 'Whether swap reads ahead by address instead of by place in the swap area',
    source: 'mm/swap_state.c vma_ra_enabled_store',
    because: 'swap',
    check: standsBool(true),
  }),
]

export const STANDING_KNOBS: readonly Knob[] = [...ZSWAP, ...OTHER]
