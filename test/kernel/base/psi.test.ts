import { describe, expect, it } from 'vitest'
import { COST, spend } from '../../../src/kernel/base/cost.ts'
import {
  PSI_SYSTEM,
  psiAverage,
  psiMemstallEnter,
  psiMemstallLeave,
  psiResume,
  psiSuspend,
  psiText,
  psiTurn,
} from '../../../src/kernel/base/psi.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { bootSmall } from '../machine.ts'

const SECOND = 1e9
const PERIOD = 2.004 * SECOND
const pass = (k: Kernel, ns: number) => spend(k, COST.idle, ns)

/** A turn on CPU 0 that waits for memory for some of its time. */
function turn(k: Kernel, ns: number, stalledNs: number, cgroup = 1, alone = true): void {
  psiMemstallEnter(k)
  pass(k, stalledNs)
  psiMemstallLeave(k)
  pass(k, ns - stalledNs)
  psiTurn(k, 0, cgroup, { ready: 0, busy: ns, io: 0 }, alone)
}

const memory = (k: Kernel) => psiText(k, PSI_SYSTEM, 'memory')
const total = (text: string, line: 'some' | 'full') => Number(new RegExp(`${line} .*total=(\\d+)`).exec(text)?.[1])

describe('pressure', () => {
  it('is none on a machine where nobody waits', () => {
    const k = bootSmall()
    turn(k, SECOND, 0)
    expect(memory(k)).toBe('some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n')
  })

  it('rises towards its share by the kernel’s own fixed-point steps', () => {
    const k = bootSmall()
    const averages: string[] = []
    for (let i = 0; i < 3; i++) {
      turn(k, PERIOD, PERIOD * 0.505)
      psiAverage(k)
      averages.push(/avg10=([\d.]+) avg60=([\d.]+)/.exec(memory(k))?.slice(1).join(' ') ?? '')
    }
    // load * 1677 / 2048 + 50 * 371 / 2048, and 1981 and 67 for the minute, each rounded up to a 2048th.
    expect(averages).toEqual(['9.05 1.63', '16.47 3.21', '22.54 4.74'])
  })

  it('falls again when nobody waits, also over periods that nobody looked at', () => {
    const k = bootSmall()
    turn(k, PERIOD, PERIOD)
    psiAverage(k)
    pass(k, 10 * PERIOD)
    turn(k, SECOND, 0)
    const [, some] = /avg10=([\d.]+)/.exec(memory(k)) ?? []
    expect(Number(some)).toBeLessThan(3)
    expect(total(memory(k), 'some')).toBe(PERIOD / 1000)
  })

  it('counts sections within one another once', () => {
    const k = bootSmall()
    psiMemstallEnter(k)
    pass(k, SECOND)
    psiMemstallEnter(k)
    pass(k, SECOND)
    psiMemstallLeave(k)
    psiMemstallLeave(k)
    psiTurn(k, 0, 1, { ready: 0, busy: 2 * SECOND, io: 0 }, true)
    expect(total(memory(k), 'some')).toBe(2e6)
  })

  it('of a kernel thread in the middle of a turn is its own', () => {
    const k = bootSmall()
    psiMemstallEnter(k)
    pass(k, SECOND)
    const turnUnderWay = psiSuspend(k)
    psiTurn(k, 1, 0, { ready: 0, busy: SECOND, io: 0 }, true)
    psiResume(k, turnUnderWay)
    pass(k, SECOND)
    psiMemstallLeave(k)
    psiTurn(k, 0, 1, { ready: 0, busy: 2 * SECOND, io: 0 }, true)
    // CPU 1 was busy for one of three seconds without waiting.
    expect(total(memory(k), 'some')).toBe(Math.floor((2e6 * 500) / 750))
  })

  it('is full only where no other task is ready', () => {
    const k = bootSmall()
    turn(k, SECOND, SECOND, 1, false)
    expect([total(memory(k), 'some'), total(memory(k), 'full')]).toEqual([1e6, 0])
    psiTurn(k, 0, 1, { ready: SECOND, busy: SECOND, io: SECOND }, true)
    expect(total(psiText(k, PSI_SYSTEM, 'cpu'), 'some')).toBe(1e6)
    expect(total(psiText(k, PSI_SYSTEM, 'cpu'), 'full')).toBe(0)
    expect(total(psiText(k, PSI_SYSTEM, 'io'), 'full')).toBe(1e6)
  })
})
