/**
 * Huge pages of the kernel command line: hugepagesz= chooses the size that the next hugepages= counts, default_hugepagesz= the
 * size of a count that stands alone.
 *
 *     hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=0:16,1:32       two on the nodes in turn; 16 on node 0 and 32 on node 1
 *
 * Pages of 1 GiB are taken before the buddy allocator exists, others through it once it runs. A size or a count that makes no sense is
 * ignored with what follows it, and so is a second count for one size.
 *
 * Source: mm/hugetlb.c (hugepages_setup, hugepagesz_setup, default_hugepagesz_setup).
 */
import { type BootMachine, KIB, parseSize } from './memory_machine.ts'

export const GIGANTIC_KB = 1048576
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

type Count = Omit<BootPool, 'sizeKb'>

export function bootHugetlb(machine: BootMachine): BootHugetlb {
  const pools = new Map<number, Count>()
  let defaultKb: number | undefined
  let lone: Count | undefined
  let at: number | 'default' | 'ignored' = 'default'
  for (const [key, value] of machine.cmdline) {
    if (key === 'hugepagesz' || key === 'default_hugepagesz') at = sizeKb(value)
    if (key === 'default_hugepagesz' && typeof at === 'number') {
      defaultKb ??= at
      if (lone !== undefined) pools.set(defaultKb, lone)
      lone = undefined
    }
    const count = key === 'hugepages' ? countOf(value) : undefined
    if (count === undefined) continue
    if (at === 'default') lone ??= count
    else if (at !== 'ignored' && !pools.has(at)) pools.set(at, count)
  }
  if (lone !== undefined) pools.set(defaultKb ?? HUGE_KB, lone)
  return { defaultKb: defaultKb ?? HUGE_KB, pools: [...pools].map(([kb, count]) => ({ sizeKb: kb, ...count })) }
}

function sizeKb(value: string | undefined): number | 'ignored' {
  const kb = (parseSize(value ?? '') ?? 0) / KIB
  return kb === HUGE_KB || kb === GIGANTIC_KB ? kb : 'ignored'
}

function countOf(value: string | undefined): Count | undefined {
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return { anywhere: Number(value), byNode: [] }
  if (!/^\d+:\d+(,\d+:\d+)*$/.test(value)) return undefined
  const byNode = value.split(',').map(part => part.split(':').map(Number))
  return { anywhere: 0, byNode: byNode.map(([node, pages]) => ({ node, pages })) }
}

/** The pool of pages of 1 GiB; empty when there is none. */
export function giganticWanted(machine: BootMachine): Count {
  return bootHugetlb(machine).pools.find(pool => pool.sizeKb === GIGANTIC_KB) ?? { anywhere: 0, byNode: [] }
}
