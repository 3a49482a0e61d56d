/**
 * Against a model too simple to be wrong: an address space as a row of pages, each with its marks; areas are the runs of equal
 * pages. It holds as long as no page is ever touched, for then everything equal that touches is one area.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MADV_DONTFORK,
  MADV_RANDOM,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_DONTCOPY,
  VM_NORESERVE,
  VM_RAND_READ,
} from '../../../src/kernel/base/flags.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { vmasIn } from '../../../src/kernel/spaces/vma.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { addressOf, BASE, PAGE, type Strip, strip } from '../spaces/pictures.ts'

const PAGES = 24
const MARKS = VM_ACCESS_FLAGS | VM_ACCOUNT | VM_NORESERVE | VM_DONTCOPY | VM_RAND_READ

/** Marks of each page; undefined where nothing is mapped. */
type Row = (number | undefined)[]

interface Op {
  readonly what: 'map' | 'unmap' | 'protect' | 'dontfork' | 'random' | 'move'
  readonly at: number
  readonly pages: number
  readonly prot: number
  readonly noreserve: boolean
  readonly to: number
}

const ops = fc.array(
  fc.record({
    what: fc.constantFrom<Op['what'][]>('map', 'map', 'unmap', 'protect', 'protect', 'dontfork', 'random', 'move'),
    at: fc.nat(PAGES - 1),
    pages: fc.integer({ min: 1, max: 10 }),
    prot: fc.constantFrom(0, 1, 3),
    noreserve: fc.boolean(),
    to: fc.nat(PAGES - 1),
  }),
  { minLength: 1, maxLength: 30 },
)

const within = (op: Op): [number, number] => [op.at, Math.min(PAGES, op.at + op.pages)]

function inModel(row: Row, op: Op): void {
  const [from, to] = within(op)
  if (op.what === 'move') moveInModel(row, op)
  else
    for (let page = from; page < to; page++) {
      const marks = row[page]
      if (op.what === 'map') row[page] = mapped(op)
      else if (op.what === 'unmap') row[page] = undefined
      else if (op.what === 'protect') {
        if (marks === undefined) return
        row[page] = (marks & ~VM_ACCESS_FLAGS) | op.prot | ((op.prot & 2) !== 0 && (marks & (VM_NORESERVE | 2)) === 0 ? VM_ACCOUNT : 0)
      } else if (marks !== undefined) row[page] = marks | (op.what === 'random' ? VM_RAND_READ : VM_DONTCOPY)
    }
}

const mapped = (op: Op): number => op.prot | (op.noreserve ? VM_NORESERVE : (op.prot & 2) !== 0 ? VM_ACCOUNT : 0)

/** A range of one area goes to another place that does not overlap it; what was there goes even if the range turns out to be two areas. */
function moveInModel(row: Row, op: Op): void {
  const [from, to] = within(op)
  const n = to - from
  const marks = row[from]
  if (marks === undefined || op.to + n > PAGES || (from < op.to + n && op.to < to)) return
  row.fill(undefined, op.to, op.to + n)
  if (row.slice(from, to).some(other => other !== marks)) return
  row.fill(undefined, from, to)
  row.fill(marks, op.to, op.to + n)
}

function inKernel({ k, task }: Strip, op: Op): void {
  const [from, to] = within(op)
  const start = addressOf(from)
  const bytes = (to - from) * PAGE
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (op.noreserve ? MAP_NORESERVE : 0)
  if (op.what === 'map') sysMmap(k, task, { address: start, bytes, prot: op.prot, flags, file: undefined, pgoff: 0 })
  else if (op.what === 'unmap') sysMunmap(k, task, start, bytes)
  else if (op.what === 'protect') sysMprotect(k, task, start, bytes, op.prot)
  else if (op.what === 'move') {
    if (op.to + to - from > PAGES) return
    sysMremap(k, task, {
      address: start,
      oldBytes: bytes,
      newBytes: bytes,
      flags: MREMAP_MAYMOVE | MREMAP_FIXED,
      newAddress: addressOf(op.to),
    })
  } else sysMadvise(k, task, start, bytes, op.what === 'random' ? MADV_RANDOM : MADV_DONTFORK)
}

/** Runs of equal pages: where each begins and ends, and its marks. */
function areasOf(row: Row): string[] {
  const found: string[] = []
  for (let page = 0; page < PAGES; ) {
    let end = page + 1
    while (end < PAGES && row[end] === row[page]) end++
    if (row[page] !== undefined) found.push(`${page}..${end} ${row[page]}`)
    page = end
  }
  return found
}

describe('an address space that nobody touches', () => {
  it('is at all times the runs of equal pages', () => {
    const s = strip(PAGES)
    const first = BASE / PAGE
    fc.assert(
      fc.property(ops, program => {
        sysMunmap(s.k, s.task, BASE, PAGES * PAGE)
        const promised = s.k.committedAs
        const row: Row = Array.from({ length: PAGES }, () => undefined)
        for (const op of program) {
          inModel(row, op)
          inKernel(s, op)
          const areas = vmasIn(s.mm, first, first + PAGES).map(vma => `${vma.start - first}..${vma.end - first} ${vma.flags & MARKS}`)
          expect(areas).toEqual(areasOf(row))
        }
        expect(s.k.committedAs - promised).toBe(row.filter(marks => ((marks ?? 0) & VM_ACCOUNT) !== 0).length)
        expect(verifySpaces(s.k)).toEqual([])
      }),
      { numRuns: 150, seed: 7 },
    )
  })
})
