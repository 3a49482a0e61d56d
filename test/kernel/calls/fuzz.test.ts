import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { NO_NODE } from '../../../src/kernel/base/units.ts'
import { setMaxHugePages } from '../../../src/kernel/fault/hugetlb_resize.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { bootSmall, runInit } from '../machine.ts'
import { dice, type Program, step } from './program.ts'

/** Runs a random program and recounts the machine after every step; the failure names the seed and the last steps. */
function run(seed: number, steps: number, huge: boolean): void {
  const k = bootSmall([160])
  k.thp.enabled = huge ? 'always' : 'never'
  k.thp.shmemEnabled = huge ? 'force' : 'never'
  if (huge) setMaxHugePages(k, must(k.hugetlb.hstates[0], 'no huge TLB pages'), 5, NO_NODE, 1)
  k.sysctl.max_map_count = 60
  const program: Program = { k, tasks: [runInit(k)], roll: dice(seed) }
  const said: string[] = []
  for (let i = 0; i < steps; i++) {
    said.push(step(program))
    const wrong = [...verify(k), ...verifySpaces(k)]
    if (wrong.length > 0) expect({ seed, steps: said.slice(-8), wrong: wrong.slice(0, 5) }).toEqual('a sound machine')
  }
}

describe('random programs over the calls on address spaces', () => {
  it('leave the machine sound after every step', () => {
    for (const seed of [1, 2]) run(seed, 90, false)
  })

  it('leave the machine sound with huge pages of all kinds', () => {
    for (const seed of [17, 226]) run(seed, 120, true)
  })
})
