/**
 * The page cache: which page of memory holds which page of a file.
 *
 *     mapping (of one file) ── index ──> page: owner = mapping, index = offset in pages
 *
 * A page in the cache is held by it: it is freed when it has been removed and nobody maps it any more. Removal by
 * truncation leaves nothing, removal by reclaim a shadow (workingset.ts). This room finds, counts and removes pages;
 * caches/filemap_add.ts, which needs memory, adds them.
 *
 * Invariants: mapping.nrPages is the number of pages indexed, nrDirty and nrWriteback of those with these marks (disk files);
 * a leaf that holds nothing but shadows counts in workingset_nodes of its node; nr_file_pages counts all cached pages, nr_shmem
 * those of memory files.
 *
 * Source: mm/filemap.c (__filemap_remove_folio, page_cache_delete), mm/workingset.c workingset_update_node.
 */

import { fail, must } from '../base/assert.ts'
import { NS } from '../base/counters.ts'
import { PG_dirty, PG_head, PG_swapbacked, PG_writeback } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, Mapping, SuperBlock, XaNode } from '../base/state_fs.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { modLruvecState, ROOT_MEMCG } from '../frames/memcg.ts'
import { compoundPages, MAX_INDEX, pageIndex, pageNode, pageOwner, pageSetOwner } from '../frames/page.ts'
import { fileObjectsFree } from './charged_objects.ts'
import { mappingEmptied } from './dcache.ts'
import { shadowOf, workingsetEviction } from './workingset.ts'
import { leafKey, xaClear, xaClearHuge, xaLeaf, xaPage, xarray, xaSetShadow } from './xarray.ts'

const { nr_file_pages: NR_FILE_PAGES, nr_shmem: NR_SHMEM, nr_shmem_hugepages: NR_SHMEM_THPS, nr_file_hugepages: NR_FILE_THPS } = NS

type BareInode = Omit<Inode, 'mapping'>
type BareMapping = Omit<Mapping, 'inode'> & { readonly inode: BareInode }

/** Gives a new inode its page cache. */
export function withMapping(k: Kernel, bare: BareInode, unevictable: boolean): Inode {
  const mapping: BareMapping = {
    id: k.fs.nextMapping++,
    inode: bare,
    pages: xarray(),
    charged: { memcg: ROOT_MEMCG, nid: 0, nodes: 0, inodes: 0, dentries: 0 },
    dirtier: ROOT_MEMCG,
    nrPages: 0,
    nrShadows: 0,
    nrDirty: 0,
    nrWriteback: 0,
    writebackIndex: 0,
    rmap: [],
    writable: 0,
    unevictable,
  }
  const inode = Object.assign(bare, { mapping })
  if (!isWhole(inode)) fail('an inode and its page cache do not name each other')
  k.fs.mappings.set(inode.mapping.id, inode.mapping)
  return inode
}

const isWhole = (inode: BareInode & { readonly mapping: BareMapping }): inode is BareInode & { readonly mapping: Mapping } =>
  inode.mapping.inode === inode

/** The mapping a file page belongs to. */
export const mappingOf = (k: Kernel, head: Pfn): Mapping => must(k.fs.mappings.get(pageOwner(k, head)), `page ${head} belongs to no file`)

/** The page that caches an offset of the file; NO_PAGE when none does. */
export const filemapGet = (mapping: Mapping, index: number): Pfn => xaPage(mapping.pages, index)

/** Whether dirty pages of the file system are counted and written to a disk (mapping_can_writeback). */
export const canWriteback = (sb: SuperBlock): boolean => sb.disk !== undefined

/**
 * Bytes of the longest file: ext4 numbers its blocks with 32 bits (ext4_max_size), the rest goes as far as offsets do (MAX_LFS_FILESIZE; here
 * the largest number below 2^63), but for ramfs, which fills pages wherever it is written to.
 */
export function maxFileBytes({ type }: SuperBlock): number {
  if (type === 'ext4') return (2 ** 32 - 1) * PAGE_SIZE
  return type === 'ramfs' ? MAX_INDEX * PAGE_SIZE : 2 ** 63 - 2 ** 10
}

/** Whether its files live in memory that could be swapped out. */
export const isShmem = (sb: SuperBlock): boolean => sb.type === 'tmpfs' || sb.type === 'shmem'

/** Pages of the file by its size. */
export const filePages = (inode: Inode): number => Math.ceil(inode.sizeBytes / PAGE_SIZE)

/** Counts pages as cached or no longer. */
export function countCached(k: Kernel, head: Pfn, pages: number): void {
  const flags = k.page[head * PAGE_WORDS]
  const shmem = (flags & PG_swapbacked) !== 0
  modLruvecState(k, head, NR_FILE_PAGES, pages)
  if (shmem) modLruvecState(k, head, NR_SHMEM, pages)
  if ((flags & PG_head) !== 0) modLruvecState(k, head, shmem ? NR_SHMEM_THPS : NR_FILE_THPS, pages)
}

/** Whether the leaf holds shadows only. */
const onlyShadows = (node: XaNode | undefined): node is XaNode => node !== undefined && node.count > 0 && node.count === node.shadows

/** More than there are nodes, for one number that stands for a node and a group. */
const GROUP_STEP = 2 ** 10
const listOf = ({ nid, memcg }: XaNode): number => memcg * GROUP_STEP + nid

/** The list that a leaf of nothing but shadows is on; -1 when the leaf is none. To be asked before a leaf is changed. */
export function shadowLeafList(mapping: Mapping, key: number): number {
  if (isShmem(mapping.inode.sb)) return -1
  const node = xaLeaf(mapping.pages, key)
  return onlyShadows(node) ? listOf(node) : -1
}

/** The group of the task that made a leaf, or the nearest above it that has a directory; the root when nothing is left of it. */
function listOwner(k: Kernel, { memcg }: XaNode): number {
  let group = k.memcg.groups[memcg]
  while (group !== undefined && !group.online) group = k.memcg.groups[group.parent]
  return group?.id ?? ROOT_MEMCG
}

/** A leaf among those of all files, as the lists of shadow leaves know it; and back. */
const MAPPING_STEP = 2 ** 31
const shadowKey = (mapping: Mapping, key: number): number => mapping.id * MAPPING_STEP + key
export const leafOfShadowKey = (shadow: number): number => shadow % MAPPING_STEP

/** To be called after a leaf was changed: keeps the lists of leaves with nothing but shadows, and workingset_nodes, in step. */
export function leafChanged(k: Kernel, mapping: Mapping, key: number, was: number): void {
  if (shadowLeafList(mapping, key) === was) return
  if (was >= 0) {
    const node = k.nodes[was % GROUP_STEP]
    node.stat[NS.workingset_nodes]--
    node.lruvecs[Math.floor(was / GROUP_STEP)].shadowLeaves.delete(shadowKey(mapping, key))
    return
  }
  const leaf = must(xaLeaf(mapping.pages, key), 'a leaf of shadows is not there')
  leaf.memcg = listOwner(k, leaf)
  k.nodes[leaf.nid].stat[NS.workingset_nodes]++
  k.nodes[leaf.nid].lruvecs[leaf.memcg].shadowLeaves.set(shadowKey(mapping, key), mapping)
}

/** Nobody remembers the page once it is removed. */
export const NOT_EVICTED = -1

/** Gives the objects of index nodes back. */
export function freeXaNodes(k: Kernel, mapping: Mapping, nodes: number): void {
  if (nodes > 0) fileObjectsFree(k, mapping.charged, 'radix_tree_node', 'nodes', nodes)
}

/**
 * Takes a page, which nobody maps, out of the cache; the caller then drops the cache's hold with putPage.
 * @param evictedFor the memory cgroup for whose sake reclaim takes it, and a shadow stays behind; NOT_EVICTED: none does.
 */
export function filemapRemove(k: Kernel, mapping: Mapping, head: Pfn, evictedFor: number): void {
  const index = pageIndex(k, head)
  const pages = compoundPages(k, head)
  countCached(k, head, -pages)
  mapping.nrPages -= pages
  if (pages === HPAGE_PMD_NR) freeXaNodes(k, mapping, xaClearHuge(mapping.pages, index))
  else if (evictedFor !== NOT_EVICTED) evictSlot(k, mapping, head, index, evictedFor)
  else clearSlot(k, mapping, index)
  if (mapping.nrPages + mapping.nrShadows === 0) mappingEmptied(k, mapping)
  pageSetOwner(k, head, 0, index)
}

function evictSlot(k: Kernel, mapping: Mapping, head: Pfn, index: number, memcg: number): void {
  const shadow = shadowOf(k, head, memcg)
  const age = workingsetEviction(k, head, memcg)
  mapping.nrShadows++
  xaSetShadow(mapping.pages, index, shadow, age)
  // A leaf that held the page was no leaf of nothing but shadows.
  leafChanged(k, mapping, leafKey(index), -1)
}

/** Empties a slot, page or shadow. */
function clearSlot(k: Kernel, mapping: Mapping, index: number): void {
  const was = shadowLeafList(mapping, leafKey(index))
  freeXaNodes(k, mapping, xaClear(mapping.pages, index))
  leafChanged(k, mapping, leafKey(index), was)
}

/** Forgets the shadow at an index. */
export function clearShadow(k: Kernel, mapping: Mapping, index: number): void {
  mapping.nrShadows--
  clearSlot(k, mapping, index)
  if (mapping.nrPages + mapping.nrShadows === 0) mappingEmptied(k, mapping)
}

/** What does not add up in the page caches, in words. */
export function verifyFilemap(k: Kernel): string[] {
  const wrong: string[] = []
  const files = k.nodes.map(() => 0)
  const shmem = k.nodes.map(() => 0)
  const shadowNodes = k.nodes.map(() => 0)
  for (const mapping of k.fs.mappings.values()) {
    if (mapping.inode.sb.type === 'hugetlbfs') continue
    const counted = countMapping(k, mapping, wrong)
    counted.pages.forEach((n, node) => {
      files[node] += n
      if (isShmem(mapping.inode.sb)) shmem[node] += n
      shadowNodes[node] += counted.shadowNodes[node]
    })
  }
  for (const node of k.nodes) {
    const swapCache = node.stat[NS.nr_swapcached]
    if (files[node.id] + swapCache !== node.stat[NR_FILE_PAGES])
      wrong.push(`node ${node.id}: ${files[node.id]} pages cached, nr_file_pages ${node.stat[NR_FILE_PAGES]}`)
    if (shmem[node.id] !== node.stat[NR_SHMEM])
      wrong.push(`node ${node.id}: ${shmem[node.id]} pages of memory files, nr_shmem ${node.stat[NR_SHMEM]}`)
    const listed = node.lruvecs.reduce((sum, { shadowLeaves }) => sum + shadowLeaves.size, 0)
    if (shadowNodes[node.id] !== listed) wrong.push(`node ${node.id}: ${shadowNodes[node.id]} leaves of shadows, ${listed} listed`)
    if (shadowNodes[node.id] !== node.stat[NS.workingset_nodes])
      wrong.push(`node ${node.id}: ${shadowNodes[node.id]} leaves of shadows, workingset_nodes ${node.stat[NS.workingset_nodes]}`)
  }
  return wrong
}

interface MappingCount {
  readonly pages: number[]
  readonly shadowNodes: number[]
}

function countMapping(k: Kernel, mapping: Mapping, wrong: string[]): MappingCount {
  const count: MappingCount = { pages: k.nodes.map(() => 0), shadowNodes: k.nodes.map(() => 0) }
  const sums = { pages: 0, shadows: 0, dirty: 0, writeback: 0 }
  const name = mapping.inode.path
  for (const [key, node] of mapping.pages.nodes) {
    const leaf = countLeaf(k, mapping, key, node, count.pages, wrong)
    if (leaf.pages + leaf.shadows !== node.count || leaf.shadows !== node.shadows || node.count === 0)
      wrong.push(`leaf ${key} of ${name} miscounts its slots`)
    if (canWriteback(mapping.inode.sb) && (leaf.dirty !== node.dirty || leaf.writeback !== node.writeback))
      wrong.push(`leaf ${key} of ${name} miscounts its dirty pages`)
    if (onlyShadows(node) && !isShmem(mapping.inode.sb)) count.shadowNodes[node.nid]++
    sums.pages += leaf.pages
    sums.shadows += leaf.shadows
    sums.dirty += leaf.dirty
    sums.writeback += leaf.writeback
  }
  for (const [unit, head] of mapping.pages.huge) {
    count.pages[pageNode(k, asPfn(head))] += HPAGE_PMD_NR
    sums.pages += HPAGE_PMD_NR
    if (pageOwner(k, asPfn(head)) !== mapping.id || pageIndex(k, asPfn(head)) !== unit * HPAGE_PMD_NR)
      wrong.push(`huge page ${head} does not know that it is in ${name}`)
  }
  if (sums.pages !== mapping.nrPages || sums.shadows !== mapping.nrShadows)
    wrong.push(`${name} has ${sums.pages} pages and ${sums.shadows} shadows, counts ${mapping.nrPages} and ${mapping.nrShadows}`)
  if (canWriteback(mapping.inode.sb) && (sums.dirty !== mapping.nrDirty || sums.writeback !== mapping.nrWriteback))
    wrong.push(
      `${name} has ${sums.dirty} dirty pages and ${sums.writeback} under writeback, counts ${mapping.nrDirty} and ${mapping.nrWriteback}`,
    )
  return count
}

function countLeaf(k: Kernel, mapping: Mapping, key: number, node: XaNode, pages: number[], wrong: string[]) {
  const leaf = { pages: 0, shadows: 0, dirty: 0, writeback: 0 }
  for (let slot = 0; slot < node.slots.length; slot++) {
    const pfn = asPfn(node.slots[slot])
    if (pfn < 0) leaf.shadows++
    if (pfn <= NO_PAGE) continue
    const flags = k.page[pfn * PAGE_WORDS]
    leaf.pages++
    pages[pageNode(k, pfn)]++
    if ((flags & PG_dirty) !== 0) leaf.dirty++
    if ((flags & PG_writeback) !== 0) leaf.writeback++
    if (pageOwner(k, pfn) !== mapping.id || pageIndex(k, pfn) !== key * 64 + slot)
      wrong.push(`page ${pfn} does not know that it is in ${mapping.inode.path}`)
  }
  return leaf
}
