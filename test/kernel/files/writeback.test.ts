import { describe, expect, it } from 'vitest'
import { inodeAt } from '../../../src/kernel/caches/inode.ts'
import { kmemCache } from '../../../src/kernel/caches/slab.ts'
import { slabObjects, slabOrder } from '../../../src/kernel/caches/slab_caches.ts'
import { sysUnlink } from '../../../src/kernel/calls/files.ts'
import { sysFsync, sysSync } from '../../../src/kernel/calls/files_io.ts'
import { dirtyLimits } from '../../../src/kernel/reclaim/dirty_limits.ts'
import { dropCaches } from '../../../src/kernel/reclaim/drop_caches.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { touch } from '../machine.ts'
import { BASE, event, fadvise, labOf, MIB, mapFile, open, readFile, settle, sleepMs, stat, writeFile } from './lab.ts'

describe('dirty pages', () => {
  it('stay until somebody writes them; fsync waits for it', () => {
    const lab = labOf([256])
    const { k } = lab
    writeFile(lab, '/mnt/x', 8 * MIB)
    expect(stat(k, 'nr_dirtied')).toBe(2048 + 2)
    expect(writeFile(lab, '/mnt/x', 8 * MIB)).toBe(8 * MIB)
    expect(stat(k, 'nr_dirtied')).toBe(2050)
    const started = k.clock[0]
    expect(sysFsync(k, lab.task, open(lab, '/mnt/x', { write: true }))).toBe(0)
    expect([stat(k, 'nr_dirty'), stat(k, 'nr_writeback'), stat(k, 'nr_written')]).toEqual([0, 0, 2050])
    expect(k.clock[0] - started).toBeGreaterThan((8 * MIB) / 6.1)
    expect(verify(k)).toEqual([])
  })

  it('are written by the flusher when they are old enough', () => {
    const lab = labOf([256])
    writeFile(lab, '/mnt/x', MIB)
    for (let s = 0; s < 25; s += 5) sleepMs(lab, 5000)
    expect(stat(lab.k, 'nr_dirty')).toBe(258)
    for (let s = 25; s < 40; s += 5) sleepMs(lab, 5000)
    expect([stat(lab.k, 'nr_dirty'), stat(lab.k, 'nr_writeback')]).toEqual([0, 0])
  })

  it('never are so many that writers would not wait, and come down to the background limit by themselves', () => {
    const lab = labOf([256])
    const { k } = lab
    const { background, dirty } = dirtyLimits(k)
    let most = 0
    for (let i = 0; i < 12; i++) {
      writeFile(lab, '/mnt/x', 8 * MIB, i * 8 * MIB)
      most = Math.max(most, stat(k, 'nr_dirty') + stat(k, 'nr_writeback'))
    }
    expect(most).toBeLessThanOrEqual((background + dirty) / 2 + 64)
    sleepMs(lab, 10)
    expect(stat(k, 'nr_dirty')).toBeLessThanOrEqual(dirtyLimits(k).background)
    expect(verify(k)).toEqual([])
  })

  it('are noticed again when a mapping writes to a page that was written to disk', () => {
    const lab = labOf([256], { f: 4 })
    const { k, task } = lab
    const file = open(lab, '/mnt/f', { write: true })
    mapFile(lab, file, BASE, 4 * MIB, 'shared')
    touch(k, task, BASE, MIB, true)
    expect(stat(k, 'nr_dirty')).toBe(256)
    sysFsync(k, task, file)
    const { minflt } = task
    touch(k, task, BASE, MIB, true)
    expect([stat(k, 'nr_dirty'), task.minflt - minflt]).toEqual([256, 256])
    touch(k, task, BASE, MIB, true)
    expect(task.minflt - minflt).toBe(256)
  })

  it('go with their file, and what was written comes back from disk', () => {
    const lab = labOf([256])
    const { k, task } = lab
    writeFile(lab, '/mnt/x', 4 * MIB)
    sysUnlink(k, task, '/mnt/x')
    expect(stat(k, 'nr_dirty')).toBeLessThan(4)
    writeFile(lab, '/mnt/y', 4 * MIB)
    writeFile(lab, '/mnt/z', 4096, 4 * MIB)
    dropCaches(k, 1)
    expect(inodeAt(k, '/mnt/y')?.mapping.nrPages).toBe(1024)
    sysSync(k)
    dropCaches(k, 1)
    const inBatches = inodeAt(k, '/mnt/y')?.mapping.nrPages ?? 0
    expect([inBatches < 30, event(k, 'drop_pagecache')]).toEqual([true, 2])
    const readIn = event(k, 'pgpgin')
    expect([readFile(lab, '/mnt/y', 4 * MIB), event(k, 'pgpgin') - readIn]).toEqual([4 * MIB, (1024 - inBatches) * 4])
    const holes = event(k, 'pgpgin')
    expect(readFile(lab, '/mnt/z', 8 * MIB)).toBe(4 * MIB + 4096)
    expect(event(k, 'pgpgin') - holes).toBeLessThanOrEqual(4)
    expect(verify(k)).toEqual([])
  })

  it('survive POSIX_FADV_DONTNEED only while they are on their way to the disk', () => {
    const lab = labOf([256])
    writeFile(lab, '/mnt/x', 4 * MIB)
    fadvise(lab, '/mnt/x', 'dontneed')
    expect(inodeAt(lab.k, '/mnt/x')?.mapping.nrPages).toBe(1024)
    sleepMs(lab, 10)
    fadvise(lab, '/mnt/x', 'dontneed', 0, MIB)
    expect(inodeAt(lab.k, '/mnt/x')?.mapping.nrPages).toBe(768)
    settle(lab)
    expect(verify(lab.k)).toEqual([])
  })
})

describe('buffer heads', () => {
  const heads = (diskBytes: number): number => {
    const lab = labOf([256], {}, { diskBytes })
    const before = kmemCache(lab.k, 'buffer_head').active
    writeFile(lab, '/mnt/x', 4 * MIB)
    expect(verify(lab.k)).toEqual([])
    return kmemCache(lab.k, 'buffer_head').active - before
  }

  it('are one for each block of a page that was written: four on disks below 512 MiB', () => {
    expect(heads(512 * MIB)).toBeGreaterThanOrEqual(1024)
    expect(heads(512 * MIB)).toBeLessThan(1200)
    expect(heads(511 * MIB)).toBeGreaterThanOrEqual(4096)
  })
})

describe('slabs', () => {
  it.each([
    ['radix_tree_node', 584, 1, 14],
    ['buffer_head', 104, 0, 39],
    ['dentry', 192, 0, 21],
    ['ext4_inode_cache', 1192, 2, 13],
    ['inode_cache', 640, 1, 12],
    ['shmem_inode_cache', 784, 2, 20],
    ['task_struct', 8448, 3, 3],
    ['kmalloc-4k', 4096, 3, 8],
    ['bdev_cache', 1600, 3, 20],
  ])('of %s on two CPUs are as large as /proc/slabinfo says', (_, bytes, order, objects) => {
    expect([slabOrder(bytes, 2), slabObjects(bytes, order)]).toEqual([order, objects])
  })
})
