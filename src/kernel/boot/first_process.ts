/**
 * The first process as it stands when the first line of a workload runs: its files in memory, its areas, and the pages it holds
 * already (memory_process.ts says which). Everything is put in place directly, for the faults that once brought it there are
 * part of the counters that boot starts with.
 *
 * The two pages of the vdso belong to the kernel's image and to no list; that area is there but holds nothing.
 */

import { allocPages, allocPagesVma } from '../alloc/page_alloc.ts'
import { must } from '../base/assert.ts'
import { internContent } from '../base/content.ts'
import { NS } from '../base/counters.ts'
import {
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  PG_dirty,
  PG_table,
  PG_uptodate,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  VM_ACCOUNT,
  VM_DONTDUMP,
  VM_DONTEXPAND,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_IO,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { filemapGet } from '../caches/filemap.ts'
import { filemapNew, mappingGfp } from '../caches/filemap_add.ts'
import { fget, fileOpen, fput } from '../caches/files.ts'
import { inodeCreate, superBlockAt } from '../caches/inode.ts'
import { vmStatAccount } from '../calls/account.ts'
import { newVma } from '../calls/mmap.ts'
import { taskCreate } from '../calls/task.ts'
import { makeTables } from '../fault/tables.ts'
import { pageNode, pageSet, pageSetContent } from '../frames/page.ts'
import { LEVEL_PTE, pteIndex, pteTable, setEntry } from '../spaces/pagetable.ts'
import { lruAddVma, pageAddFileRmap, pageAddNewAnonRmap } from '../spaces/rmap.ts'
import { insertVma, prepareAnon } from '../spaces/vma.ts'
import { BASE_PROCESS, type BaseVma, COMMITTED_PAGES, EXECUTOR_CONTENT, type Held, RAMFS_FILES } from './memory_process.ts'

const KERNEL_TABLES = 4

/**
 * Numbers that threads of the kernel have taken by the time the first process makes others: fitted to 2,400 boots of the recorded kernel on
 * 35 shapes of machine, which are within 3 of it; two boots of one machine differ as much. Each CPU and each node has its own threads and
 * pools of workers, a mounted disk its file system's.
 */
function kernelThreads(k: Kernel): number {
  const nodes = k.nodes.length
  const ofNodes = 7.5 * Math.min(nodes, 2) + 6 * Math.max(0, nodes - 2)
  return Math.round(64 + 6.75 * k.cpus.length + ofNodes + (k.machine.diskBytes > 0 ? 3.5 : 0))
}

/** Makes pid 1, and has those after it begin where Linux' do. Its memory is in boot's counters already: events and NUMA counters stay as they are. */
export function firstProcess(k: Kernel): Task {
  const events = k.event.slice()
  const numa = k.zones.map(zone => zone.numa.slice())
  const init = must(taskCreate(k, 'init', 0), 'no memory for the first process')
  const mm = must(init.mm, 'the first process has no address space')
  const files = new Map(RAMFS_FILES.map(({ path, pages }) => [path, ramfsFile(k, path, pages)]))
  k.current = init
  k.nextPid += kernelThreads(k)
  for (const part of BASE_PROCESS.vmas) addArea(k, mm, part, files.get(part.path))
  for (const each of BASE_PROCESS.held) hold(k, mm, each)
  for (const file of files.values()) fput(k, file)
  const heap = BASE_PROCESS.vmas.filter(part => part.path === '[heap]')
  mm.startBrk = heap[0].start * PAGE_SIZE
  mm.brk = (heap[heap.length - 1].start + heap[heap.length - 1].pages) * PAGE_SIZE
  k.committedAs = COMMITTED_PAGES
  kernelTables(k)
  k.current = undefined
  k.event.set(events)
  k.zones.forEach((zone, i) => {
    zone.numa.set(numa[i])
  })
  return init
}

/** Page tables that no process has: of the address space in which the kernel patches its own text, and the like. */
function kernelTables(k: Kernel): void {
  for (let i = 0; i < KERNEL_TABLES; i++) {
    const pfn = allocPages(k, GFP_KERNEL, 0)
    pageSet(k, pfn, PG_table)
    k.nodes[pageNode(k, pfn)].stat[NS.nr_page_table_pages]++
    k.boot.kernelTables++
  }
}

/** A file of the initial RAM disk, all in memory: its pages are dirty for ever, as nothing could be read back. */
function ramfsFile(k: Kernel, path: string, pages: number): OpenFile {
  const sb = superBlockAt(k, path)
  const inode = inodeCreate(k, sb, path, { sizeBytes: pages * PAGE_SIZE, mode: 0o755, objects: false })
  const content = internContent(k.contents, { kind: 'file', key: `file:${path}`, incompressible: 50, sameFilled: false })
  for (let index = 0; index < pages; index++) {
    const pfn = filemapNew(k, inode.mapping, index, mappingGfp(sb), PG_uptodate | PG_dirty)
    if (pfn !== NO_PAGE) pageSetContent(k, pfn, content, index)
  }
  return fileOpen(k, inode, { read: true, write: true })
}

function areaFlags(part: BaseVma): number {
  const shared = part.perms[3] === 's'
  return (
    VM_MAYREAD |
    VM_READ |
    (part.name === 'vvar' ? 0 : VM_MAYWRITE | VM_MAYEXEC) |
    (part.perms[1] === 'w' ? VM_WRITE : 0) |
    (part.perms[2] === 'x' ? VM_EXEC : 0) |
    (shared ? VM_SHARED | VM_MAYSHARE : 0) |
    (isCommitted(part) ? VM_ACCOUNT : 0) |
    (part.stack ? VM_GROWSDOWN : 0) |
    (part.backing === 'special' ? VM_DONTEXPAND : 0) |
    (part.name === 'vvar' ? VM_IO | VM_PFNMAP | VM_DONTDUMP : 0)
  )
}

/** Private memory that may be written, or could when it was mapped (relro was made read-only later). */
const isCommitted = (part: BaseVma) => part.perms === 'rw-p' || part.name === 'relro'

function addArea(k: Kernel, mm: Mm, part: BaseVma, file: OpenFile | undefined): void {
  const attributes = {
    flags: areaFlags(part),
    mapping: file?.inode.mapping,
    file: file === undefined ? undefined : fget(file),
    policy: undefined,
    uffd: 0,
  }
  const pgoff = file === undefined ? part.start : part.pageOffset
  const name = part.backing === 'file' || part.path === '[heap]' || part.path === '[stack]' ? '' : part.path
  const vma = newVma(mm, part.start, part.start + part.pages, attributes, pgoff, name)
  // Setting the stack's protection at last has taken the mark of a new area away (setup_arg_pages).
  if (part.stack) vma.flags &= ~VM_SOFTDIRTY
  insertVma(k, vma)
  vmStatAccount(mm, attributes.flags, part.pages)
}

function hold(k: Kernel, mm: Mm, held: Held): void {
  const part = must(
    BASE_PROCESS.vmas.find(each => each.name === held.part),
    'pages of a part that is not there',
  )
  if (part.backing === 'special') return
  const vma = must(
    [...mm.vmas.leaves.flat()].find(each => each.start <= part.start && part.start < each.end),
    'an area that is not there',
  )
  for (let i = 0; i < held.pages; i++) holdPage(k, vma, part.start + held.from + i, held.what)
}

function holdPage(k: Kernel, vma: Vma, vpn: number, what: Held['what']): void {
  makeTables(k, vma.mm, vpn, LEVEL_PTE)
  const table = pteTable(k, vma.mm, vpn)
  const i = pteIndex(vpn)
  const offset = vpn - vma.start
  const write = (vma.flags & VM_WRITE) !== 0 ? PTE_RW : 0
  if (what === 'zero') setEntry(k, table, i, k.zeroPage, PTE_PRESENT | PTE_ACCESSED | PTE_SPECIAL)
  else if (what === 'file') {
    const pfn = filemapGet(must(vma.mapping, 'file pages of an area without a file'), vma.pgoff + offset)
    vma.mm.rssFile++
    pageAddFileRmap(k, pfn, vma, false)
    setEntry(k, table, i, pfn, PTE_PRESENT | PTE_ACCESSED | ((vma.flags & VM_SHARED) !== 0 ? write | PTE_DIRTY : 0))
  } else setEntry(k, table, i, newAnon(k, vma, offset), PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_SOFT_DIRTY | write)
}

function newAnon(k: Kernel, vma: Vma, offset: number): Pfn {
  prepareAnon(k, vma)
  const pfn = allocPagesVma(k, GFP_HIGHUSER_MOVABLE, 0, vma, offset)
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  vma.mm.rssAnon++
  pageSetContent(k, pfn, internContent(k.contents, EXECUTOR_CONTENT), offset)
  pageAddNewAnonRmap(k, pfn, vma, offset, false)
  lruAddVma(k, pfn, vma)
  return pfn
}
