import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EINVAL, ENOSPC } from '../../../src/kernel/base/errno.ts'
import { GFP_NOWAIT } from '../../../src/kernel/base/flags.ts'
import { verifyZ3fold, z3foldAlloc, z3foldCreate, z3foldFree, z3foldPages, z3foldShrink } from '../../../src/kernel/caches/z3fold.ts'
import { verifyZbud, zbudAlloc, zbudCreate, zbudFree, zbudPages, zbudShrink } from '../../../src/kernel/caches/zbud.ts'
import {
  verifyZsmalloc,
  zsCompact,
  zsCreate,
  zsFree,
  zsFreeablePages,
  zsHugeClassSize,
  zsMalloc,
} from '../../../src/kernel/caches/zsmalloc.ts'
import { bootSmall } from '../machine.ts'

const nobody = () => {}

describe('zbud', () => {
  it('puts two to a page, each in chunks of 64 bytes, and the header takes one', () => {
    const k = bootSmall()
    const pool = zbudCreate()
    const sizes = [1, 31 * 64, 32 * 64 + 1, 30 * 64, 62 * 64]
    const handles = sizes.map(bytes => zbudAlloc(k, pool, bytes, GFP_NOWAIT, 1))
    expect(zbudPages(pool)).toBe(3)
    expect(zbudAlloc(k, pool, 62 * 64 + 1, GFP_NOWAIT, 1)).toBe(-ENOSPC)
    for (const handle of handles) zbudFree(k, pool, handle)
    expect(zbudPages(pool)).toBe(0)
  })

  it('fills the page with the least room that is enough', () => {
    const k = bootSmall()
    const pool = zbudCreate()
    zbudAlloc(k, pool, 20 * 64, GFP_NOWAIT, 1)
    const tight = zbudAlloc(k, pool, 50 * 64, GFP_NOWAIT, 2)
    const small = zbudAlloc(k, pool, 13 * 64, GFP_NOWAIT, 3)
    expect(small >> 1).toBe(tight >> 1)
  })

  it('gives up the page that took a buddy longest ago, if both can be evicted', () => {
    const k = bootSmall()
    const pool = zbudCreate()
    const handles = new Map([1, 2, 3, 4].map(owner => [owner, zbudAlloc(k, pool, 1900, GFP_NOWAIT, owner)]))
    const evict = (owner: number) => {
      if (owner === 1) return false
      zbudFree(k, pool, handles.get(owner) ?? 0)
      return true
    }
    expect(zbudShrink(k, pool, evict)).toBe(true)
    expect(zbudPages(pool)).toBe(1)
    expect(verifyZbud(pool, nobody)).toEqual([])
    expect(zbudShrink(k, pool, () => false)).toBe(false)
  })
})

describe('z3fold', () => {
  it('puts three to a page, and one that nearly fills it alone', () => {
    const k = bootSmall()
    const pool = z3foldCreate()
    for (const bytes of [20 * 64, 21 * 64, 21 * 64]) z3foldAlloc(k, pool, bytes, GFP_NOWAIT, 1)
    expect(z3foldPages(pool)).toBe(1)
    z3foldAlloc(k, pool, 4000, GFP_NOWAIT, 2)
    z3foldAlloc(k, pool, 64, GFP_NOWAIT, 3)
    expect(z3foldPages(pool)).toBe(3)
    expect(z3foldAlloc(k, pool, 4097, GFP_NOWAIT, 4)).toBe(-ENOSPC)
  })

  it('moves a lone object to a page with room, which is then not evicted', () => {
    const k = bootSmall()
    const pool = z3foldCreate()
    const [large, ...small] = [40, 30, 30].map((chunks, owner) => z3foldAlloc(k, pool, chunks * 64, GFP_NOWAIT, owner + 1))
    expect(z3foldPages(pool)).toBe(2)
    z3foldFree(k, pool, small[0])
    expect(z3foldPages(pool)).toBe(2)
    z3foldFree(k, pool, large)
    expect(z3foldPages(pool)).toBe(1)
    expect(verifyZ3fold(pool, nobody)).toEqual([])
    expect(z3foldShrink(k, pool, () => false)).toBe(false)
  })
})

describe('zsmalloc', () => {
  it('has 69 classes, with the sizes and chains of 4 KiB pages', () => {
    const { classes } = zsCreate()
    const own = classes.filter(({ index }, i) => index === i)
    expect(classes.length).toBe(255)
    expect(own.length).toBe(69)
    expect(classes[0]).toMatchObject({ bytes: 32, pages: 1, objects: 128 })
    expect(own.at(-1)).toMatchObject({ bytes: 4096, pages: 1, objects: 1 })
    expect(own.find(({ bytes }) => bytes === 3264)).toMatchObject({ pages: 4, objects: 5 })
    expect(zsHugeClassSize(zsCreate())).toBe(3257)
  })

  it('takes nothing larger than a page', () => {
    const k = bootSmall()
    expect(zsMalloc(k, zsCreate(), 4097, GFP_NOWAIT)).toBe(-EINVAL)
  })

  it('frees pages when objects that were scattered are moved together', () => {
    const k = bootSmall()
    const pool = zsCreate()
    const handles = Array.from({ length: 400 }, () => zsMalloc(k, pool, 1000, GFP_NOWAIT))
    const before = pool.pages
    handles.forEach((handle, i) => {
      if (i % 4 !== 0) zsFree(k, pool, handle)
    })
    expect(pool.pages).toBe(before)
    const promised = zsFreeablePages(pool)
    expect(promised).toBeGreaterThan(before / 2)
    expect(zsCompact(k, pool)).toBe(promised)
    expect(pool.pages).toBe(before - promised)
    expect(verifyZsmalloc(pool, nobody)).toEqual([])
  })
})

it('pools add up after any mix of steps, and are empty when all was freed', () => {
  const step = fc.record({
    bytes: fc.integer({ min: 1, max: 4000 }),
    at: fc.nat(50),
    what: fc.constantFrom('take', 'take', 'free', 'compact'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), steps => {
      const k = bootSmall()
      const zbud = zbudCreate()
      const zs = zsCreate()
      const z3fold = z3foldCreate()
      const held: { readonly zbud: number; readonly zs: number; readonly z3fold: number }[] = []
      for (const { bytes, at, what } of steps) {
        if (what === 'take')
          held.push({
            zbud: zbudAlloc(k, zbud, Math.min(bytes, 3968), GFP_NOWAIT, 1),
            zs: zsMalloc(k, zs, bytes, GFP_NOWAIT),
            z3fold: z3foldAlloc(k, z3fold, bytes, GFP_NOWAIT, 1),
          })
        else if (what === 'compact') zsCompact(k, zs)
        else
          for (const one of held.splice(at, 1)) {
            zbudFree(k, zbud, one.zbud)
            zsFree(k, zs, one.zs)
            z3foldFree(k, z3fold, one.z3fold)
          }
        expect([...verifyZbud(zbud, nobody), ...verifyZsmalloc(zs, nobody), ...verifyZ3fold(z3fold, nobody)]).toEqual([])
      }
      for (const one of held) {
        zbudFree(k, zbud, one.zbud)
        zsFree(k, zs, one.zs)
        z3foldFree(k, z3fold, one.z3fold)
      }
      expect([zbudPages(zbud), zs.pages, zs.handles.count, z3foldPages(z3fold)]).toEqual([0, 0, 0, 0])
    }),
    { numRuns: 20 },
  )
})
