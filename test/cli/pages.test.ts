import { afterEach, describe, expect, it, vi } from 'vitest'
import { cat } from '../../src/cli/cat.ts'
import { pages } from '../../src/cli/pages.ts'
import { openDirect } from '../../src/sim/direct.ts'
import { UserError } from '../../src/user_error.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const WORKLOAD = 'machine mem=256M\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 4M\nA touch R write\nfork A B\nsleep 2s\n'
const source = () => openDirect(parseWorkload(WORKLOAD, 'test'), {}, { intervalNs: 1e9 })
const AT = 1e9

/** What a command writes to stdout, as bytes. */
async function printed(command: () => Promise<number>): Promise<Buffer> {
  const parts: Buffer[] = []
  const write = vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    parts.push(Buffer.from(text))
    return true
  })
  try {
    expect(await command()).toBe(0)
  } finally {
    write.mockRestore()
  }
  return Buffer.concat(parts)
}

afterEach(() => vi.restoreAllMocks())

describe('mmtop cat of a file of numbers', () => {
  const all = { skip: 0, bytes: Number.POSITIVE_INFINITY }

  it('writes its bytes as they are, from the part that is asked for', async () => {
    const whole = await printed(() => cat(source(), '/proc/kpageflags', AT, all))
    expect(whole.length).toBe(2 * 32768 * 8)
    const part = await printed(() => cat(source(), '/proc/kpageflags', AT, { skip: 4096, bytes: 800 }))
    expect(part).toEqual(whole.subarray(4096, 4896))
  })

  it('says what is wrong with a part that is no whole words', async () => {
    await expect(printed(() => cat(source(), '/proc/kpagecount', AT, { skip: 4, bytes: 8 }))).rejects.toThrow(/a multiple of 8 bytes/)
  })

  it('does not write numbers to a terminal', async () => {
    const tty = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY')
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true })
    try {
      await expect(printed(() => cat(source(), '/proc/kpageflags', AT, all))).rejects.toThrow(/send it into a pipe/)
    } finally {
      Object.defineProperty(process.stdout, 'isTTY', tty ?? { value: undefined, configurable: true })
    }
  })
})

describe('mmtop pages', () => {
  it('counts a process by flags, areas and owners, and works out what is its own', async () => {
    const text = String(await printed(() => pages(source(), { atNs: AT, who: 'A', flags: ['anon', '!thp'] })))
    expect(text).toMatch(/^0x[0-9a-f]{16} +10\d\d +4 {2}\S+ +uptodate,lru,mmap,anonymous,swapbacked$/m)
    expect(text).toMatch(/^200000000000-200000400000 +4\.00M +2\.00M +0 {2}\[anon\]$/m)
    expect(text).toMatch(/^RSS 4\.\d+M {2}PSS 2\.\d+M {2}USS /m)
  })

  it('counts all of memory without a process', async () => {
    const text = String(await printed(() => pages(source(), { atNs: AT, who: undefined, flags: [] })))
    expect(text).toMatch(/ buddy$/m)
    expect(text).toMatch(/^task \d+ .* init$/m)
  })

  it('names the flag that is meant, where it is misspelt', async () => {
    await expect(pages(source(), { atNs: AT, who: undefined, flags: ['swapcach'] })).rejects.toThrow(UserError)
    await expect(pages(source(), { atNs: AT, who: undefined, flags: ['swapcach'] })).rejects.toThrow(/did you mean "swapcache"/)
  })
})
