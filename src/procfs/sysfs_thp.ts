/**
 * /sys/kernel/mm/transparent_hugepage: what only reports there. The rest are knobs.
 *
 * Source: mm/huge_memory.c hpage_pmd_size_show, mm/khugepaged.c (pages_collapsed_show, full_scans_show).
 */
import { HPAGE_PMD_NR, PAGE_SIZE } from '../kernel/base/units.ts'
import { type Directory, dir, knobs, sysfs } from './file.ts'

const DIRECTORY = '/sys/kernel/mm/transparent_hugepage'

export const thpDirectory: Directory = dir({
  ...knobs(DIRECTORY),
  hpage_pmd_size: sysfs(() => `${HPAGE_PMD_NR * PAGE_SIZE}\n`),
  khugepaged: dir({
    ...knobs(`${DIRECTORY}/khugepaged`),
    full_scans: sysfs(k => `${k.khugepaged.fullScans}\n`),
    pages_collapsed: sysfs(k => `${k.khugepaged.pagesCollapsed}\n`),
  }),
})
