/**
 * Areas of an address space: find, insert, split, merge.
 *
 *     |AAAA|      |BBBBBBBB|CCCC|          three VMAs and a hole; addresses grow to the right
 *     mprotect of part of B splits it:     |BB|bbb|BBB|CCCC|
 *     and back:  equal neighbours merge    |BBBBBBBB|CCCC|
 *
 * A VMA is changed over part of its range by first asking whether the part can join its neighbours with the new
 * attributes, and only then splitting. With * for the part that changes, P the area below, N and X those above:
 *
 *     ****             ****          ****              ****        ****
 *     PPPPPPNNNNNN     PPPPPPNNNN    PPNNNNNN      PPPP    NNNN    PPPPNNNNXXXX
 *     nothing joins    PPNNNNNNNN    PPPPPPNN      PPPPPPPPPPPP    PPPPPPPPPPPP
 *                                                  PPPPPPPPNNNN    PPPPPPPPXXXX
 *                                                  PPPPNNNNNNNN    PPPPXXXXXXXX
 *
 * What can join: equal flags (soft-dirty aside), the same file at the right offset, the same policy and userfaultfd. Of anonymous
 * pages, too, the origin must be one: a range without an anon_vma may join an area that has its own, but a range with one may not
 * join an area without (6.1 asks whether the area has exactly one, and none is not one). So an area that was touched and
 * an untouched neighbour can stay two although they look alike in /proc/PID/maps.
 *
 * A new mapping asks by mmap's own rules, which differ in one case: between an untouched area below and a touched one
 * above it joins only the upper, where mprotect would join all three.
 *
 * VMAs lie in leaves of at most LEAF entries in address order, so that an address space with the maximum of 65530 areas
 * costs the same per operation as a small one, but for the short list of leaves. Each leaf knows the largest gap below
 * any of its VMAs, or that it has to be looked for again, so a search for room skips full leaves.
 *
 * Invariants: VMAs do not overlap; a leaf is never empty; vma.pgoff moves with vma.start; count is the number of VMAs.
 *
 * Source: mm/mmap.c (vma_merge, can_vma_merge_before/after, __vma_adjust, mmap_region, __split_vma, unmapped_area_topdown).
 */
import { assert, fail } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EINVAL, ENOMEM } from '../base/errno.ts'
import {
  PTE_RW,
  VM_ACCESS_FLAGS,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_HUGETLB,
  VM_MAYWRITE,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_SPECIAL,
  VM_UFFD_WP,
  VM_WRITE,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping, OpenFile } from '../base/state_fs.ts'
import type { Mm, Vma, VmaTree } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { HPAGE_PMD_NR } from '../base/units.ts'
import { hugePages } from '../frames/hugetlb_pool.ts'
import { samePolicy } from '../frames/mempolicy.ts'
import { OWED, owe, payer } from '../frames/owed.ts'
import { splitHugePmdAt } from './huge_pmd.ts'
import { hstateOfArea, hugeAreaOpen, unshareAround } from './hugetlb.ts'
import { anonVmaClone, anonVmaPrepare, anonVmaUnlink, fileRmapLink, fileRmapUnlink } from './rmap_link.ts'

const LEAF = 64
/** In VmaTree.gaps: not known, has to be looked for. */
const UNKNOWN = -1
/** The lowest page that a search for room may give. */
const LOWEST = 1
/** Pages that stay free below an area that grows downwards (stack_guard_gap). */
const STACK_GUARD_PAGES = 256

export const vmaTree = (): VmaTree => ({ leaves: [], gaps: [], count: 0 })

/** Index of the leaf that holds the first VMA ending above `vpn`; the number of leaves when there is none. */
function leafFor(tree: VmaTree, vpn: number): number {
  let low = 0
  let high = tree.leaves.length
  while (low < high) {
    const mid = (low + high) >>> 1
    const leaf = tree.leaves[mid]
    if (leaf[leaf.length - 1].end > vpn) high = mid
    else low = mid + 1
  }
  return low
}

function slotFor(leaf: readonly Vma[], vpn: number): number {
  let low = 0
  let high = leaf.length
  while (low < high) {
    const mid = (low + high) >>> 1
    if (leaf[mid].end > vpn) high = mid
    else low = mid + 1
  }
  return low
}

/** The first VMA that ends above the page: the one that holds it, or the next one up (find_vma). */
export function findVma(mm: Mm, vpn: number): Vma | undefined {
  const leaf = mm.vmas.leaves[leafFor(mm.vmas, vpn)]
  return leaf === undefined ? undefined : leaf[slotFor(leaf, vpn)]
}

/** The VMA that holds the page. */
export function vmaAt(mm: Mm, vpn: number): Vma | undefined {
  const last = mm.lastVma
  if (last !== undefined && last.start <= vpn && vpn < last.end) return last
  const vma = findVma(mm, vpn)
  if (vma === undefined || vma.start > vpn) return undefined
  mm.lastVma = vma
  return vma
}

/** The last VMA that ends at or below the page. */
export function vmaBefore(mm: Mm, vpn: number): Vma | undefined {
  const index = leafFor(mm.vmas, vpn)
  const leaf = mm.vmas.leaves[index]
  const slot = leaf === undefined ? 0 : slotFor(leaf, vpn)
  if (slot > 0) return leaf[slot - 1]
  const before = mm.vmas.leaves[index - 1]
  return before?.[before.length - 1]
}

export const vmaNext = (vma: Vma): Vma | undefined => findVma(vma.mm, vma.end)
const vmaPrev = (vma: Vma): Vma | undefined => vmaBefore(vma.mm, vma.start)

/** Makes sure the area can own anonymous pages (anon_vma_prepare). */
export function prepareAnon(k: Kernel, vma: Vma): void {
  if (vma.anonVma === 0) anonVmaPrepare(k, vma, vmaPrev(vma), vmaNext(vma))
}

/** All VMAs in address order. */
export function* eachVma(mm: Mm): Generator<Vma> {
  for (const leaf of mm.vmas.leaves) yield* leaf
}

/** The VMAs that overlap [start, end), as they are now. */
export function vmasIn(mm: Mm, start: number, end: number): Vma[] {
  const found: Vma[] = []
  for (let vma = findVma(mm, start); vma !== undefined && vma.start < end; vma = vmaNext(vma)) found.push(vma)
  return found
}

function insert(tree: VmaTree, vma: Vma): void {
  tree.count++
  if (tree.leaves.length === 0) {
    tree.leaves.push([vma])
    tree.gaps.push(UNKNOWN)
    return
  }
  const index = Math.min(leafFor(tree, vma.start), tree.leaves.length - 1)
  const leaf = tree.leaves[index]
  leaf.splice(slotFor(leaf, vma.start), 0, vma)
  tree.gaps[index] = UNKNOWN
  if (leaf.length <= LEAF) return
  tree.leaves.splice(index + 1, 0, leaf.splice(LEAF >> 1))
  tree.gaps.splice(index + 1, 0, UNKNOWN)
}

function remove(tree: VmaTree, vma: Vma): void {
  const index = leafFor(tree, vma.start)
  const leaf = tree.leaves[index]
  const slot = leaf.indexOf(vma)
  assert(slot >= 0, 'a VMA to remove is not in its tree')
  forgetGaps(tree, index)
  leaf.splice(slot, 1)
  if (leaf.length === 0) {
    tree.leaves.splice(index, 1)
    tree.gaps.splice(index, 1)
  }
  tree.count--
}

/** A gap below a VMA of this leaf, or below the first of the next one, has grown. */
function forgetGaps(tree: VmaTree, index: number): void {
  tree.gaps[index] = UNKNOWN
  if (index + 1 < tree.gaps.length) tree.gaps[index + 1] = UNKNOWN
}

/** Where the room below a VMA ends: its start, or the guard gap below a stack (vm_start_gap). */
export const startGap = (vma: Vma): number => ((vma.flags & VM_GROWSDOWN) !== 0 ? vma.start - STACK_GUARD_PAGES : vma.start)

/**
 * The highest multiple of `unit` at which `pages` fit below `high`, clear of areas and stack guards; -ENOMEM when there is none
 * (unmapped_area_topdown).
 */
export function topDownGap(mm: Mm, pages: number, unit: number, high: number): number {
  const { leaves } = mm.vmas
  const need = pages + unit - 1
  const place = (top: number) => Math.floor((top - pages) / unit) * unit
  const first = leafFor(mm.vmas, high - 1)
  const from = first < leaves.length ? slotFor(leaves[first], high - 1) - 1 : -1
  const above = findVma(mm, high - 1)
  const below = vmaBefore(mm, high - 1)
  const top = above === undefined ? high : Math.min(high, startGap(above))
  if (top - (below?.end ?? LOWEST) >= need) return place(top)
  for (let index = first; index >= 0; index--) {
    if (index === leaves.length) continue
    const found = gapInLeaf(mm.vmas, index, index === first ? from : leaves[index].length - 1, need)
    if (found >= 0) return place(found)
  }
  return -ENOMEM
}

/** Top of the highest gap of `need` pages below one of the leaf's first VMAs up to `from`, or -1. */
function gapInLeaf(tree: VmaTree, index: number, from: number, need: number): number {
  if (tree.gaps[index] !== UNKNOWN && tree.gaps[index] < need) return -1
  const leaf = tree.leaves[index]
  let largest = 0
  for (let slot = from; slot >= 0; slot--) {
    const below = slot > 0 ? leaf[slot - 1] : tree.leaves[index - 1]?.at(-1)
    const gap = startGap(leaf[slot]) - (below?.end ?? LOWEST)
    if (gap >= need) return startGap(leaf[slot])
    largest = Math.max(largest, gap)
  }
  if (from === leaf.length - 1) tree.gaps[index] = largest
  return -1
}

export interface VmaAttributes {
  readonly flags: number
  readonly mapping: Mapping | undefined
  readonly file: OpenFile | undefined
  readonly policy: Mempolicy | undefined
  readonly uffd: number
}

/** A shared mapping that writes, or may be made to (vma_is_shared_maywrite). */
export const isSharedMaywrite = (flags: number): boolean => (flags & (VM_SHARED | VM_MAYWRITE)) === (VM_SHARED | VM_MAYWRITE)

/** Puts a new VMA into its address space and links it to what it maps. */
export function insertVma(k: Kernel, vma: Vma): void {
  insert(vma.mm.vmas, vma)
  vma.payer = payer(k)
  owe(k, vma.payer, OWED.area, 1)
  if (vma.mapping !== undefined) {
    fileRmapLink(vma.mapping, vma)
    if (isSharedMaywrite(vma.flags)) vma.mapping.writable++
  }
  spend(k, COST.vma_change, 1)
}

/** Takes a VMA out of its address space; its pages must be unmapped already. */
export function removeVma(k: Kernel, vma: Vma): void {
  vma.mm.lastVma = undefined
  remove(vma.mm.vmas, vma)
  if (vma.mapping !== undefined) {
    fileRmapUnlink(vma.mapping, vma)
    if (isSharedMaywrite(vma.flags)) vma.mapping.writable--
  }
  anonVmaUnlink(k, vma)
  owe(k, vma.payer, OWED.area, -1)
  spend(k, COST.vma_change, 1)
}

/** Moves a VMA's bounds; its tree position must not change. */
function resizeVma(vma: Vma, start: number, end: number): void {
  if (start > vma.start || end < vma.end) forgetGaps(vma.mm.vmas, leafFor(vma.mm.vmas, vma.start))
  vma.pgoff += start - vma.start
  vma.start = start
  vma.end = end
}

/** Splits the huge mapping that a cut at this page would go through (vma_adjust_trans_huge). */
function cutHuge(k: Kernel, vma: Vma, at: number): void {
  const start = at - (at % HPAGE_PMD_NR)
  if (start !== at && start >= vma.start && start + HPAGE_PMD_NR <= vma.end) splitHugePmdAt(k, vma, at)
}

/**
 * Cuts a VMA in two at a page (split_vma).
 * @param newBelow the new VMA is the lower part; otherwise the upper one.
 * @returns the new VMA; -ENOMEM at max_map_count (checked only when `limit`), -EINVAL inside a huge TLB page.
 */
export function splitVma(k: Kernel, vma: Vma, at: number, newBelow: boolean, limit = true): Vma | number {
  assert(at > vma.start && at < vma.end, 'a VMA is split outside its range')
  if (limit && vma.mm.vmas.count >= k.sysctl.max_map_count) return -ENOMEM
  const hugetlb = (vma.flags & VM_HUGETLB) !== 0
  if (hugetlb && at % hugePages(hstateOfArea(k, vma)) !== 0) return -EINVAL
  if (hugetlb) unshareAround(k, vma, at)
  else cutHuge(k, vma, at)
  const copy: Vma = newBelow
    ? { ...vma, end: at, chain: [], anonVma: 0 }
    : { ...vma, start: at, pgoff: vma.pgoff + at - vma.start, chain: [], anonVma: 0 }
  anonVmaClone(k, copy, vma)
  copy.anonVma = vma.anonVma
  if (newBelow) resizeVma(vma, at, vma.end)
  else resizeVma(vma, vma.start, at)
  if (vma.file !== undefined) vma.file.refs++
  if (hugetlb) hugeAreaOpen(copy)
  insertVma(k, copy)
  return copy
}

/** Areas the kernel itself placed, which are never joined with others. */
const SPECIAL_NAMES = ['[vdso]', '[vvar]']

/** Whether a VMA with these attributes could be one with `vma`, addresses and pages aside (is_mergeable_vma). */
export function mergeable(vma: Vma, attributes: VmaAttributes): boolean {
  return (
    ((vma.flags ^ attributes.flags) & ~VM_SOFTDIRTY) === 0 &&
    vma.mapping === attributes.mapping &&
    vma.file === attributes.file &&
    vma.uffd === attributes.uffd &&
    (vma.flags & VM_HUGETLB) === 0 &&
    !SPECIAL_NAMES.includes(vma.name)
  )
}

/** Pages of one area have one origin; `vma`, if given, is the one of the two that is an area already (is_mergeable_anon_vma). */
const mergeableAnon = (a: number, b: number, vma: Vma | undefined) =>
  ((a === 0 || b === 0) && (vma === undefined || vma.chain.length === 1)) || a === b

/** Whether [addr, ...) with these attributes can join the end of `prev`. */
const canMergeAfter = (prev: Vma, attributes: VmaAttributes, anonVma: number, pgoff: number): boolean =>
  mergeable(prev, attributes) && mergeableAnon(anonVma, prev.anonVma, prev) && prev.pgoff + prev.end - prev.start === pgoff

/** Whether [..., end) with these attributes can join the start of `next`; `pgoff` is that of `end`. */
const canMergeBefore = (next: Vma, attributes: VmaAttributes, anonVma: number, pgoff: number): boolean =>
  mergeable(next, attributes) && mergeableAnon(anonVma, next.anonVma, next) && next.pgoff === pgoff

/**
 * Tries to make [start, end), which is part of one VMA or a hole, one with its neighbours under new attributes (vma_merge).
 * @param anonVma of the VMA that has the range now, and pgoff what its first page has then.
 * @returns the VMA that then covers the range, its flags as they were, or undefined when nothing merges.
 */
export function mergeVma(
  k: Kernel,
  mm: Mm,
  start: number,
  end: number,
  attributes: VmaAttributes,
  anonVma: number,
  pgoff: number,
): Vma | undefined {
  if ((attributes.flags & VM_SPECIAL) !== 0) return undefined
  const covering = vmaAt(mm, start)
  const prev = covering !== undefined && covering.start < start ? covering : vmaBefore(mm, start)
  const next = findVma(mm, end)
  const joinsPrev =
    prev !== undefined &&
    prev.end === start &&
    samePolicy(prev.policy, attributes.policy) &&
    canMergeAfter(prev, attributes, anonVma, pgoff)
  const joinsNext =
    next !== undefined &&
    next.start === end &&
    samePolicy(next.policy, attributes.policy) &&
    canMergeBefore(next, attributes, anonVma, pgoff + end - start)
  if (joinsPrev && joinsNext && mergeableAnon(prev.anonVma, next.anonVma, undefined))
    return absorb(k, prev, prev.start, next.end, vmasIn(mm, start, next.end))
  if (joinsPrev) return absorb(k, prev, prev.start, end, vmasIn(mm, start, end))
  if (joinsNext) return absorb(k, next, start, next.end, vmasIn(mm, start, end))
  return undefined
}

/** The same for a new mapping in a hole, by mmap's own rules: the upper neighbour is asked first (mmap_region). */
export function mergeNewVma(k: Kernel, mm: Mm, start: number, end: number, attributes: VmaAttributes, pgoff: number): Vma | undefined {
  if ((attributes.flags & VM_SPECIAL) !== 0) return undefined
  const prev = vmaBefore(mm, start)
  const next = findVma(mm, end)
  const joinsNext =
    next !== undefined && next.start === end && next.policy === undefined && canMergeBefore(next, attributes, 0, pgoff + end - start)
  const joinsPrev =
    prev !== undefined &&
    prev.end === start &&
    prev.policy === undefined &&
    canMergeAfter(prev, attributes, joinsNext ? next.anonVma : 0, pgoff)
  if (joinsPrev) return absorb(k, prev, prev.start, joinsNext ? next.end : end, joinsNext ? [next] : [])
  return joinsNext ? absorb(k, next, start, next.end, []) : undefined
}

/** The same for the heap, which joins only what lies below (do_brk_flags). */
export function mergeBrkVma(k: Kernel, mm: Mm, start: number, end: number, attributes: VmaAttributes): Vma | undefined {
  const prev = vmaBefore(mm, start)
  const joins = prev !== undefined && prev.end === start && prev.policy === undefined && canMergeAfter(prev, attributes, 0, start)
  return joins ? absorb(k, prev, prev.start, end, []) : undefined
}

/** Grows `into` to [start, end): areas wholly inside are removed, one that sticks out is cut back. */
function absorb(k: Kernel, into: Vma, start: number, end: number, overlapped: readonly Vma[]): Vma {
  for (const vma of overlapped) {
    if (vma === into) continue
    if (into.anonVma === 0 && vma.anonVma !== 0) {
      anonVmaClone(k, into, vma)
      into.anonVma = vma.anonVma
    }
    if (vma.start >= start && vma.end <= end) {
      removeVma(k, vma)
      if (vma.file !== undefined) vma.file.refs--
    } else if (vma.start < start) {
      cutHuge(k, vma, start)
      resizeVma(vma, vma.start, start)
    } else {
      cutHuge(k, vma, end)
      resizeVma(vma, end, vma.end)
    }
  }
  resizeVma(into, start, end)
  return into
}

/**
 * Gives [start, end) of one VMA new attributes: merges with neighbours where that is possible, else splits.
 * @returns the VMA that covers the range now, another one than before where it merged; or -ENOMEM when it would take one area
 * too many, -EINVAL for a cut within a huge TLB page.
 */
export function changeVma(k: Kernel, vma: Vma, start: number, end: number, change: Partial<VmaAttributes>): Vma | number {
  const attributes: VmaAttributes = {
    flags: vma.flags,
    mapping: vma.mapping,
    file: vma.file,
    policy: vma.policy,
    uffd: vma.uffd,
    ...change,
  }
  spend(k, COST.vma_change, 1)
  const merged = mergeVma(k, vma.mm, start, end, attributes, vma.anonVma, vma.pgoff + start - vma.start)
  const target = merged ?? cutOut(k, vma, start, end)
  if (typeof target === 'number') return target
  target.flags = attributes.flags
  target.policy = attributes.policy
  target.uffd = attributes.uffd
  return target
}

function cutOut(k: Kernel, vma: Vma, start: number, end: number): Vma | number {
  if (start > vma.start) {
    const below = splitVma(k, vma, start, true)
    if (typeof below === 'number') return below
  }
  if (end < vma.end) {
    const above = splitVma(k, vma, end, false)
    if (typeof above === 'number') return above
  }
  return vma
}

/**
 * Whether the first write to a page of a shared area must fault although the area may be written: its file system wants to know,
 * or soft-dirty or write-protect tracking does (vma_wants_writenotify).
 */
function wantsWritenotify(vma: Vma): boolean {
  const sb = vma.mapping?.inode.sb
  if (sb !== undefined && (sb.disk !== undefined || sb.type === 'ramfs')) return true
  return (vma.flags & VM_UFFD_WP) !== 0 || (vma.flags & (VM_SOFTDIRTY | VM_HUGETLB)) === 0
}

/** PTE_RW where a page of the area that nobody wrote yet may be written without a fault, else 0 (vm_page_prot). */
export const vmPageProt = (vma: Vma): number =>
  (vma.flags & (VM_WRITE | VM_SHARED)) === (VM_WRITE | VM_SHARED) && !wantsWritenotify(vma) ? PTE_RW : 0

/** The VMA that must be there, because the caller just looked. */
export const mustVma = (mm: Mm, vpn: number): Vma => vmaAt(mm, vpn) ?? fail(`no VMA at page ${vpn}`)

/** Pages of the VMA. */
export const vmaPages = (vma: Vma) => vma.end - vma.start

/** The key that keeps data accesses from an area that can only be executed, the first that is free; 0 for all others (execute_only_pkey). */
export const protectionKey = (vma: Vma): number => ((vma.flags & VM_ACCESS_FLAGS) === VM_EXEC ? 1 : 0)

/** Page offset of a virtual page in what the VMA maps (linear_page_index). */
export const linearPageIndex = (vma: Vma, vpn: number) => vma.pgoff + vpn - vma.start
