import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asPfn } from '../../../src/kernel/base/units.ts'
import {
  xaAnyInHuge,
  xaClear,
  xaClearHuge,
  xaEmpty,
  xaKeys,
  xaLoad,
  xaNextMiss,
  xaPrevMiss,
  xarray,
  xaSetHuge,
  xaSetPage,
  xaSetShadow,
  xaShadowAge,
  xaSplitHuge,
} from '../../../src/kernel/caches/xarray.ts'

/** Nodes that Linux' tree of 64-way nodes has for these indices, when each page has a leaf. */
function nodesFor(indices: Iterable<number>): number {
  const all = [...indices]
  const highest = Math.max(0, ...all)
  let nodes = 0
  for (let span = 64; ; span *= 64) {
    nodes += new Set(all.map(index => Math.floor(index / span))).size
    if (highest < span) return all.length === 0 ? 0 : nodes
  }
}

describe('the index of a page cache', () => {
  it('holds what was put into it, in as many nodes as a radix tree of 64-way nodes needs', () => {
    const ops = fc.array(fc.tuple(fc.constantFrom('page', 'shadow', 'clear'), fc.nat({ max: 400_000 })), { maxLength: 60 })
    fc.assert(
      fc.property(ops, list => {
        const pages = xarray()
        const model = new Map<number, number>()
        let nodes = 0
        list.forEach(([what, index], i) => {
          if (what === 'page') {
            nodes += xaSetPage(pages, index, asPfn(i + 1), 0)
            model.set(index, i + 1)
          } else if (model.has(index) && what === 'shadow') {
            xaSetShadow(pages, index, -1 - i, i)
            model.set(index, -1 - i)
            expect(xaShadowAge(pages, index)).toBe(i)
          } else if (model.has(index)) {
            nodes -= xaClear(pages, index)
            model.delete(index)
          }
        })
        for (const [index, value] of model) expect(xaLoad(pages, index)).toBe(value)
        expect(xaKeys(pages, 0, 500_000)).toEqual(
          [...new Set([...model.keys()].map(index => Math.floor(index / 64)))].sort((a, b) => a - b),
        )
        if (model.size > 0) expect(nodes).toBeGreaterThanOrEqual(nodesFor(model.keys()))
        else expect(nodes).toBe(0)
        expect(xaEmpty(pages)).toBe(model.size === 0)
      }),
    )
  })

  it('needs exactly the nodes of a radix tree for pages that are only added', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 2 ** 26 }), { minLength: 1, maxLength: 40 }), indices => {
        const pages = xarray()
        const made = indices.reduce((sum, index) => sum + xaSetPage(pages, index, asPfn(1), 0), 0)
        expect(made).toBe(nodesFor(indices))
      }),
    )
  })

  it('answers every page of a huge one by its head and offset, and gives it leaves only when it is split', () => {
    const pages = xarray()
    expect(xaSetHuge(pages, 1024, asPfn(5120))).toBe(1)
    expect(xaLoad(pages, 1024 + 77)).toBe(5120 + 77)
    expect(xaLoad(pages, 1023)).toBe(0)
    expect([xaAnyInHuge(pages, 512), xaAnyInHuge(pages, 1024)]).toEqual([false, true])
    expect(xaSplitHuge(pages, 1024, 0)).toBe(8)
    expect(xaLoad(pages, 1024 + 77)).toBe(5120 + 77)
    let freed = 0
    for (let i = 0; i < 512; i++) freed += xaClear(pages, 1024 + i)
    expect(freed).toBe(9)
    expect(xaSetHuge(pages, 0, asPfn(512)) - xaClearHuge(pages, 0)).toBe(0)
  })

  it('finds the end of what is cached in a row as Linux counts it', () => {
    const pages = xarray()
    for (let i = 10; i < 20; i++) xaSetPage(pages, i, asPfn(i), 0)
    expect(xaNextMiss(pages, 12, 32)).toBe(20)
    expect(xaNextMiss(pages, 12, 4)).toBe(15)
    expect(xaPrevMiss(pages, 19, 32)).toBe(9)
    expect(xaPrevMiss(pages, 19, 4)).toBe(16)
    for (let i = 0; i < 10; i++) xaSetPage(pages, i, asPfn(i + 1), 0)
    expect(xaPrevMiss(pages, 5, 32)).toBe(-1)
  })
})
