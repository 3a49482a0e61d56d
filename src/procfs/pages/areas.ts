/**
 * /mmtop/pages/task/PID/CELLS: the memory of a process in so many cells an area, by what pagemap, kpageflags and the idle flag say.
 *
 *     area START END NAME                                        virtual pages
 *     c PAGES present= swapped= softdirty= idle= huge= ksm= file= N0= N1= ...     those that are not 0
 *
 * An area has no more cells than pages. "idle" may be stale, as the idle flag is until the bitmap is read.
 */
import type { Kernel } from '../../kernel/base/state.ts'
import type { Mm, Vma } from '../../kernel/base/state_mm.ts'
import { asPfn } from '../../kernel/base/units.ts'
import { pageNode } from '../../kernel/frames/page.ts'
import { eachVma } from '../../kernel/spaces/vma.ts'
import { KPF_NAMES, kpageflags } from '../pagemap.ts'
import { areaName, eachPage, isSoftDirty, isSwapped } from './walk.ts'

const FLAGS = (['HUGE', 'THP', 'KSM', 'IDLE', 'ANON'] as const).map(name => 1 << KPF_NAMES.indexOf(name))
const [HUGE, THP, KSM, IDLE, ANON] = FLAGS

type Cell = Map<string, number>

export const areaLines = (k: Kernel, mm: Mm, cells: number): string[] => [...eachVma(mm)].flatMap(vma => linesOf(k, vma, cells))

function linesOf(k: Kernel, vma: Vma, wanted: number): string[] {
  const pages = vma.end - vma.start
  const size = Math.max(1, Math.ceil(pages / wanted))
  const cells: Cell[] = Array.from({ length: Math.ceil(pages / size) }, () => new Map())
  const word = new Uint32Array(2)
  eachPage(k, vma, (vpn, pfn, high) => {
    const cell = cells[Math.floor((vpn - vma.start) / size)]
    if (isSwapped(high)) note(cell, 'swapped')
    if (isSoftDirty(high)) note(cell, 'softdirty')
    if (pfn === 0) return
    note(cell, 'present')
    note(cell, `N${pageNode(k, asPfn(pfn))}`)
    kpageflags(k, pfn, word)
    if ((word[0] & (HUGE | THP)) !== 0) note(cell, 'huge')
    if ((word[0] & KSM) !== 0) note(cell, 'ksm')
    if ((word[0] & IDLE) !== 0) note(cell, 'idle')
    if ((word[0] & ANON) === 0) note(cell, 'file')
  })
  const lines = cells.map((cell, i) =>
    `c ${Math.min(size, pages - i * size)} ${[...cell].map(([key, n]) => `${key}=${n}`).join(' ')}`.trimEnd(),
  )
  return [`area ${vma.start} ${vma.end} ${areaName(vma)}`, ...lines]
}

function note(cell: Cell, key: string): void {
  cell.set(key, (cell.get(key) ?? 0) + 1)
}
