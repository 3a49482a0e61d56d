import { describe, expect, it } from 'vitest'
import { EFAULT, EINVAL, ENOMEM } from '../../../src/kernel/base/errno.ts'
import {
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PTE_HUGE,
  PTE_SOFT_DIRTY,
  VM_LOCKED,
  VM_SOFTDIRTY,
} from '../../../src/kernel/base/flags.ts'
import { clearRefs } from '../../../src/kernel/calls/clear_refs.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { BASE, byte, event, frameOf, nodeStat, PAGE, RO, space } from './space.ts'

const FIXED = MREMAP_MAYMOVE | MREMAP_FIXED
const sound = (s: ReturnType<typeof space>) => expect([...verify(s.k), ...verifySpaces(s.k)]).toEqual([])

describe('mremap', () => {
  it('refuses arguments and ranges as Linux does', () => {
    const s = space()
    s.map(0, 16)
    expect(s.remap(0, 16, 16, 8)).toBe(-EINVAL)
    expect(s.remap(0, 16, 16, MREMAP_FIXED, 100)).toBe(-EINVAL)
    expect(s.remap(0, 16, 16, MREMAP_DONTUNMAP)).toBe(-EINVAL)
    expect(s.remap(0, 16, 17, MREMAP_MAYMOVE | MREMAP_DONTUNMAP)).toBe(-EINVAL)
    expect(s.remap(0, 16, 0, MREMAP_MAYMOVE)).toBe(-EINVAL)
    expect(sysMremap(s.k, s.task, { address: BASE + 1, oldBytes: PAGE, newBytes: PAGE, flags: 0, newAddress: 0 })).toBe(-EINVAL)
    expect(sysMremap(s.k, s.task, { address: BASE, oldBytes: PAGE, newBytes: PAGE, flags: FIXED, newAddress: byte(50) + 1 })).toBe(-EINVAL)
    expect(s.remap(0, 16, 16, FIXED, 8)).toBe(-EINVAL)
    expect(s.remap(40, 1, 2, MREMAP_MAYMOVE)).toBe(-EFAULT)
    expect(s.remap(0, 17, 18, MREMAP_MAYMOVE)).toBe(-EFAULT)
    expect(s.remap(0, 0, 16, MREMAP_MAYMOVE)).toBe(-EINVAL)
    s.map(16, 1, 0, RO)
    expect(s.remap(0, 16, 32, 0)).toBe(-ENOMEM)
  })

  it('grows in place over free room and joins the neighbour it then touches', () => {
    const s = space()
    s.map(0, 16)
    s.map(32, 16)
    const areas = s.mm.vmas.count
    expect(s.remap(0, 16, 24, 0)).toBe(BASE)
    expect(s.remap(0, 24, 32, 0)).toBe(BASE)
    expect(s.mm.vmas.count).toBe(areas - 1)
    expect(s.area(0)?.end).toBe(s.area(40)?.end)
    expect(s.remap(0, 48, 8, 0)).toBe(BASE)
    expect(s.area(8)).toBeUndefined()
    sound(s)
  })

  it('moves pages with their contents and indices, and promises only the growth', () => {
    const s = space()
    s.map(0, 16)
    s.map(16, 1, 0, RO)
    s.write(0, 16)
    const frames = [0, 7, 15].map(page => frameOf(s, page))
    const promised = s.k.committedAs
    const peak = s.mm.hiwaterVm
    const to = s.remap(0, 16, 40, MREMAP_MAYMOVE)
    expect(to).toBeGreaterThan(BASE)
    expect(s.k.committedAs).toBe(promised + 24)
    expect(s.mm.hiwaterVm).toBe(peak + 24)
    const at = (to - BASE) / PAGE
    expect([0, 7, 15].map(page => frameOf(s, at + page))).toEqual(frames)
    expect(s.area(at)?.pgoff).toBe(byte(0) / PAGE)
    expect(s.area(0)).toBeUndefined()
    sound(s)
  })

  it('gives an area that was never touched the offset of its new place, so that it joins there', () => {
    const s = space()
    s.map(0, 8)
    s.map(100, 8)
    expect(s.remap(0, 8, 8, FIXED, 108)).toBe(byte(108))
    expect(s.area(100)?.end).toBe(byte(116) / PAGE)
    s.write(100, 16)
    s.map(200, 8)
    s.write(200, 8)
    expect(s.remap(200, 8, 8, FIXED, 116)).toBe(byte(116))
    expect(s.area(100)?.end).toBe(byte(116) / PAGE)
    sound(s)
  })

  it('moves part of an area and replaces what was at the target', () => {
    const s = space()
    s.map(0, 30)
    s.map(100, 30)
    s.write(0, 30)
    s.write(100, 30)
    const frame = frameOf(s, 15)
    expect(s.remap(10, 10, 10, FIXED, 110)).toBe(byte(110))
    expect(frameOf(s, 115)).toBe(frame)
    expect([s.area(9), s.area(10), s.area(20)].map(area => area !== undefined)).toEqual([true, false, true])
    expect(s.mm.rssAnon).toBeGreaterThanOrEqual(50)
    sound(s)
  })

  it('moves whole tables where both places allow it, and marks only single entries soft-dirty', () => {
    const s = space()
    s.map(0, 1024)
    s.write(0, 1024)
    clearRefs(s.k, s.mm, 4)
    const tables = nodeStat(s.k, 'nr_page_table_pages')
    expect(s.remap(0, 1024, 1024, FIXED, 4096)).toBe(byte(4096))
    expect(nodeStat(s.k, 'nr_page_table_pages')).toBe(tables)
    expect(s.entry(4096) & PTE_SOFT_DIRTY).toBe(0)
    expect((s.area(4096)?.flags ?? 0) & VM_SOFTDIRTY).toBe(0)
    expect(s.remap(4096, 1024, 1024, FIXED, 8193)).toBe(byte(8193))
    expect(nodeStat(s.k, 'nr_page_table_pages')).toBe(tables + 1)
    expect(s.entry(8193) & PTE_SOFT_DIRTY).toBe(PTE_SOFT_DIRTY)
    sound(s)
  })

  it('moves a table of tables for a gigabyte', () => {
    const s = space()
    const gib = 2 ** 18
    s.k.sysctl.overcommit_memory = 1
    s.map(0, 2 * gib)
    for (let page = 0; page < 2 * gib; page += gib / 8) s.write(page, 1)
    const frame = frameOf(s, gib + gib / 8)
    const tables = nodeStat(s.k, 'nr_page_table_pages')
    expect(s.remap(0, 2 * gib, 2 * gib, FIXED, 16 * gib)).toBe(byte(16 * gib))
    expect(nodeStat(s.k, 'nr_page_table_pages')).toBe(tables)
    expect(frameOf(s, 17 * gib + gib / 8)).toBe(frame)
    sound(s)
  })

  it('moves huge entries whole, and splits them for an odd place', () => {
    const s = space()
    s.k.thp.enabled = 'always'
    s.map(0, 1024)
    s.write(0, 1024)
    expect(s.remap(0, 1024, 1024, FIXED, 2048)).toBe(byte(2048))
    expect(s.entry(2048) & PTE_HUGE).toBe(PTE_HUGE)
    expect(event(s.k, 'thp_split_pmd')).toBe(0)
    expect(s.remap(2048, 1024, 1024, FIXED, 5000)).toBe(byte(5000))
    expect(s.entry(5000) & PTE_HUGE).toBe(0)
    expect(event(s.k, 'thp_split_pmd')).toBe(2)
    sound(s)
  })

  it('leaves an empty area behind with DONTUNMAP, promised once more', () => {
    const s = space()
    s.map(0, 16)
    s.write(0, 16)
    const promised = s.k.committedAs
    expect(s.remap(0, 16, 16, FIXED | MREMAP_DONTUNMAP, 100)).toBe(byte(100))
    expect(s.k.committedAs).toBe(promised + 16)
    expect([s.entry(0), s.area(0)?.anonVma]).toEqual([0, 0])
    s.map(16, 8)
    expect(s.area(0)?.end).toBe(byte(24) / PAGE)
    expect(s.write(0, 16)).toBe(16)
    sound(s)
  })

  it('takes the lock along, and populates what a locked area grows by', () => {
    const s = space()
    s.map(0, 16)
    s.lock(4, 8)
    expect(s.remap(4, 8, 8, FIXED | MREMAP_DONTUNMAP, 100)).toBe(byte(100))
    expect(s.mm.lockedVm).toBe(8)
    expect((s.area(4)?.flags ?? 0) & VM_LOCKED).toBe(0)
    expect(s.remap(100, 8, 20, 0)).toBe(byte(100))
    expect(s.mm.lockedVm).toBe(20)
    expect(s.entry(119)).not.toBe(0)
    expect(s.remap(100, 20, 20, FIXED, 300)).toBe(byte(300))
    expect(s.mm.lockedVm).toBe(20)
    sound(s)
  })

  it('maps shared memory a second time for an old length of 0', () => {
    const s = space()
    const shared = sysMmap(s.k, s.task, { address: BASE, bytes: 8 * PAGE, prot: 3, flags: MAP_SHARED | 0x20, file: undefined, pgoff: 0 })
    expect(shared).toBe(BASE)
    s.write(0, 8)
    const copy = s.remap(0, 0, 8, MREMAP_MAYMOVE)
    expect(frameOf(s, (copy - BASE) / PAGE)).toBe(frameOf(s, 0))
    sound(s)
  })

  it('wants room for the areas it may split', () => {
    const s = space()
    s.map(0, 16)
    s.k.sysctl.max_map_count = s.mm.vmas.count + 3
    expect(s.remap(0, 16, 16, FIXED, 100)).toBe(-ENOMEM)
    s.k.sysctl.max_map_count += 3
    expect(s.remap(0, 16, 16, FIXED, 100)).toBe(byte(100))
  })
})
