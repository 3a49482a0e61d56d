import { describe, expect, it } from 'vitest'
import { otherOf, writtenBy } from '../../src/tui/knobs.ts'

describe('of two knobs that switch one another off', () => {
  const [ratio, kbytes] = ['/proc/sys/vm/overcommit_ratio', '/proc/sys/vm/overcommit_kbytes']

  it('each knows the other, and other knobs none', () => {
    expect([otherOf(ratio), otherOf(kbytes), otherOf('/proc/sys/vm/swappiness')]).toEqual([kbytes, ratio, undefined])
  })

  it('the one that was on is put back, not the other one set to 0', () => {
    const turn = { path: kbytes, before: '0', after: '1000', other: { path: ratio, value: '50' } }
    expect(writtenBy(turn, 'new')).toEqual({ path: kbytes, value: '1000' })
    const back = { ...turn, before: turn.after, after: turn.before }
    expect(writtenBy(back, 'undo')).toEqual({ path: ratio, value: '50' })
    expect(writtenBy(turn, 'redo')).toEqual({ path: kbytes, value: '1000' })
    const lower = { path: kbytes, before: '1000', after: '900' }
    expect(writtenBy({ ...lower, before: '900', after: '1000' }, 'undo')).toEqual({ path: kbytes, value: '1000' })
  })
})
