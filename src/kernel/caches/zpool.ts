/**
 * Pools of compressed pages by name, as zswap chooses them.
 *
 *     zbud       two to a page; can evict
 *     z3fold     three to a page; can evict; a module
 *     zsmalloc   denser; cannot evict; a module, which zram brings along
 *
 * Source: mm/zpool.c.
 */
import { EINVAL } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Zpool } from '../base/state_zswap.ts'
import { verifyZ3fold, z3foldAlloc, z3foldCreate, z3foldFree, z3foldPages, z3foldShrink } from './z3fold.ts'
import { verifyZbud, zbudAlloc, zbudCreate, zbudFree, zbudPages, zbudShrink } from './zbud.ts'
import { verifyZsmalloc, zsCreate, zsFree, zsMalloc } from './zsmalloc.ts'

/** Modules that bring a pool, by its name; none where it is part of the kernel. */
const DRIVERS: Readonly<Record<Zpool['kind'], { readonly modules: readonly string[]; readonly create: () => Zpool }>> = {
  zbud: { modules: [], create: zbudCreate },
  z3fold: { modules: ['z3fold'], create: z3foldCreate },
  zsmalloc: { modules: ['zsmalloc', 'zram'], create: zsCreate },
}

const isKind = (name: string): name is Zpool['kind'] => Object.hasOwn(DRIVERS, name)

/** Whether this machine has a pool of that name (zpool_has_pool); before modules are loaded, whether the kernel has. */
export function hasZpool(k: Kernel, name: string, loaded = true): boolean {
  if (!isKind(name)) return false
  const { modules } = DRIVERS[name]
  return modules.length === 0 || (loaded && modules.some(module => k.machine.modules.includes(module)))
}

/** An empty pool, undefined where there is none of that name. */
export const zpoolCreate = (name: string): Zpool | undefined => (isKind(name) ? DRIVERS[name].create() : undefined)

/** Bytes before a compressed page that say whose it is: pools that evict need to know (struct zswap_header). */
export const zpoolEvictable = (pool: Zpool): boolean => pool.kind !== 'zsmalloc'

/**
 * Room for compressed data.
 * @param owner who is asked to give it up when the pool is shrunk.
 * @returns a handle, or a negative errno.
 */
export function zpoolMalloc(k: Kernel, pool: Zpool, bytes: number, gfp: number, owner: number): number {
  if (pool.kind === 'zbud') return zbudAlloc(k, pool, bytes, gfp, owner)
  return pool.kind === 'z3fold' ? z3foldAlloc(k, pool, bytes, gfp, owner) : zsMalloc(k, pool, bytes, gfp)
}

export function zpoolFree(k: Kernel, pool: Zpool, handle: number): void {
  if (pool.kind === 'zbud') zbudFree(k, pool, handle)
  else if (pool.kind === 'z3fold') z3foldFree(k, pool, handle)
  else zsFree(k, pool, handle)
}

/** Makes the pool smaller by a page. @returns 0, or -EINVAL where nothing could be evicted. */
export function zpoolShrink(k: Kernel, pool: Zpool, evict: (owner: number) => boolean): number {
  const freed = pool.kind === 'zbud' ? zbudShrink(k, pool, evict) : pool.kind === 'z3fold' && z3foldShrink(k, pool, evict)
  return freed ? 0 : -EINVAL
}

export function zpoolPages(pool: Zpool): number {
  if (pool.kind === 'zbud') return zbudPages(pool)
  return pool.kind === 'z3fold' ? z3foldPages(pool) : pool.pages
}

/** What does not add up in a pool, in words; `visit` is called with each of its pages. */
export function verifyZpool(pool: Zpool, visit: (pfn: number) => void): string[] {
  if (pool.kind === 'zbud') return verifyZbud(pool, visit)
  return pool.kind === 'z3fold' ? verifyZ3fold(pool, visit) : verifyZsmalloc(pool, visit)
}
