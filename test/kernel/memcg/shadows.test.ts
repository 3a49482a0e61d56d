import { describe, expect, it } from 'vitest'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { keyed, run } from './lab.ts'

const READ = 'spawn A\ncgroup G add A\nA readfile /mnt/f 32M\n'
const leaves = (k: Kernel) => k.nodes[0].lruvecs.map(({ shadowLeaves }) => shadowLeaves.size)
/** The index of a file of 32 MiB, and what of it is read ahead last. */
const ALL = 32 * 4

describe('shadows of pages that a group was charged for', () => {
  it('are kept on a list of the group', () => {
    const { k } = run(`${READ}cgroup G set memory.max 24M`)
    expect(leaves(k)[0]).toBe(0)
    expect(leaves(k)[1]).toBeGreaterThan(8 * 4 - 4)
  })

  it('are on the list of the group whose task read that part of the file first', () => {
    const { k } = run(
      `spawn A\nspawn B\ncgroup G add A\ncgroup H add B\nA readfile /mnt/f 12M\nB readfile /mnt/f 32M\ncgroup G set memory.max 4M\ncgroup H set memory.max 4M`,
    )
    expect(leaves(k)[1]).toBeGreaterThan(8 * 4 - 4)
    expect(leaves(k)[1]).toBeLessThanOrEqual(12 * 4)
    expect(leaves(k)[2]).toBeGreaterThan(15 * 4)
  })

  it('go when its reclaim finds more leaves than an eighth of the pages it still has', () => {
    const { k } = run(`${READ}cgroup G set memory.max 1M\ncgroup G set memory.reclaim 512K`)
    expect(leaves(k)[1]).toBeLessThan(ALL)
    expect(keyed(k, 'G/memory.stat', 'workingset_nodereclaim')).toBeGreaterThan(ALL / 4)
  })

  it('are its parent’s when its directory is removed', () => {
    const { k } = run(`${READ}cgroup G set memory.max 24M\ncgroup H add A\ncgroup G remove`)
    expect(leaves(k)[0]).toBeGreaterThan(8 * 4 - 4)
    expect(leaves(k)[1]).toBe(0)
  })
})
