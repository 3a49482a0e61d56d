import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readKeys, readLate } from '../../src/tui/keys.ts'

const names = (input: string) => readKeys(input).keys.map(({ name }) => name)

describe('keys', () => {
  it('have one name whatever the terminal calls them', () => {
    expect(names('q? é漢')).toEqual(['q', '?', ' ', 'é', '漢'])
    expect(names('\x1b[A\x1bOA\x1b[1;5C\x1b[1;2A')).toEqual(['up', 'up', 'ctrl-right', 'shift-up'])
    expect(names('\x7f\b\x1b[3~')).toEqual(['backspace', 'backspace', 'delete'])
    expect(names('\r\n\t\x1b[Z')).toEqual(['enter', 'enter', 'tab', 'shift-tab'])
    expect(names('\x03\x1a\x0c')).toEqual(['ctrl-c', 'ctrl-z', 'ctrl-l'])
    expect(names('\x1b[H\x1b[1~\x1b[7~\x1bOF\x1b[5~\x1b[6~')).toEqual(['home', 'home', 'home', 'end', 'pageup', 'pagedown'])
    expect(names('\x1bOP\x1b[11~\x1b[[A\x1b[17~')).toEqual(['f1', 'f1', 'f1', 'f6'])
  })

  it('are told from Escape, which nothing follows or another key', () => {
    expect(readKeys('\x1b')).toEqual({ keys: [], rest: '\x1b' })
    expect(readLate('\x1b').map(({ name }) => name)).toEqual(['esc'])
    expect(names('\x1bq')).toEqual(['esc', 'q'])
    expect(names('\x1b\x1b[A')).toEqual(['esc', 'up'])
    expect(readLate('\x1b[').map(({ name }) => name)).toEqual(['esc', '['])
  })

  it('are nothing where nobody knows the sequence: focus, other buttons, answers of the terminal', () => {
    expect(names('\x1b[I\x1b[O\x1b[<2;10;5M\x1b[<0;10;5m\x1b[?62;c\x1b[>0;276;0c\x1b[24;80Ra')).toEqual(['a'])
  })

  it('of the mouse are a click with its place, and the wheel', () => {
    expect(readKeys('\x1b[<0;10;5M').keys).toEqual([{ name: 'click', text: '', at: { row: 4, column: 9 } }])
    expect(names('\x1b[<64;1;1M\x1b[<65;1;1M')).toEqual(['wheel-up', 'wheel-down'])
  })

  it('of a paste are one text that no key is made of, even cut in pieces', () => {
    const [key, next] = readKeys('\x1b[200~q\nw\x1b[Ax\x1b[201~q').keys
    expect(key).toEqual({ name: 'paste', text: 'q\nw\x1b[Ax' })
    expect(next.name).toBe('q')
    expect(readKeys('\x1b[200~abc').rest).toBe('\x1b[200~abc')
    expect(readKeys(`\x1b[200~${'x'.repeat(70000)}`).rest).toBe('')
  })

  it('are the same however the bytes are cut', () => {
    const piece = fc.constantFrom('a', ' ', '\x1b[A', '\x1bOB', '\x1b[1;5C', '\x7f', '\x1b[Z', '\x1b[200~x\x1b[201~', '\x1b[I', '漢')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.nat(), (pieces, cut) => {
        const whole = pieces.join('')
        const at = cut % (whole.length + 1)
        const first = readKeys(whole.slice(0, at))
        // What could be Escape alone waits for its rest.
        const second = readKeys(first.rest + whole.slice(at))
        expect([...first.keys, ...second.keys]).toEqual(readKeys(whole).keys)
      }),
    )
  })

  it('come out of any bytes, and never hang', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('\x1b', '[', 'O', '1', ';', '~', 'A', 'x', '\x00', '\x9b', '2', '0'), maxLength: 60 }),
        input => {
          const { keys, rest } = readKeys(input)
          for (const { name } of [...keys, ...readLate(rest)]) expect(name.length).toBeGreaterThan(0)
        },
      ),
    )
  })
})
