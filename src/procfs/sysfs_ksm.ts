/**
 * /sys/kernel/mm/ksm: counters of a KSM that merges nothing, because it is not built. The rest are knobs.
 *
 * Source: mm/ksm.c ksm_attrs.
 */
import { type Directory, dir, knobs, sysfs } from './file.ts'

const none = sysfs(() => '0\n')

export const ksmDirectory: Directory = dir({
  ...knobs('/sys/kernel/mm/ksm'),
  full_scans: none,
  pages_shared: none,
  pages_sharing: none,
  pages_unshared: none,
  pages_volatile: none,
  stable_node_chains: none,
  stable_node_dups: none,
})
