import { describe, expect, it } from 'vitest'
import { NS } from '../../../src/kernel/base/counters.ts'
import { fput } from '../../../src/kernel/caches/files.ts'
import { runRcu } from '../../../src/kernel/caches/rcu.ts'
import { kmemCache } from '../../../src/kernel/caches/slab.ts'
import { sysStat, sysUnlink } from '../../../src/kernel/calls/files.ts'
import { dropCaches } from '../../../src/kernel/reclaim/drop_caches.ts'
import { shadowCount, shadowScan } from '../../../src/kernel/reclaim/shadow_shrink.ts'
import { shrinkSlab } from '../../../src/kernel/reclaim/shrink_slab.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { event, type Lab, labOf, MIB, open, readFile, stat } from '../files/lab.ts'

const NAMES = 3000

/** A disk with that many empty files, each closed again. */
function withFiles(): Lab {
  const lab = labOf([256])
  for (let i = 0; i < NAMES; i++) {
    const file = open(lab, `/mnt/f${i}`, { create: 0o644, write: true })
    lab.task.files.delete(file)
    fput(lab.k, file)
  }
  return lab
}

const unusedNames = ({ k }: Lab) => k.fs.unused.reduce((sum, { names }) => sum + names.size, 0)

describe('names and inodes that nobody uses', () => {
  it('are given back by drop_caches 2: the names, then the inodes', () => {
    const lab = withFiles()
    const inodes = kmemCache(lab.k, 'ext4_inode_cache')
    expect(unusedNames(lab)).toBe(NAMES)
    const active = inodes.active
    dropCaches(lab.k, 2)
    expect(unusedNames(lab)).toBe(0)
    // What is let go waits for a grace period to begin, and for its end.
    runRcu(lab.k)
    runRcu(lab.k)
    expect(inodes.active).toBeLessThanOrEqual(active - NAMES + inodes.objectsPerSlab)
    expect(event(lab.k, 'slabs_scanned')).toBeGreaterThanOrEqual(2 * NAMES)
    expect(verify(lab.k)).toEqual([])
  })

  it('that were used since they were looked at last get one more round', () => {
    const lab = withFiles()
    for (let i = 0; i < NAMES; i++) sysStat(lab.k, lab.task, `/mnt/f${i}`)
    const before = event(lab.k, 'slabs_scanned')
    dropCaches(lab.k, 2)
    expect(event(lab.k, 'slabs_scanned') - before).toBeGreaterThanOrEqual(3 * NAMES)
    expect(unusedNames(lab)).toBe(0)
  })

  it('stay while the file is open, and as names that are not there when it is removed', () => {
    const lab = withFiles()
    open(lab, '/mnt/f0')
    sysUnlink(lab.k, lab.task, '/mnt/f1')
    expect(lab.k.fs.negative.has('/mnt/f1')).toBe(true)
    dropCaches(lab.k, 2)
    const kept = [...lab.k.fs.inodes.values()].filter(({ path, cached }) => path.startsWith('/mnt/f') && cached !== 0)
    expect(kept.map(({ path }) => path)).toEqual(['/mnt/f0'])
    expect(lab.k.fs.negative.size).toBe(0)
  })

  it('are asked for as vfs_cache_pressure says: not at all with 0', () => {
    const lab = withFiles()
    const [node] = lab.k.nodes
    lab.k.sysctl.vfs_cache_pressure = 0
    expect(shrinkSlab(lab.k, node, 0, 0)).toBe(0)
    expect(unusedNames(lab)).toBe(NAMES)
    lab.k.sysctl.vfs_cache_pressure = 100
    expect(shrinkSlab(lab.k, node, 0, 0)).toBeGreaterThan(0)
  })

  it('less than a batch is put off, and comes on top the next time', () => {
    const lab = withFiles()
    const [node] = lab.k.nodes
    expect(shrinkSlab(lab.k, node, 0, 4)).toBe(0)
    const { deferredObjects: deferred } = node.lruvecs[0]
    expect(deferred).toBe((NAMES >> 4) * 2)
    shrinkSlab(lab.k, node, 0, 4)
    expect(node.lruvecs[0].deferredObjects).toBeGreaterThan(deferred)
  })
})

describe('shadows of evicted pages', () => {
  it('go leaf by leaf, the oldest first; there are too many when there are more leaves of them than an eighth of the pages', () => {
    const lab = labOf([160], { big: 250 })
    readFile(lab, '/mnt/big', 250 * MIB)
    const [node] = lab.k.nodes
    const [root] = node.lruvecs
    const leaves = stat(lab.k, 'workingset_nodes')
    const oldest = [...root.shadowLeaves.keys()]
    expect(leaves).toBeGreaterThan(500)
    expect(shadowCount(root)).toBe(0)
    expect(shadowScan(lab.k, node, root, 100)).toBe(100)
    expect(stat(lab.k, 'workingset_nodes')).toBe(leaves - 100)
    expect([...root.shadowLeaves.keys()][0]).toBe(oldest[100])
    expect(node.stat[NS.workingset_nodereclaim]).toBe(100)
    expect(verify(lab.k)).toEqual([])
    root.size.fill(0)
    root.size[0] = 800
    node.stat[NS.nr_slab_reclaimable] = 8000
    expect(shadowCount(root)).toBe(leaves - 200)
  })
})
