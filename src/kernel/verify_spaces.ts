/**
 * Recounts address spaces: areas, page tables, what each entry maps, and every figure that follows from them.
 *
 *     areas      in order, apart, in leaves that know their gaps; VmSize, VmData, VmExe, VmStk, VmLck of the process
 *     tables     each reached once (or counted as shared), as many entries used as it says, none without an area
 *     entries    the page belongs where the area says: its anon_vma or file, at the right index; no right the area lacks
 *     pages      resident counts by kind; own pages are mapped once; nr_anon_pages, nr_mapped, huge pages, nr_mlock
 *     links      anon_vmas and files list just the areas that are linked to them
 *     promises   Committed_AS is the sum of accounted areas and memory files
 *
 * Tests call it after every operation beside verify(), which recounts the pages themselves.
 */
import { NS, ZS } from './base/counters.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PG_head,
  PG_hugetlb,
  PG_ksm,
  PG_mlocked,
  PG_swapbacked,
  PG_table,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SPECIAL,
  PTE_TABLE,
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_HUGETLB,
  VM_LOCKED,
  VM_SHARED,
  VM_SPECIAL,
  VM_WRITE,
} from './base/flags.ts'
import { PAGE_WORDS } from './base/list.ts'
import type { Kernel } from './base/state.ts'
import type { Mm, MovingArea, Vma } from './base/state_mm.ts'
import type { RmapEntry } from './base/state_shared.ts'
import { asPfn, HPAGE_PMD_NR, PAGE_SIZE, type Pfn, PTRS_PER_TABLE, pagesFor } from './base/units.ts'
import { isShmem } from './caches/filemap.ts'
import {
  compoundHead,
  compoundMapcount,
  compoundPages,
  pageIndex,
  pageMapcount,
  pageNode,
  pageOwner,
  pageZone,
  pteMapcount,
} from './frames/page.ts'
import { entryFlags, entryValue, LEVEL_PAGES, LEVEL_PGD, LEVEL_PMD, LEVEL_PTE, walkTo } from './spaces/pagetable.ts'
import { eachVma, isSharedMaywrite, linearPageIndex, startGap, vmaAt, vmaPages } from './spaces/vma.ts'

/** What the walk of all address spaces finds. */
interface Count {
  readonly wrong: string[]
  /** Times each table is reached. */
  readonly tables: Map<number, number>
  /** Of each page 1 if it is the head of one that is mapped, huge TLB pages aside. */
  readonly mapped: Uint8Array
}

/** Everything that does not add up, in words; empty for sound address spaces. */
export function verifySpaces(k: Kernel): string[] {
  const count: Count = { wrong: [], tables: new Map(), mapped: new Uint8Array(k.maxPfn + 1) }
  for (const mm of k.spaces.mms.values()) {
    verifyAreas(mm, count.wrong)
    verifyTables(k, mm, count)
  }
  verifyTableUse(k, count)
  verifyPages(k, count)
  verifyLinks(k, count.wrong)
  verifyCommitted(k, count.wrong)
  return count.wrong
}

// --- areas

function verifyAreas(mm: Mm, wrong: string[]): void {
  const { leaves, gaps, count } = mm.vmas
  let n = 0
  let end = 0
  leaves.forEach((leaf, index) => {
    if (leaf.length === 0 || leaf.length > 64) wrong.push(`mm ${mm.id}: a leaf of ${leaf.length} areas`)
    let gap = 0
    for (const vma of leaf) {
      n++
      if (vma.mm !== mm || vma.start >= vma.end || vma.start < end) wrong.push(`mm ${mm.id}: area ${vma.start}..${vma.end} after ${end}`)
      if ((vma.flags & VM_LOCKED) !== 0 && (vma.flags & (VM_SPECIAL | VM_HUGETLB)) !== 0)
        wrong.push(`mm ${mm.id}: a special area is locked`)
      gap = Math.max(gap, startGap(vma) - Math.max(end, 1))
      end = vma.end
    }
    if (gaps[index] !== -1 && gaps[index] < gap) wrong.push(`mm ${mm.id}: leaf ${index} has a gap of ${gap}, says ${gaps[index]}`)
  })
  if (n !== count || gaps.length !== leaves.length)
    wrong.push(`mm ${mm.id}: ${n} areas in ${leaves.length} leaves, counts ${count} and ${gaps.length}`)
  if (mm.lastVma !== undefined && ![...eachVma(mm)].includes(mm.lastVma)) wrong.push(`mm ${mm.id}: the area found last is gone`)
  verifyVm(mm, wrong)
}

function verifyVm(mm: Mm, wrong: string[]): void {
  const sums = { totalVm: 0, execVm: 0, stackVm: 0, dataVm: 0, lockedVm: 0 }
  for (const vma of eachVma(mm)) {
    const pages = vmaPages(vma)
    sums.totalVm += pages
    if ((vma.flags & VM_LOCKED) !== 0) sums.lockedVm += pages
    if ((vma.flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) === VM_EXEC) sums.execVm += pages
    else if ((vma.flags & VM_GROWSDOWN) !== 0) sums.stackVm += pages
    else if ((vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE) sums.dataVm += pages
  }
  expectSame(`mm ${mm.id}`, sums, mm, wrong)
}

function expectSame<T extends Readonly<Record<string, number>>>(
  what: string,
  counted: T,
  kept: { readonly [name in keyof T]: number },
  wrong: string[],
): void {
  for (const name in counted) if (counted[name] !== kept[name]) wrong.push(`${what}: ${name} is ${counted[name]}, kept as ${kept[name]}`)
}

// --- tables and entries

/** Resident pages found in one address space, by the names of its counters. */
interface Resident {
  rssAnon: number
  rssFile: number
  rssShmem: number
  hugetlbPages: number
  pgtablesBytes: number
}

function verifyTables(k: Kernel, mm: Mm, count: Count): void {
  const found: Resident = { rssAnon: 0, rssFile: 0, rssShmem: 0, hugetlbPages: 0, pgtablesBytes: 0 }
  walkTable(k, mm, mm.pgd, LEVEL_PGD, 0, found, count)
  if (k.spaces.tablesWereShared) found.hugetlbPages = mm.hugetlbPages
  expectSame(`mm ${mm.id}`, { ...found }, mm, count.wrong)
  if (mm.walkKey >= 0 && mm.walkTable !== 0 && mm.walkTable !== walkTo(k, mm, mm.walkKey * 512, LEVEL_PTE))
    count.wrong.push(`mm ${mm.id}: the last walk is out of date`)
}

function walkTable(k: Kernel, mm: Mm, table: number, level: number, base: number, found: Resident, count: Count): void {
  count.tables.set(table, (count.tables.get(table) ?? 0) + 1)
  if (level > LEVEL_PGD) found.pgtablesBytes += PAGE_SIZE
  const spare = k.spaces.deposits.get(table)?.length ?? 0
  if (level === LEVEL_PMD) found.pgtablesBytes += spare * PAGE_SIZE
  let used = 0
  let depositors = 0
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const flags = entryFlags(k, table, i)
    if (flags === 0) continue
    used++
    if (level === LEVEL_PMD && hasDeposit(k, flags, asPfn(entryValue(k, table, i)))) depositors++
    const vpn = base + i * LEVEL_PAGES[level]
    if ((flags & PTE_TABLE) !== 0) walkTable(k, mm, entryValue(k, table, i), level + 1, vpn, found, count)
    else verifyEntry(k, mm, level, vpn, flags, asPfn(entryValue(k, table, i)), found, count)
  }
  if (depositors !== spare) count.wrong.push(`table ${table} has ${depositors} huge entries to split, and ${spare} tables for that`)
  if (used !== k.spaces.tables.used[table]) count.wrong.push(`table ${table} has ${used} entries, says ${k.spaces.tables.used[table]}`)
  if ((k.page[k.spaces.tables.pfn[table] * PAGE_WORDS] & PG_table) === 0) count.wrong.push(`the page of table ${table} is no page table`)
}

/** Whether a table waits beside the entry for its split: for own huge pages and the one of zeros. */
function hasDeposit(k: Kernel, flags: number, pfn: Pfn): boolean {
  if ((flags & (PTE_PRESENT | PTE_HUGE)) !== (PTE_PRESENT | PTE_HUGE)) return false
  const page = k.page[pfn * PAGE_WORDS]
  return (page & PG_hugetlb) === 0 && ((flags & PTE_SPECIAL) !== 0 || (page & PG_anon) !== 0)
}

const place = (mm: Mm, vpn: number): string => `mm ${mm.id} page ${vpn}`

function verifyEntry(k: Kernel, mm: Mm, level: number, vpn: number, flags: number, pfn: Pfn, found: Resident, count: Count): void {
  const vma = vmaAt(mm, vpn)
  const pages = LEVEL_PAGES[level]
  if (vma === undefined || vpn + pages > vma.end) {
    count.wrong.push(`${place(mm, vpn)}: an entry without an area`)
    return
  }
  if (level < LEVEL_PTE !== ((flags & PTE_HUGE) !== 0)) count.wrong.push(`${place(mm, vpn)}: an entry of the wrong level`)
  if ((flags & PTE_PRESENT) === 0) return
  if ((flags & PTE_RW) !== 0 && (vma.flags & VM_WRITE) === 0) count.wrong.push(`${place(mm, vpn)}: a writable entry in an area that is not`)
  if ((flags & PTE_PROTNONE) === 0 && (vma.flags & VM_ACCESS_FLAGS) === 0)
    count.wrong.push(`${place(mm, vpn)}: an accessible entry in an area that is not`)
  if ((flags & PTE_SPECIAL) !== 0) {
    if (level < LEVEL_PTE && (pfn !== k.thp.hugeZeroPage || !mm.hugeZeroPage))
      count.wrong.push(`${place(mm, vpn)}: not the huge page of zeros`)
    return
  }
  if ((vma.flags & VM_HUGETLB) !== 0) {
    found.hugetlbPages += pages
    return
  }
  count.mapped[compoundHead(k, pfn)] = 1
  verifyPlace(k, vma, vpn, flags, pfn, found, count.wrong)
}

/** The page is where its area looks for it, and counted as what it is. */
function verifyPlace(k: Kernel, vma: Vma, vpn: number, flags: number, pfn: Pfn, found: Resident, wrong: string[]): void {
  const head = compoundHead(k, pfn)
  const page = k.page[head * PAGE_WORDS]
  const pages = (flags & PTE_HUGE) !== 0 ? HPAGE_PMD_NR : 1
  if ((page & PG_ksm) !== 0) {
    found.rssAnon++
    if ((flags & PTE_RW) !== 0 || (page & PG_anon_exclusive) !== 0)
      wrong.push(`${place(vma.mm, vpn)}: page ${pfn} is merged and may be written`)
    return
  }
  if (pageIndex(k, head) + pfn - head !== linearPageIndex(vma, vpn)) wrong.push(`${place(vma.mm, vpn)}: page ${pfn} has another index`)
  if ((page & PG_anon) === 0) {
    if (vma.mapping?.id !== pageOwner(k, head)) wrong.push(`${place(vma.mm, vpn)}: page ${pfn} is of another file`)
    if ((page & PG_swapbacked) !== 0) found.rssShmem += pages
    else found.rssFile += pages
    return
  }
  found.rssAnon += pages
  const anon = k.spaces.anonVmas.get(pageOwner(k, head))
  if (anon === undefined || !anon.rmap.some(entry => entry.mm === vma.mm.id && entry.delta === vma.start - vma.pgoff))
    wrong.push(`${place(vma.mm, vpn)}: page ${pfn} is of an anon_vma that does not lead here`)
  const exclusive = (k.page[pfn * PAGE_WORDS] & PG_anon_exclusive) !== 0
  if (exclusive && pageMapcount(k, pfn) !== 1)
    wrong.push(`${place(vma.mm, vpn)}: page ${pfn} is exclusive and mapped ${pageMapcount(k, pfn)} times`)
  if ((flags & PTE_RW) !== 0 && !exclusive) wrong.push(`${place(vma.mm, vpn)}: page ${pfn} is writable and not exclusive`)
}

/** Every table that is not free is reached, by one way or by as many as are counted. */
function verifyTableUse(k: Kernel, { wrong, tables }: Count): void {
  for (const [table, times] of tables)
    if (times !== 1 + (k.spaces.sharedTables.get(table) ?? 0)) wrong.push(`table ${table} is reached ${times} times`)
  const spare = [...k.spaces.deposits.values()].flat()
  for (const table of spare) if (tables.has(table)) wrong.push(`table ${table} is in use and set aside`)
  const live = k.spaces.tables.count - 1 - k.spaces.tables.free.length
  if (tables.size + spare.length !== live) wrong.push(`${tables.size} tables in use and ${spare.length} set aside, of ${live}`)
}

// --- pages

/** Node counters that follow from who maps what. */
interface Mapped {
  nr_anon_pages: number
  nr_mapped: number
  nr_anon_transparent_hugepages: number
  nr_shmem_pmdmapped: number
  nr_file_pmdmapped: number
}

function verifyPages(k: Kernel, { mapped, wrong }: Count): void {
  const nodes: Mapped[] = k.nodes.map(() => ({
    nr_anon_pages: 0,
    nr_mapped: 0,
    nr_anon_transparent_hugepages: 0,
    nr_shmem_pmdmapped: 0,
    nr_file_pmdmapped: 0,
  }))
  for (let pfn = 1; pfn < mapped.length; pfn++) if (mapped[pfn] !== 0) countMapped(k, asPfn(pfn), nodes[pageNode(k, asPfn(pfn))])
  k.nodes.forEach((node, n) => {
    const kept = {
      nr_anon_pages: node.stat[NS.nr_anon_pages],
      nr_mapped: node.stat[NS.nr_mapped],
      nr_anon_transparent_hugepages: node.stat[NS.nr_anon_transparent_hugepages],
      nr_shmem_pmdmapped: node.stat[NS.nr_shmem_pmdmapped],
      nr_file_pmdmapped: node.stat[NS.nr_file_pmdmapped],
    }
    expectSame(`node ${n}`, { ...nodes[n] }, kept, wrong)
  })
  verifyMlocked(k, wrong)
}

function countMapped(k: Kernel, head: Pfn, node: Mapped): void {
  const flags = k.page[head * PAGE_WORDS]
  const anon = (flags & PG_anon) !== 0
  const pages = compoundPages(k, head)
  const whole = pages === HPAGE_PMD_NR && compoundMapcount(k, head) > 0
  let n = 0
  for (let i = 0; i < pages; i++) if (whole || pteMapcount(k, asPfn(head + i)) > 0) n++
  node[anon ? 'nr_anon_pages' : 'nr_mapped'] += n
  if (whole)
    node[anon ? 'nr_anon_transparent_hugepages' : (flags & PG_swapbacked) !== 0 ? 'nr_shmem_pmdmapped' : 'nr_file_pmdmapped'] += pages
}

function verifyMlocked(k: Kernel, wrong: string[]): void {
  const locked = k.zones.map(() => 0)
  const { page, maxPfn } = k
  for (let pfn = 1; pfn < maxPfn; pfn++) {
    const flags = page[pfn * PAGE_WORDS]
    if ((flags & PG_mlocked) === 0) continue
    locked[pageZone(k, asPfn(pfn)).index] += compoundPages(k, asPfn(pfn))
    if ((flags & PG_head) !== 0 && (flags & PG_hugetlb) !== 0) wrong.push(`huge TLB page ${pfn} is locked`)
  }
  for (const zone of k.zones)
    if (locked[zone.index] !== zone.stat[ZS.nr_mlock])
      wrong.push(`zone ${zone.index}: ${locked[zone.index]} pages locked, nr_mlock ${zone.stat[ZS.nr_mlock]}`)
}

// --- links and promises

function verifyLinks(k: Kernel, wrong: string[]): void {
  const anon = new Map<number, RmapEntry[]>()
  const files = new Map<number, RmapEntry[]>()
  const writers = new Map<number, number>()
  for (const mm of k.spaces.mms.values()) {
    for (const vma of eachVma(mm)) {
      for (const id of vma.chain) addLink(anon, id, vma)
      if (vma.anonVma !== 0 && !vma.chain.includes(vma.anonVma)) wrong.push(`mm ${mm.id}: area ${vma.start} is not linked to its anon_vma`)
      if (vma.mapping === undefined) continue
      addLink(files, vma.mapping.id, vma)
      if (isSharedMaywrite(vma.flags)) writers.set(vma.mapping.id, (writers.get(vma.mapping.id) ?? 0) + 1)
    }
  }
  let chains = 0
  for (const [id, { rmap, refs }] of k.spaces.anonVmas) {
    chains += refs
    verifyLink(`anon_vma ${id}`, anon.get(id) ?? [], rmap, wrong)
    if (refs !== rmap.reduce((sum, entry) => sum + entry.vmas, 0)) wrong.push(`anon_vma ${id} has ${refs} references`)
  }
  if (chains !== k.spaces.anonVmaChains) wrong.push(`areas are linked to anon_vmas ${chains} times, counted ${k.spaces.anonVmaChains}`)
  for (const [id, { rmap, writable }] of k.fs.mappings) {
    verifyLink(`file mapping ${id}`, files.get(id) ?? [], rmap, wrong)
    if (writable !== (writers.get(id) ?? 0)) wrong.push(`file mapping ${id} has ${writers.get(id) ?? 0} writers, counts ${writable}`)
  }
}

function addLink(links: Map<number, RmapEntry[]>, id: number, vma: Vma): void {
  const list = links.get(id) ?? []
  links.set(id, list)
  const delta = vma.start - vma.pgoff
  const entry = list.find(other => other.mm === vma.mm.id && other.delta === delta)
  if (entry === undefined) list.push({ mm: vma.mm.id, delta, vmas: 1 })
  else entry.vmas++
}

function verifyLink(what: string, counted: readonly RmapEntry[], kept: readonly RmapEntry[], wrong: string[]): void {
  const same = counted.every(a => kept.some(b => a.mm === b.mm && a.delta === b.delta && a.vmas === b.vmas))
  if (!same || counted.length !== kept.length) wrong.push(`${what} is linked to ${JSON.stringify(counted)}, lists ${JSON.stringify(kept)}`)
}

function verifyCommitted(k: Kernel, wrong: string[]): void {
  let pages = 0
  for (const mm of k.spaces.mms.values()) for (const vma of eachVma(mm)) if ((vma.flags & VM_ACCOUNT) !== 0) pages += vmaPages(vma)
  for (const inode of k.fs.inodes.values())
    if (isShmem(inode.sb) && !inode.directory) pages += inode.noreserve ? inode.alloced : pagesFor(inode.sizeBytes)
  for (const { restart } of k.tasks.values()) if (restart?.rest?.kind === 'move') pages -= promisedTwice(restart.rest)
  if (pages !== k.committedAs) wrong.push(`${pages} pages are promised, Committed_AS ${k.committedAs}`)
}

/** Pages that an area which is being moved has in both places, but are promised once. */
const promisedTwice = ({ area, call, promise }: MovingArea): number => ((area.flags & VM_ACCOUNT) === 0 ? 0 : call.newPages - promise)
