import { describe, expect, it } from 'vitest'
import { COMPRESSOR_NAMES, compressedBytes, findCompressor } from '../../../src/kernel/base/compress.ts'
import { internContent, patchContent, ZERO_CONTENT } from '../../../src/kernel/base/content.ts'
import { pageBytes, swapHeaderContent } from '../../../src/kernel/base/page_bytes.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { bootSmall } from '../machine.ts'

const comp = (k: Kernel, percent: number) =>
  internContent(k.contents, { kind: 'comp', key: `comp:${percent}`, incompressible: percent, sameFilled: false })
const word = (k: Kernel) => internContent(k.contents, { kind: 'const', key: 'const:3', incompressible: 0, sameFilled: true })

/** Bytes that the real kernel's compressors make of a page, as zram counted them, by percent of it that is random. */
const MEASURED: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  lzo: { 1: 85, 2: 125, 3: 165, 5: 254, 10: 470, 20: 893, 25: 1101, 30: 1324, 37: 1637, 50: 2213, 60: 2580 },
  'lzo-rle': { 1: 87, 2: 127, 3: 167, 5: 256, 10: 472, 20: 895, 25: 1103, 30: 1326, 37: 1639, 50: 2215, 60: 2582 },
  lz4: { 1: 67, 2: 108, 3: 148, 5: 229, 10: 438, 20: 847, 25: 1055, 30: 1256, 37: 1545, 50: 2082, 60: 2491, 75: 3108 },
  lz4hc: { 1: 67, 2: 107, 3: 147, 5: 227, 10: 435, 20: 843, 25: 1050, 30: 1251, 37: 1539, 50: 2074, 60: 2483, 75: 3098 },
  zstd: { 1: 59, 2: 100, 3: 140, 5: 220, 10: 428, 20: 838, 25: 1046, 30: 1246, 37: 1535, 50: 2074, 60: 2476, 75: 3103 },
}
/** The same on average, as deflate's own codes differ from page to page. */
const DEFLATE = { 1: 71.5, 5: 239.8, 10: 457.7, 20: 885.1, 25: 1094.9, 30: 1296.2, 50: 2110.5, 75: 3129.8 }

describe('compressed sizes', () => {
  const k = bootSmall([256], { modules: ['lz4', 'lz4hc', 'zstd'] })
  const bytes = (name: string, content: number) => compressedBytes(k, findCompressor(k, name), content)

  it.each(Object.entries(MEASURED))('of %s are those of the real kernel', (name, sizes) => {
    const ours = Object.keys(sizes).map(percent => [percent, bytes(name, comp(k, Number(percent)))])
    expect(Object.fromEntries(ours)).toEqual(sizes)
  })

  it('of deflate are within a percent of its average', () => {
    for (const [percent, size] of Object.entries(DEFLATE))
      expect(Math.abs(bytes('deflate', comp(k, Number(percent))) - size)).toBeLessThan(1 + size / 100)
  })

  it('know single bytes in zeros, and in a repeated word', () => {
    const inZeros = patchContent(k.contents, ZERO_CONTENT, 0)
    const inWords = patchContent(k.contents, word(k), 0)
    const sizes = (content: number) => ['lzo', 'lzo-rle', 'lz4', 'lz4hc', 'zstd'].map(name => bytes(name, content))
    expect(sizes(inZeros)).toEqual([44, 41, 27, 27, 19])
    expect(sizes(inWords)).toEqual([52, 54, 34, 34, 26])
  })

  it("know a swap area's header", () => {
    const header = internContent(k.contents, swapHeaderContent(65535))
    expect(['lzo', 'lzo-rle', 'lz4', 'zstd'].map(name => bytes(name, header))).toEqual([62, 52, 43, 39])
  })

  it('are more than a page where there is nothing to find', () => {
    const unique = internContent(k.contents, { kind: 'unique', key: 'unique:1', incompressible: 100, sameFilled: false })
    for (const name of COMPRESSOR_NAMES) expect(bytes(name, unique)).toBeGreaterThan(4096)
  })

  it('need the module of the compressor', () => {
    expect(findCompressor(bootSmall(), 'zstd')).toBe(-1)
    expect(findCompressor(bootSmall(), 'lzo')).toBeGreaterThanOrEqual(0)
    expect(findCompressor(k, '842')).toBe(-1)
  })
})

describe('the bytes of a page', () => {
  const k = bootSmall()

  it('are one word repeated exactly where the class says so', () => {
    const patched = patchContent(k.contents, word(k), 100)
    for (const content of [ZERO_CONTENT, word(k), comp(k, 40), patched]) {
      const page = pageBytes(k.contents, k.contents.classes[content])
      const same = page.every((byte, i) => byte === page[i % 8])
      expect(same).toBe(k.contents.classes[content].sameFilled)
    }
  })
})
