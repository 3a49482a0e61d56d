/**
 * Huge pages of the kernel command line, read from left to right with Linux' memory of what came before.
 *
 *     hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=0:16,1:32       two on the nodes in turn; 16 on node 0 and 32 on node 1
 *
 * hugepagesz= chooses the size that the next hugepages= counts; a count before any size is for the default size, which
 * default_hugepagesz= names, 2 MiB otherwise.
 *
 *     hugepagesz= of no size, or of one again (but the default one, still uncounted)   ignored, and the next count with it
 *     a second hugepages= without a size between                                       ignored
 *     hugepages= that is no number, or names a node that is not there                  the size's count is forgotten
 *     a second default_hugepagesz=                                                     ignored, and the next count with it
 *
 * Pages of 1 GiB are taken before the buddy allocator exists, others through it once it runs (hugetlb_boot.ts).
 *
 * Source: mm/hugetlb.c (hugepages_setup, hugepagesz_setup, default_hugepagesz_setup, hugetlb_init).
 */
import { type BootMachine, KIB, parseSize } from './memory_machine.ts'

const GIGANTIC_KB = 1048576
export const HUGE_KB = 2048

/** How many pages of a size the command line asks for: of the nodes in turn, or by node. */
export interface BootPool {
  readonly sizeKb: number
  readonly anywhere: number
  readonly byNode: readonly { readonly node: number; readonly pages: number }[]
}

export interface BootHugetlb {
  readonly defaultKb: number
  /** At most one for each size. */
  readonly pools: readonly BootPool[]
}

interface Count {
  pages: number
  readonly byNode: Map<number, number>
}

const noPages = (): Count => ({ pages: 0, byNode: new Map() })

/** What Linux remembers while it reads. */
interface Reader {
  readonly nodes: number
  /** Counts by size, in the order in which the sizes came. */
  readonly sizes: Map<number, Count>
  /** Of the default size, while no size has come. */
  lone: Count
  /** What the next count is for; and the count that came last. */
  current: Count | undefined
  last: Count | undefined
  /** The last size made sense. */
  valid: boolean
  defaultKb: number | undefined
}

export function bootHugetlb(machine: BootMachine): BootHugetlb {
  const r: Reader = {
    nodes: machine.nodes.length,
    sizes: new Map(),
    lone: noPages(),
    current: undefined,
    last: undefined,
    valid: true,
    defaultKb: undefined,
  }
  for (const [key, value = ''] of machine.cmdline) {
    if (key === 'hugepagesz') readSize(r, value)
    if (key === 'default_hugepagesz') readDefaultSize(r, value)
    if (key === 'hugepages') readCount(r, value)
  }
  const defaultKb = r.defaultKb ?? HUGE_KB
  if (r.defaultKb === undefined && r.lone.pages > 0) r.sizes.set(defaultKb, r.lone)
  return { defaultKb, pools: [...r.sizes].filter(([, count]) => count.pages > 0).map(([sizeKb, count]) => poolOf(sizeKb, count)) }
}

function poolOf(sizeKb: number, { pages, byNode }: Count): BootPool {
  const named = [...byNode].filter(([, n]) => n > 0).sort(([a], [b]) => a - b)
  return { sizeKb, anywhere: named.length > 0 ? 0 : pages, byNode: named.map(([node, n]) => ({ node, pages: n })) }
}

function sizeKb(value: string): number | undefined {
  const kb = (parseSize(value) ?? 0) / KIB
  return kb === HUGE_KB || kb === GIGANTIC_KB ? kb : undefined
}

/** The count of a size, from now on the one that is counted if the size is new. */
function addSize(r: Reader, kb: number): Count {
  const known = r.sizes.get(kb)
  if (known !== undefined) return known
  const count = noPages()
  r.sizes.set(kb, count)
  r.current = count
  return count
}

function readSize(r: Reader, value: string): void {
  const kb = sizeKb(value)
  r.valid = false
  if (kb === undefined) return
  const known = r.sizes.get(kb)
  if (known !== undefined && (kb !== r.defaultKb || known.pages > 0)) return
  r.current = addSize(r, kb)
  r.valid = true
}

function readDefaultSize(r: Reader, value: string): void {
  const kb = r.defaultKb === undefined ? sizeKb(value) : undefined
  r.valid = kb !== undefined
  if (kb === undefined) return
  r.defaultKb = kb
  const count = addSize(r, kb)
  if (r.lone.pages === 0) return
  count.pages = r.lone.pages
  for (const [node, pages] of r.lone.byNode) count.byNode.set(node, pages)
  r.lone = noPages()
}

function readCount(r: Reader, value: string): void {
  const count = r.current ?? r.lone
  if (!r.valid) r.valid = true
  else if (count !== r.last && value !== '') {
    if (countInto(r, count, value)) r.last = count
    else {
      count.pages = 0
      count.byNode.clear()
    }
  }
}

/** Reads "16" or "0:16,1:32"; what follows a number that needs nothing more is not looked at. */
function countInto(r: Reader, count: Count, value: string): boolean {
  const plain = /^\d+(?!\d*:)/.exec(value)
  if (plain !== null) {
    count.pages = Number(plain[0])
    return true
  }
  for (let rest = value; ; ) {
    const part = /^(\d+):(\d+)(,?)/.exec(rest)
    if (part === null || Number(part[1]) >= r.nodes) return false
    count.byNode.set(Number(part[1]), Number(part[2]))
    count.pages += Number(part[2])
    rest = rest.slice(part[0].length)
    if (part[3] === '' || rest === '') return true
  }
}

/** The pool of pages of 1 GiB; empty when there is none. */
export function giganticWanted(machine: BootMachine): Omit<BootPool, 'sizeKb'> {
  return bootHugetlb(machine).pools.find(pool => pool.sizeKb === GIGANTIC_KB) ?? { anywhere: 0, byNode: [] }
}
