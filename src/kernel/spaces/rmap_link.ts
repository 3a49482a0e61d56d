/**
 * Links between areas and the places where their pages' mappings are looked up: anon_vmas and files.
 *
 * Anonymous pages belong to an anon_vma. A fork gives the child's area a fresh one for pages it will get itself, and
 * keeps it linked to all its parent's, whose pages it shares:
 *
 *     parent area ── A          pages of A may be mapped by parent, child and grandchild,
 *     child area  ── A, B       pages of B by child and grandchild, pages of C by the grandchild
 *     grandchild  ── A, B, C
 *
 * Where Linux keeps an interval tree of areas, an anon_vma and a file here keep (address space, delta) pairs; see
 * RmapEntry. Invariant: an entry's count is the number of that mm's VMAs with that delta that are linked.
 *
 * Source: mm/rmap.c (__anon_vma_prepare, anon_vma_clone, anon_vma_fork, unlink_anon_vmas), mm/mmap.c
 * (find_mergeable_anon_vma).
 */
import { must } from '../base/assert.ts'
import { VM_ACCESS_FLAGS, VM_SOFTDIRTY } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { AnonVma, Vma } from '../base/state_mm.ts'
import type { RmapEntry } from '../base/state_shared.ts'
import { samePolicy } from '../frames/mempolicy.ts'
import { OWED, owe, payer } from '../frames/owed.ts'

function link(rmap: RmapEntry[], mm: number, delta: number): void {
  const entry = rmap.find(e => e.mm === mm && e.delta === delta)
  if (entry !== undefined) entry.vmas++
  else rmap.push({ mm, delta, vmas: 1 })
}

function unlink(rmap: RmapEntry[], mm: number, delta: number): void {
  const at = rmap.findIndex(e => e.mm === mm && e.delta === delta)
  const entry = must(rmap[at], 'an area to unlink is not linked')
  entry.vmas--
  if (entry.vmas === 0) rmap.splice(at, 1)
}

const deltaOf = (vma: Vma) => vma.start - vma.pgoff

export const fileRmapLink = (mapping: Mapping, vma: Vma) => link(mapping.rmap, vma.mm.id, deltaOf(vma))
export const fileRmapUnlink = (mapping: Mapping, vma: Vma) => unlink(mapping.rmap, vma.mm.id, deltaOf(vma))

const anonVma = (k: Kernel, id: number): AnonVma => must(k.spaces.anonVmas.get(id), `no anon_vma ${id}`)

function anonVmaAllocate(k: Kernel, root: number): AnonVma {
  const id = k.spaces.nextAnonVma++
  const fresh: AnonVma = { id, root: root === 0 ? id : root, rmap: [], refs: 0, payer: payer(k) }
  owe(k, fresh.payer, OWED.anonVma, 1)
  k.spaces.anonVmas.set(id, fresh)
  return fresh
}

function chainLink(k: Kernel, vma: Vma, id: number): void {
  const to = anonVma(k, id)
  link(to.rmap, vma.mm.id, deltaOf(vma))
  to.refs++
  k.spaces.anonVmaChains++
  if (vma.chain.length === 0) vma.linkPayer = payer(k)
  owe(k, vma.linkPayer, OWED.link, 1)
  vma.chain = [...vma.chain, id]
}

/** Makes sure that the area has an anon_vma for a page it is about to get; a neighbour's where they may merge later. */
export function anonVmaPrepare(k: Kernel, vma: Vma, prev: Vma | undefined, next: Vma | undefined): void {
  if (vma.anonVma !== 0) return
  const shared = (next !== undefined && reusable(next, vma, next)) || (prev !== undefined && reusable(prev, prev, vma))
  const id = shared ? shared : anonVmaAllocate(k, 0).id
  chainLink(k, vma, id)
  vma.anonVma = id
}

/** The neighbour's anon_vma when the two areas differ in nothing but their protection; else 0. */
function reusable(from: Vma, low: Vma, high: Vma): number {
  const alike =
    low.end === high.start &&
    samePolicy(low.policy, high.policy) &&
    low.file === high.file &&
    low.mapping === high.mapping &&
    ((low.flags ^ high.flags) & ~(VM_ACCESS_FLAGS | VM_SOFTDIRTY)) === 0 &&
    high.pgoff === low.pgoff + high.start - low.start
  return alike && from.anonVma !== 0 && from.chain.length === 1 ? from.anonVma : 0
}

/** Links `to` to every anon_vma that `from` is linked to. */
export function anonVmaClone(k: Kernel, to: Vma, from: Vma): void {
  for (const id of from.chain) chainLink(k, to, id)
}

/** Gives a forked area its parent's links and an anon_vma of its own. */
export function anonVmaFork(k: Kernel, child: Vma, parent: Vma): void {
  if (parent.anonVma === 0) return
  anonVmaClone(k, child, parent)
  const own = anonVmaAllocate(k, anonVma(k, parent.anonVma).root)
  chainLink(k, child, own.id)
  child.anonVma = own.id
}

/** Drops an area's links; anon_vmas that nobody is linked to are gone, but a root that others have. */
export function anonVmaUnlink(k: Kernel, vma: Vma): void {
  for (const id of vma.chain) {
    const from = anonVma(k, id)
    unlink(from.rmap, vma.mm.id, deltaOf(vma))
    from.refs--
    k.spaces.anonVmaChains--
    if (from.refs > 0) continue
    k.spaces.anonVmas.delete(id)
    owe(k, from.payer, OWED.anonVma, -1)
  }
  owe(k, vma.linkPayer, OWED.link, -vma.chain.length)
  vma.chain = []
  vma.anonVma = 0
}
