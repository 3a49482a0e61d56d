import { describe, expect, it } from 'vitest'
import { MADV_PAGEOUT } from '../../../src/kernel/base/flags.ts'
import { inodeAt } from '../../../src/kernel/caches/inode.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { mapAnon, touch } from '../machine.ts'
import { BASE, event, labOf, MIB, mapFile, open, readFile, sleepMs, stat, writeFile } from './lab.ts'

describe('reclaim', () => {
  it('lets a file larger than memory be read, drops its oldest pages, and knows them when they come back', () => {
    const lab = labOf([192], { big: 320 })
    const { k } = lab
    expect(readFile(lab, '/mnt/big', 320 * MIB)).toBe(320 * MIB)
    const stolen = event(k, 'pgsteal_kswapd') + event(k, 'pgsteal_direct')
    expect(stolen).toBe(event(k, 'pgsteal_file'))
    const seen = (inodeAt(k, '/mnt/big')?.mapping.nrPages ?? 0) + stolen
    expect([seen >= 81920, seen < 81920 + 40]).toEqual([true, true])
    expect(stat(k, 'workingset_nodes')).toBeGreaterThan(0)
    expect(verify(k)).toEqual([])
    readFile(lab, '/mnt/big', 320 * MIB)
    expect(stat(k, 'workingset_refault_file')).toBe(81920)
    expect(verify(k)).toEqual([])
  })

  it('keeps pages that were used twice while others stream by', () => {
    const lab = labOf([192], { big: 320, hot: 24 })
    for (let i = 0; i < 2; i++) readFile(lab, '/mnt/hot', 24 * MIB)
    readFile(lab, '/mnt/big', 320 * MIB)
    expect(inodeAt(lab.k, '/mnt/hot')?.mapping.nrPages).toBe(6144)
  })

  it('gives the page cache up for anonymous memory, and has written what was dirty', () => {
    const lab = labOf([256], { big: 160 })
    const { k, task } = lab
    readFile(lab, '/mnt/big', 160 * MIB)
    writeFile(lab, '/mnt/x', 8 * MIB)
    mapAnon(k, task, BASE, 128 * MIB)
    expect(touch(k, task, BASE, 128 * MIB, true)).toBe(32768)
    sleepMs(lab, 200)
    expect([stat(k, 'nr_anon_pages') >= 32768, (inodeAt(k, '/mnt/big')?.mapping.nrPages ?? 0) < 16384]).toEqual([true, true])
    expect(verify(k)).toEqual([])
  })

  it('kills the largest process when nothing is left, and the one that asked goes on when that has left', () => {
    const lab = labOf([256])
    const { k, task } = lab
    const child = taskFork(k, task)
    const other = taskFork(k, task)
    if (typeof child === 'number' || typeof other === 'number') throw new Error('no fork')
    k.current = child
    mapAnon(k, child, BASE, 120 * MIB)
    touch(k, child, BASE, 120 * MIB, true)
    k.current = other
    mapAnon(k, other, BASE, 100 * MIB)
    expect(touch(k, other, BASE, 100 * MIB, true)).toBeLessThan(25600)
    expect([event(k, 'oom_kill'), child.killed, other.killed]).toEqual([1, 9, 0])
    k.current = child
    taskExit(k, child)
    k.current = other
    expect(touch(k, other, BASE, 100 * MIB, true)).toBe(25600)
    expect(event(k, 'oom_kill')).toBe(1)
    expect(verify(k)).toEqual([])
  })

  it('fails the fault of a process that is the one to be killed', () => {
    const lab = labOf([192])
    const child = taskFork(lab.k, lab.task)
    if (typeof child === 'number') throw new Error('no fork')
    lab.k.current = child
    for (let i = 0; i < 2; i++) mapAnon(lab.k, child, BASE + i * 128 * MIB, 100 * MIB)
    touch(lab.k, child, BASE, 100 * MIB, true)
    expect(touch(lab.k, child, BASE + 128 * MIB, 100 * MIB, true)).toBeLessThan(25600)
    expect([child.killed, event(lab.k, 'oom_kill')]).toEqual([9, 1])
    taskExit(lab.k, child)
    expect(verify(lab.k)).toEqual([])
  })

  it('drops mapped pages of files that MADV_PAGEOUT picks', () => {
    const lab = labOf([192], { f: 8 })
    const { k, task } = lab
    mapFile(lab, open(lab, '/mnt/f', { write: true }), BASE, 8 * MIB, 'shared')
    touch(k, task, BASE, 8 * MIB, false)
    const mapped = stat(k, 'nr_mapped')
    expect(sysMadvise(k, task, BASE, 4 * MIB, MADV_PAGEOUT)).toBe(0)
    expect([mapped - stat(k, 'nr_mapped'), inodeAt(k, '/mnt/f')?.mapping.nrPages]).toEqual([1024, 1024])
    expect(verify(k)).toEqual([])
  })
})
