/**
 * /sys/module/zswap/parameters: what zswap keeps, how, and how much. Each is a module parameter, read and written as such.
 *
 * Source: mm/zswap.c, kernel/params.c (param_set_bool, param_set_uint, param_set_charp).
 */
import { EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import { zswapSetParameter } from './calls/zswap_pool.ts'
import { type Knob, type KnobDoc, WORKS } from './tunables_knob.ts'
import { kstrtobool, kstrtouint } from './tunables_parse.ts'

const DIRECTORY = '/sys/module/zswap/parameters'

type Doc = Pick<KnobDoc, 'meaning' | 'default' | 'source'> & { readonly file: string; readonly state: string }

const yesNo = ({ file, state, ...doc }: Doc, get: (k: Kernel) => boolean, set: (k: Kernel, value: boolean) => void): Knob => ({
  ...doc,
  ...WORKS,
  path: `${DIRECTORY}/${file}`,
  type: 'choice',
  choices: ['Y', 'N'],
  state,
  read: k => `${get(k) ? 'Y' : 'N'}\n`,
  write: (k, text) => {
    const value = kstrtobool(text)
    if (value === undefined) return -EINVAL
    set(k, value)
    return text.length
  },
})

const percent = ({ file, state, ...doc }: Doc, get: (k: Kernel) => number, set: (k: Kernel, value: number) => void): Knob => ({
  ...doc,
  ...WORKS,
  path: `${DIRECTORY}/${file}`,
  type: 'integer',
  min: 0,
  unit: '%',
  state,
  read: k => `${get(k)}\n`,
  write: (k, text) => {
    const { error, value } = kstrtouint(text, 0)
    if (error < 0) return error
    set(k, value)
    return text.length
  },
})

const named = ({ file, state, ...doc }: Doc, choices: readonly string[], what: 'zpool' | 'compressor'): Knob => ({
  ...doc,
  ...WORKS,
  path: `${DIRECTORY}/${file}`,
  type: 'choice',
  choices,
  state,
  read: k => `${k.zswap[what]}\n`,
  write: (k, text) => {
    const error = zswapSetParameter(k, what, text.trim())
    return error < 0 ? error : text.length
  },
})

export const ZSWAP_KNOBS: readonly Knob[] = [
  yesNo(
    {
      file: 'enabled',
      state: 'zswap.enabled',
      default: 'N',
      meaning: 'Whether pages on their way to swap are kept compressed in memory; what is kept stays when it is switched off',
      source: 'mm/zswap.c zswap_enabled_param_set',
    },
    k => k.zswap.enabled,
    (k, value) => {
      k.zswap.enabled = value
    },
  ),
  named(
    {
      file: 'compressor',
      state: 'zswap.compressor',
      default: 'lzo',
      meaning: 'How pages are compressed from now on; pools of the one before are kept until they are empty',
      source: 'mm/zswap.c zswap_compressor_param_set',
    },
    ['lzo', 'lzo-rle', 'lz4', 'lz4hc', 'zstd', 'deflate'],
    'compressor',
  ),
  named(
    {
      file: 'zpool',
      state: 'zswap.zpool',
      default: 'zbud',
      meaning: 'How compressed pages are packed: two to a page (zbud), three (z3fold), or close, without writing back when full (zsmalloc)',
      source: 'mm/zswap.c zswap_zpool_param_set',
    },
    ['zbud', 'z3fold', 'zsmalloc'],
    'zpool',
  ),
  percent(
    {
      file: 'max_pool_percent',
      state: 'zswap.maxPoolPercent',
      default: '20',
      meaning: 'Most memory that compressed pages may take; beyond it pages are turned away and old ones written to the device',
      source: 'mm/zswap.c zswap_is_full',
    },
    k => k.zswap.maxPoolPercent,
    (k, value) => {
      k.zswap.maxPoolPercent = value
    },
  ),
  percent(
    {
      file: 'accept_threshold_percent',
      state: 'zswap.acceptThresholdPercent',
      default: '90',
      meaning: 'After the limit was reached, pages are taken again below this share of it',
      source: 'mm/zswap.c zswap_can_accept',
    },
    k => k.zswap.acceptThresholdPercent,
    (k, value) => {
      k.zswap.acceptThresholdPercent = value
    },
  ),
  yesNo(
    {
      file: 'same_filled_pages_enabled',
      state: 'zswap.sameFilledPagesEnabled',
      default: 'Y',
      meaning: 'Whether pages of one word repeated are kept as that word, without compressing them',
      source: 'mm/zswap.c zswap_frontswap_store',
    },
    k => k.zswap.sameFilledPagesEnabled,
    (k, value) => {
      k.zswap.sameFilledPagesEnabled = value
    },
  ),
  yesNo(
    {
      file: 'non_same_filled_pages_enabled',
      state: 'zswap.nonSameFilledPagesEnabled',
      default: 'Y',
      meaning: 'Whether other pages are kept at all',
      source: 'mm/zswap.c zswap_frontswap_store',
    },
    k => k.zswap.nonSameFilledPagesEnabled,
    (k, value) => {
      k.zswap.nonSameFilledPagesEnabled = value
    },
  ),
]
