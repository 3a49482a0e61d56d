import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../src/kernel/base/errno.ts'
import { KNOBS, tunables } from '../../src/kernel/tunables.ts'
import {
  intVector,
  kstrtobool,
  kstrtoint,
  kstrtouint,
  kstrtoul,
  memparse,
  uintVector,
  ulongText,
  ulongVector,
} from '../../src/kernel/tunables_parse.ts'
import { bootSmall } from './machine.ts'

const kernel = new URL('../../src/kernel/', import.meta.url).pathname

function walk(dir: string): string[] {
  return readdirSync(dir).flatMap(name => (statSync(join(dir, name)).isDirectory() ? walk(join(dir, name)) : [join(dir, name)]))
}

/** The code of all rooms that could act on a knob: not those that only shape or set it. */
const rooms = walk(kernel)
  .filter(file => file.endsWith('.ts') && !/\/(tunables[^/]*|base\/state[^/]*|boot\/create)\.ts$/.test(file) && !file.endsWith('/boot.ts'))
  .map(file => readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''))
  .join('\n')

/** Whether some room reads "sysctl.swappiness", "thp.defrag" ...: by the field's name where that is its own, else with its owner's. */
function isRead(state: string): boolean {
  const [owner, field] = state.split('.')
  const own = /^(enabled|defrag)$/.test(field)
    ? new RegExp(`\\b${owner}\\.${field}\\b|\\{[^}]*\\b${field}\\b[^}]*\\} = k\\.${owner}\\b|\\bscan\\.${field}\\b`)
    : new RegExp(`\\b${field}\\b`)
  return own.test(rooms)
}

describe('the knobs', () => {
  it('that are said to work are read by a room', () => {
    const dead = KNOBS.filter(knob => knob.effect === 'works' && knob.state !== undefined && !isRead(knob.state))
    expect(dead.map(knob => knob.path)).toEqual([])
  })

  it('that are said to be idle are read by none', () => {
    const late = KNOBS.filter(knob => knob.effect !== 'works' && knob.state !== undefined && isRead(knob.state))
    expect(late.map(knob => knob.path)).toEqual([])
  })

  it('say why, if nothing comes of them', () => {
    expect(KNOBS.filter(knob => knob.effect !== 'works' && knob.because === undefined)).toEqual([])
  })

  it('say in one sentence what they do and where the rule is from', () => {
    for (const { path, meaning, source } of KNOBS) {
      expect([path, meaning]).toEqual([path, expect.stringMatching(/^[^.]*[^.]$/)])
      expect([path, source]).toEqual([path, expect.stringMatching(/\.c|\.rst/)])
    }
  })

  it('have paths of their own, and none is left out of a machine that has all kinds', () => {
    const k = bootSmall([256, 256])
    const paths = tunables(k).map(({ path }) => path)
    expect(new Set(paths).size).toBe(paths.length)
    expect(paths.filter(path => path.includes('{'))).toEqual([])
    expect(paths).toContain('/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages')
    expect(paths).not.toContain('/sys/devices/system/cpu/cpu0/online')
  })

  it('have defaults that they really stand at', () => {
    const k = bootSmall([256, 256], { modules: ['zram'] })
    for (const { path, read, default: expected } of KNOBS) {
      if (read === undefined || expected === undefined) continue
      const text = read(k, { size: 2048, node: 0, cpu: 1, block: 1, zram: 0, pid: 0, cgroup: 1, writer: undefined }).trim()
      const shown = /\[(.*)\]/.exec(text)?.[1] ?? text.replaceAll('\t', ' ')
      expect([path, shown]).toEqual([path, expected])
    }
  })
})

describe('numbers in sysctl files', () => {
  it.each([
    ['7', [7], 1],
    ['  7\n', [7], 4],
    ['-7', [-7], 2],
    ['0x10', [16], 4],
    ['010', [8], 3],
    ['0', [0], 1],
    ['7 8', [7], 2],
  ])('%j is read as %j', (text, values, consumed) => {
    expect(intVector(text, 1)).toEqual({ error: 0, values, consumed })
  })

  it.each(['', ' ', 'x', '+7', '-', '7x', '08', '0x', '2147483648', '-2147483649', '99999999999999999999', '123456789012345678901'])(
    '%j is EINVAL',
    text => {
      expect(intVector(text, 1).error).toBe(-ERRNO.EINVAL)
    },
  )

  it('keeps what came before a mistake in a vector, and says how far it got', () => {
    expect(intVector('64 abc', 5)).toEqual({ error: -ERRNO.EINVAL, values: [64], consumed: 3 })
    expect(intVector('1 2 3 4 5 6', 5)).toEqual({ error: 0, values: [1, 2, 3, 4, 5], consumed: 10 })
  })

  it('has unsigned longs up to the last', () => {
    expect(ulongVector('18446744073709551615', 1).error).toBe(0)
    expect(ulongVector('18446744073709551616', 1).error).toBe(-ERRNO.EINVAL)
    expect(ulongVector('-1', 1).error).toBe(-ERRNO.EINVAL)
    expect(ulongText(2 ** 64)).toBe('18446744073709551615')
    expect(uintVector('7 x')).toEqual({ error: 0, values: [7], consumed: 3 })
  })

  it('never takes more than there is, whatever is written', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (text, count) => {
        const { values, consumed } = intVector(text, count)
        expect(consumed).toBeLessThanOrEqual(text.length)
        expect(values.length).toBeLessThanOrEqual(count)
        expect(values.every(Number.isSafeInteger)).toBe(true)
      }),
    )
  })

  it('reads back what it is given, between any blanks', () => {
    const blanks = fc.stringMatching(/^[ \t\n]{1,3}$/)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 5 }), blanks, (numbers, blank) => {
        const text = numbers.join(blank)
        expect(intVector(text, numbers.length)).toEqual({ error: 0, values: numbers, consumed: text.length })
      }),
    )
  })
})

describe('numbers in sysfs files', () => {
  it.each([
    ['7', 7],
    ['+7', 7],
    ['7\n', 7],
    ['007', 7],
  ])('%j is %d', (text, value) => {
    expect(kstrtoul(text, 10)).toEqual({ error: 0, value })
  })

  it.each(['', ' 7', '7 ', '7\n\n', '-7', '0x7', 'x', '+', '++7'])('%j is EINVAL', text => {
    expect(kstrtoul(text, 10).error).toBe(-ERRNO.EINVAL)
  })

  it('are ERANGE when they do not fit', () => {
    expect(kstrtoul('18446744073709551616', 10).error).toBe(-ERRNO.ERANGE)
    expect(kstrtouint('4294967296', 10).error).toBe(-ERRNO.ERANGE)
    expect(kstrtoint('2147483648', 10).error).toBe(-ERRNO.ERANGE)
    expect(kstrtoint('-2147483648', 10)).toEqual({ error: 0, value: -(2 ** 31) })
    expect(kstrtoint('-2147483649', 10).error).toBe(-ERRNO.ERANGE)
  })

  it('may be in other bases where the kernel lets them', () => {
    expect(kstrtouint('0x14', 0)).toEqual({ error: 0, value: 20 })
    expect(kstrtouint('024', 0)).toEqual({ error: 0, value: 20 })
  })

  it('are yes or no by their first letters', () => {
    expect(['y', 'Yes', '1', 'true', 'on', 'oNLY'].map(kstrtobool)).toEqual([true, true, true, true, true, true])
    expect(['n', 'No', '0', 'false', 'off', 'OFten'].map(kstrtobool)).toEqual([false, false, false, false, false, false])
    expect(['', '2', 'o', 'oz', ' 1'].map(kstrtobool)).toEqual([undefined, undefined, undefined, undefined, undefined])
  })

  it('may have a suffix where sizes are meant', () => {
    expect([memparse('2M'), memparse('2048kB'), memparse('0x10'), memparse('x'), memparse('1g')]).toEqual([
      2 ** 21,
      2 ** 21,
      16,
      0,
      2 ** 30,
    ])
  })
})
