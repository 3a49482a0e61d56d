import { describe, expect, it } from 'vitest'
import { ENOMEM } from '../../../src/kernel/base/errno.ts'
import { MAP_FIXED } from '../../../src/kernel/base/flags.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { findVma, topDownGap, vmaAt, vmaBefore } from '../../../src/kernel/spaces/vma.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { mapAnon } from '../machine.ts'
import { addressOf, draw, PAGE, picture, protOf, type Strip, strip } from './pictures.ts'

const protect = ({ k, task }: Strip, from: number, to: number, letter: string) =>
  sysMprotect(k, task, addressOf(from), (to - from) * PAGE, protOf(letter))
const unmap = ({ k, task }: Strip, from: number, to: number) => sysMunmap(k, task, addressOf(from), (to - from) * PAGE)
const map = ({ k, task }: Strip, from: number, to: number) => mapAnon(k, task, addressOf(from), (to - from) * PAGE, MAP_FIXED)

describe('areas', () => {
  const s = strip(12)
  const becomes = (before: string, act: (s: Strip) => number) => {
    draw(s, before)
    expect(picture(s)).toBe(before)
    expect(act(s)).toBe(0)
    expect(verifySpaces(s.k)).toEqual([])
    return picture(s)
  }

  it('are split where their protection changes', () => {
    expect(becomes('wwwwwwwwwwww', () => protect(s, 0, 4, 'r'))).toBe('rrrr|wwwwwwww')
    expect(becomes('wwwwwwwwwwww', () => protect(s, 8, 12, 'r'))).toBe('wwwwwwww|rrrr')
    expect(becomes('wwwwwwwwwwww', () => protect(s, 4, 8, 'n'))).toBe('wwww|nnnn|wwww')
  })

  it('are merged with the area below, above, or both', () => {
    expect(becomes('rrrr|wwww|nnnn', () => protect(s, 4, 8, 'r'))).toBe('rrrrrrrr|nnnn')
    expect(becomes('rrrr|wwww|nnnn', () => protect(s, 4, 8, 'n'))).toBe('rrrr|nnnnnnnn')
    expect(becomes('rrrr|wwww|rrrr', () => protect(s, 4, 8, 'r'))).toBe('rrrrrrrrrrrr')
  })

  it('have their boundary shifted when part of one joins the other', () => {
    expect(becomes('rrrr|wwwwwwww', () => protect(s, 4, 6, 'r'))).toBe('rrrrrr|wwwwww')
    expect(becomes('rrrr|wwwwwwww', () => protect(s, 2, 4, 'w'))).toBe('rr|wwwwwwwwww')
  })

  it('that were touched lend their anon_vma to untouched ranges that join them', () => {
    expect(becomes('wwww|RRRR....', () => protect(s, 0, 4, 'r'))).toBe('RRRRRRRR....')
    expect(becomes('WWWW|rrrr....', () => protect(s, 4, 8, 'w'))).toBe('WWWWWWWW....')
  })

  it('that were touched do not join untouched ones', () => {
    expect(becomes('rrrr|WWWW....', () => protect(s, 4, 8, 'r'))).toBe('rrrr|RRRR....')
    expect(becomes('WWWW|rrrr....', () => protect(s, 0, 4, 'r'))).toBe('RRRR|rrrr....')
    expect(becomes('WWWWWWWW|rrrr', () => protect(s, 4, 8, 'r'))).toBe('WWWW|RRRR|rrrr')
  })

  it('merge over an untouched range between an untouched and a touched one', () => {
    expect(becomes('rrrr|wwww|RRRR', () => protect(s, 4, 8, 'r'))).toBe('RRRRRRRRRRRR')
    expect(becomes('RRRR|wwww|rrrr', () => protect(s, 4, 8, 'r'))).toBe('RRRRRRRRRRRR')
  })

  it('join a new mapping: the upper one alone where the lower was never touched', () => {
    expect(becomes('wwww....WWWW', () => map(s, 4, 8) - addressOf(4))).toBe('wwww|WWWWWWWW')
    expect(becomes('WWWW....wwww', () => map(s, 4, 8) - addressOf(4))).toBe('WWWWWWWWWWWW')
    expect(becomes('wwww....wwww', () => map(s, 4, 8) - addressOf(4))).toBe('wwwwwwwwwwww')
    expect(becomes('WWWW....WWWW', () => map(s, 4, 8) - addressOf(4))).toBe('WWWW|WWWWWWWW')
    expect(becomes('rrrr....WWWW', () => map(s, 4, 8) - addressOf(4))).toBe('rrrr|WWWWWWWW')
    expect(becomes('WWWW....rrrr', () => map(s, 4, 8) - addressOf(4))).toBe('WWWWWWWW|rrrr')
  })

  it('stay mapped above and below what is unmapped', () => {
    expect(becomes('wwww|rrrr|nnnn', () => unmap(s, 2, 10))).toBe('ww........nn')
    expect(becomes('wwwwwwwwwwww', () => unmap(s, 5, 6))).toBe('wwwww.wwwwww')
    expect(becomes('ww..rrrr..nn', () => unmap(s, 0, 12))).toBe('............')
  })

  it('change up to the first hole', () => {
    draw(s, 'wwww..wwwwww')
    expect(protect(s, 0, 12, 'r')).toBe(-ENOMEM)
    expect(picture(s)).toBe('rrrr..wwwwww')
    expect(protect(s, 4, 8, 'r')).toBe(-ENOMEM)
    expect(picture(s)).toBe('rrrr..wwwwww')
  })
})

describe('every small address space', () => {
  it('is one area for each run of equal pages, whatever range changes', () => {
    const s = strip(5)
    for (const before of words('rw.', 5)) {
      for (let from = 0; from < 5; from++) {
        for (let to = from + 1; to <= 5; to++) {
          if (before.slice(from, to).includes('.')) continue
          draw(s, before)
          expect(protect(s, from, to, 'r')).toBe(0)
          expect(picture(s)).toBe(runs(before.slice(0, from) + 'r'.repeat(to - from) + before.slice(to)))
        }
      }
    }
    expect(verifySpaces(s.k)).toEqual([])
  })

  it('loses just what is unmapped, and gains just what is mapped', () => {
    const s = strip(5)
    for (const before of words('rw.', 5)) {
      for (const [from, to] of [
        [0, 2],
        [1, 4],
        [2, 3],
        [3, 5],
        [0, 5],
      ] as const) {
        draw(s, before)
        expect(unmap(s, from, to)).toBe(0)
        expect(picture(s)).toBe(runs(before.slice(0, from) + '.'.repeat(to - from) + before.slice(to)))
        draw(s, before)
        expect(map(s, from, to)).toBe(addressOf(from))
        expect(picture(s)).toBe(runs(before.slice(0, from) + 'w'.repeat(to - from) + before.slice(to)))
      }
    }
    expect(verifySpaces(s.k)).toEqual([])
  })
})

/** All words of a length over the letters. */
const words = (letters: string, length: number): string[] =>
  length === 0 ? [''] : words(letters, length - 1).flatMap(word => [...letters].map(letter => word + letter))

/** The picture of pages that were never touched: a bar wherever two areas differ. */
const runs = (pages: string): string =>
  pages.replace(/([a-z])(?=[a-z])/g, (letter, _, at: number) => (pages[at + 1] === letter ? letter : `${letter}|`))

describe('an address space of many areas', () => {
  it('finds areas and room in thousands of them, and ends at max_map_count', () => {
    const s = strip(4000)
    const { k, mm } = s
    const others = mm.vmas.count
    k.sysctl.max_map_count = 3000 + others
    map(s, 0, 4000)
    let ret = 0
    let page = 0
    for (; page < 4000 && ret === 0; page += 2) ret = protect(s, page, page + 1, 'r')
    expect(ret).toBe(-ENOMEM)
    expect(mm.vmas.count).toBe(3000 + others)
    expect(verifySpaces(k)).toEqual([])
    const first = addressOf(0) / PAGE
    for (let at = 37; at < 4000; at += 37) {
      expect(vmaAt(mm, first + at)?.start).toBe(at < 2998 ? first + at : vmaAt(mm, first + 3999)?.start)
      expect(findVma(mm, first + at)).toBe(vmaAt(mm, first + at))
      expect(vmaBefore(mm, first + at)?.end).toBe(vmaAt(mm, first + at)?.start)
    }
    for (const hole of [100, 300, 1502]) expect(unmap(s, hole, hole + 10)).toBe(0)
    const top = first + 4000
    expect(topDownGap(mm, 10, 1, top)).toBe(first + 1502)
    expect(topDownGap(mm, 11, 1, top)).toBe(first - 11)
    expect(topDownGap(mm, 5, 1, first + 1505)).toBe(first + 300 + 5)
    expect(topDownGap(mm, 4, 4, top) % 4).toBe(0)
    expect(map(s, 1502, 1512)).toBe(addressOf(1502))
    expect(topDownGap(mm, 10, 1, top)).toBe(first + 300)
    expect(unmap(s, 0, 4000)).toBe(0)
    expect(mm.vmas.count).toBe(others)
  })

  it('may be unmapped at its limit, but not split once more', () => {
    const s = strip(8)
    draw(s, 'wwwwwwww')
    s.k.sysctl.max_map_count = s.mm.vmas.count
    expect(protect(s, 2, 3, 'r')).toBe(-ENOMEM)
    expect(unmap(s, 2, 3)).toBe(-ENOMEM)
    expect(picture(s)).toBe('wwwwwwww')
    expect(unmap(s, 6, 8)).toBe(0)
    expect(unmap(s, 0, 2)).toBe(0)
    expect(picture(s)).toBe('..wwww..')
  })
})
