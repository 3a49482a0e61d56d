/**
 * Whatever a file holds, reading it gives a program or a UserError, and soon. A failure prints the seed that repeats it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/user_error.ts'
import { complete } from '../../src/workload/complete.ts'
import { parseLine, parseWorkload } from '../../src/workload/parse.ts'

const BASE = `# a bit of everything
machine nodes=2 mem=512M,512M cpus=2,2 distance=10,21,21,10 swap=64M disk=128M
cmdline transparent_hugepage=madvise hugepages=64
file f 8M
title A title
seed 3
spawn A cpu=0 policy=bind:0-1 static
A mmap R 64M prot=rw flags=private,anonymous,populate align=4K
A mmap F 8M file=/mnt/f flags=shared at=R+64M
A touch R write 4K 8188K stride=8K content=comp:25 rate=50M/s pattern=zipf:1.1 for=1.5s
A madvise R dontneed 0 32M stride=16K span=8K
mark
bg A
  loop 3
    touch R read pattern=hot:10/90 count=100
    expect ret ge 100
    sleep 20ms
  end
end
join A timeout=5000
fork A B
A mbind R interleave:0,1 0 4M flags=move,strict
A uffd_register R missing,wp 0 1M
expect /proc/vmstat:pgfault ge +100
cgroup G set memory.max 64M
wait /proc/$A/stat:x le +4 timeout=1s
sample end slab norefresh
loop
  sleep 1s
end
`
const LINES = BASE.split('\n')

function survives(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expect(error.oneLine).not.toMatch(/[\n\p{C}]/u)
    expect(error.oneLine.length).toBeLessThan(700)
  }
}

const noise = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(
    ' ',
    '\t',
    '\n',
    '=',
    ':',
    '$',
    '$A',
    ',',
    '-',
    '+',
    '/',
    '0',
    '9'.repeat(30),
    'end',
    'loop',
    'bg A',
    '0x',
    'K',
    '%',
    '\r\n',
    '\0',
  ),
)

describe('a damaged workload', () => {
  it('is read or refused, whatever is put in or taken out', () => {
    const edit = fc.tuple(fc.nat(BASE.length), fc.nat(12), noise)
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), edits => {
        let text = BASE
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut)
        survives(() => parseWorkload(text, 'w'))
      }),
      { numRuns: 3000 },
    )
  })

  it('is quoted with whole characters where a word is long', () => {
    survives(() => parseWorkload(`x${'\u{10000}'.repeat(30)}`, 'w'))
  })

  it('is read or refused with its lines shuffled, doubled and dropped', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...LINES), { maxLength: 60 }), lines => survives(() => parseWorkload(lines.join('\n'), 'w'))),
      { numRuns: 1000 },
    )
  })

  it('is read or refused with words of one line in another', () => {
    const words = fc.constantFrom(...new Set(BASE.split(/\s+/)))
    fc.assert(
      fc.property(fc.array(words, { maxLength: 9 }), line => {
        survives(() => parseLine(line.join(' ')))
        complete(line.join(' '), { workers: ['A'], regions: new Map([['A', ['R']]]) })
      }),
      { numRuns: 5000 },
    )
  })
})

describe('anything else', () => {
  it('is read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), bytes => survives(() => parseWorkload(new TextDecoder().decode(bytes), 'w'))),
      { numRuns: 500 },
    )
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), text => survives(() => parseWorkload(text, 'w'))))
  })

  it.each([
    ['one long line', 'x'.repeat(50_000_000)],
    ['one long comment', '#'.repeat(50_000_000)],
    ['blank lines', '\n'.repeat(50_000_000)],
    ['blanks', ' '.repeat(50_000_000)],
    ['open blocks', 'loop 2\n'.repeat(1_000_000)],
    ['long words', ('A'.repeat(2000) + ' ').repeat(2) + '\n'],
    ['many headers', 'cmdline a\n'.repeat(1_000_000)],
    ['many lists', `A set_mempolicy bind:${'0-63,'.repeat(800)}0\n`.repeat(100)],
  ])('is dealt with quickly: %s', (_, text) => {
    const start = performance.now()
    survives(() => parseWorkload(text, 'w'))
    expect(performance.now() - start).toBeLessThan(2000)
  })
})
