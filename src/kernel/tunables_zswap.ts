/**
 * /sys/module/zswap/parameters: what zswap keeps, how, and how much. Each is a module parameter, read and written as such.
 *
 * Source: mm/zswap.c, kernel/params.c (param_set_bool, param_set_uint, param_set_charp).
 */
import { EINVAL } from './base/errno.ts'
import { zswapSetParameter } from './calls/zswap_pool.ts'
import { type Knob, type KnobDoc, WORKS } from './tunables_knob.ts'
import { kstrtobool, kstrtouint } from './tunables_parse.ts'

const DIRECTORY = '/sys/module/zswap/parameters'

type Doc = Pick<KnobDoc, 'meaning' | 'default' | 'source'>
type Switch = 'enabled' | 'sameFilledPagesEnabled' | 'nonSameFilledPagesEnabled'
type Share = 'maxPoolPercent' | 'acceptThresholdPercent'

const yesNo = (file: string, field: Switch, doc: Doc): Knob => ({
  ...doc,
  ...WORKS,
  path: `${DIRECTORY}/${file}`,
  type: 'choice',
  choices: ['Y', 'N'],
  state: `zswap.${field}`,
  read: k => `${k.zswap[field] ? 'Y' : 'N'}\n`,
  write: (k, text) => {
    const value = kstrtobool(text)
    if (value === undefined) return -EINVAL
    k.zswap[field] = value
    return text.length
  },
})

const percent = (file: string, field: Share, doc: Doc): Knob => ({
  ...doc,
  ...WORKS,
  path: `${DIRECTORY}/${file}`,
  type: 'integer',
  min: 0,
  unit: '%',
  state: `zswap.${field}`,
  read: k => `${k.zswap[field]}\n`,
  write: (k, text) => {
    const { error, value } = kstrtouint(text, 0)
    if (error < 0) return error
    k.zswap[field] = value
    return text.length
  },
})

const named = (what: 'zpool' | 'compressor', choices: readonly string[], doc: Doc): Knob => ({
  ...doc,
  ...WORKS,
  path: `${DIRECTORY}/${what}`,
  type: 'choice',
  choices,
  state: `zswap.${what}`,
  read: k => `${k.zswap[what]}\n`,
  write: (k, text) => {
    const error = zswapSetParameter(k, what, text.trim())
    return error < 0 ? error : text.length
  },
})

export const ZSWAP_KNOBS: readonly Knob[] = [
  yesNo('enabled', 'enabled', {
    default: 'N',
    meaning: 'Whether pages on their way to swap are kept compressed in memory; what is kept stays when it is switched off',
    source: 'mm/zswap.c zswap_enabled_param_set',
  }),
  named('compressor', ['lzo', 'lzo-rle', 'lz4', 'lz4hc', 'zstd', 'deflate'], {
    default: 'lzo',
    meaning: 'How pages are compressed from now on; pools of the one before are kept until they are empty',
    source: 'mm/zswap.c zswap_compressor_param_set',
  }),
  named('zpool', ['zbud', 'z3fold', 'zsmalloc'], {
    default: 'zbud',
    meaning: 'How compressed pages are packed: two to a page (zbud), three (z3fold), or close, without writing back when full (zsmalloc)',
    source: 'mm/zswap.c zswap_zpool_param_set',
  }),
  percent('max_pool_percent', 'maxPoolPercent', {
    default: '20',
    meaning: 'Most memory that compressed pages may take; beyond it pages are turned away and old ones written to the device',
    source: 'mm/zswap.c zswap_is_full',
  }),
  percent('accept_threshold_percent', 'acceptThresholdPercent', {
    default: '90',
    meaning: 'After the limit was reached, pages are taken again below this share of it',
    source: 'mm/zswap.c zswap_can_accept',
  }),
  yesNo('same_filled_pages_enabled', 'sameFilledPagesEnabled', {
    default: 'Y',
    meaning: 'Whether pages of one word repeated are kept as that word, without compressing them',
    source: 'mm/zswap.c zswap_frontswap_store',
  }),
  yesNo('non_same_filled_pages_enabled', 'nonSameFilledPagesEnabled', {
    default: 'Y',
    meaning: 'Whether other pages are kept at all',
    source: 'mm/zswap.c zswap_frontswap_store',
  }),
]
