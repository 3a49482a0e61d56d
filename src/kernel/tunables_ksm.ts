/**
 * /sys/kernel/mm/ksm: how fast KSM looks for pages with the same bytes, and which of them it merges.
 *
 * What the trees are built by, max_page_sharing and merge_across_nodes, changes only while nothing is merged: EBUSY otherwise.
 * `run` does its work within the write.
 *
 * Source: mm/ksm.c (*_store).
 */
import { EINVAL } from './base/errno.ts'
import { KSM_RUN_UNMERGE } from './base/flags.ts'
import type { Kernel } from './base/state.ts'
import { ksmEndSleep, setRun, whileNothingMerged } from './daemons/ksmd.ts'
import { type At, type Knob, type KnobDoc, sysfsNumber, WORKS } from './tunables_knob.ts'
import { kstrtobool, kstrtoint, kstrtouint, kstrtoul } from './tunables_parse.ts'

const DIRECTORY = '/sys/kernel/mm/ksm'

type Count = 'pagesToScan' | 'sleepMillisecs' | 'stableNodeChainsPruneMillisecs'

const count = (file: string, field: Count, text: { default: string; unit: string; meaning: string }, act?: (k: Kernel) => void): Knob =>
  sysfsNumber(
    {
      path: `${DIRECTORY}/${file}`,
      reach: WORKS,
      state: `ksm.${field}`,
      uint: true,
      get: k => k.ksm[field],
      set: (k, value) => {
        if (k.ksm[field] === value) return
        k.ksm[field] = value
        act?.(k)
      },
    },
    { ...text, source: `mm/ksm.c ${file}_store` },
  )

/** A file whose write can fail after the number was read. */
function checked(
  file: string,
  field: string,
  doc: Pick<KnobDoc, 'default' | 'min' | 'max' | 'meaning'>,
  read: (k: Kernel) => number,
  write: (k: Kernel, text: string, at: At) => number,
): Knob {
  return {
    ...doc,
    path: `${DIRECTORY}/${file}`,
    type: 'integer',
    effect: 'works',
    state: `ksm.${field}`,
    source: `mm/ksm.c ${file}_store`,
    read: k => `${read(k)}\n`,
    write: (k, text, at) => {
      const error = write(k, text, at)
      return error < 0 ? error : text.length
    },
  }
}

function writeMaxPageSharing(k: Kernel, text: string): number {
  const { error, value } = kstrtoint(text, 10)
  if (error < 0) return error
  if (value < 2) return -EINVAL
  if (k.ksm.maxPageSharing === value) return 0
  return whileNothingMerged(k, () => {
    k.ksm.maxPageSharing = value
  })
}

function writeMergeAcrossNodes(k: Kernel, text: string): number {
  const { error, value } = kstrtoul(text, 10)
  if (error < 0) return error
  if (value > 1) return -EINVAL
  if (Number(k.ksm.mergeAcrossNodes) === value) return 0
  return whileNothingMerged(k, () => {
    k.ksm.mergeAcrossNodes = value === 1
  })
}

function writeRun(k: Kernel, text: string, { writer }: At): number {
  const { error, value } = kstrtouint(text, 10)
  return error < 0 || value > KSM_RUN_UNMERGE ? -EINVAL : setRun(k, value, writer)
}

function writeUseZeroPages(k: Kernel, text: string): number {
  const value = kstrtobool(text)
  if (value === undefined) return -EINVAL
  k.ksm.useZeroPages = value
  return 0
}

export const KSM_KNOBS: readonly Knob[] = [
  checked(
    'max_page_sharing',
    'maxPageSharing',
    { default: '256', min: 2, meaning: 'Most mappings of one merged page; more get a copy of their own' },
    k => k.ksm.maxPageSharing,
    writeMaxPageSharing,
  ),
  checked(
    'merge_across_nodes',
    'mergeAcrossNodes',
    { default: '1', min: 0, max: 1, meaning: 'Whether pages of different nodes are merged; changes only while nothing is merged' },
    k => Number(k.ksm.mergeAcrossNodes),
    writeMergeAcrossNodes,
  ),
  count('pages_to_scan', 'pagesToScan', { default: '100', unit: 'pages', meaning: 'Pages ksmd looks at before it sleeps' }),
  checked(
    'run',
    'run',
    { default: '0', min: 0, max: 2, meaning: '0 stops ksmd, 1 lets it merge, 2 stops it and gives everyone their own pages back' },
    k => k.ksm.run,
    writeRun,
  ),
  count('sleep_millisecs', 'sleepMillisecs', { default: '20', unit: 'ms', meaning: 'How long ksmd sleeps between scans' }, ksmEndSleep),
  count('stable_node_chains_prune_millisecs', 'stableNodeChainsPruneMillisecs', {
    default: '2000',
    unit: 'ms',
    meaning: 'How often chains of merged pages are cleaned of stale ones',
  }),
  checked(
    'use_zero_pages',
    'useZeroPages',
    { default: '0', min: 0, max: 1, meaning: 'Whether pages of zeros are merged with the shared zero page' },
    k => Number(k.ksm.useZeroPages),
    writeUseZeroPages,
  ),
]
