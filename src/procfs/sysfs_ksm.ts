/**
 * /sys/kernel/mm/ksm: what KSM has merged and looks at. The rest are knobs.
 *
 * pages_volatile is what is left of the pages with records when the others are taken off; as the counters lag behind each other it
 * might be negative, and then reads 0.
 *
 * Source: mm/ksm.c ksm_attrs.
 */
import type { KsmState } from '../kernel/base/state_ksm.ts'
import { type Directory, dir, knobs, sysfs } from './file.ts'

const figure = (of: (ksm: KsmState) => number) => sysfs(k => `${of(k.ksm)}\n`)

const pagesVolatile = (ksm: KsmState): number => Math.max(0, ksm.rmapItems - ksm.pagesShared - ksm.pagesSharing - ksm.pagesUnshared)

export const ksmDirectory: Directory = dir({
  ...knobs('/sys/kernel/mm/ksm'),
  full_scans: figure(ksm => ksm.fullScans),
  pages_shared: figure(ksm => ksm.pagesShared),
  pages_sharing: figure(ksm => ksm.pagesSharing),
  pages_unshared: figure(ksm => ksm.pagesUnshared),
  pages_volatile: figure(pagesVolatile),
  stable_node_chains: figure(ksm => ksm.stableNodeChains),
  stable_node_dups: figure(ksm => ksm.stableNodeDups),
})
