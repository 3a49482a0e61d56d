/** Swapping to a file on the disk. */
import { describe, expect, it } from 'vitest'
import { EBUSY, EINVAL, EISDIR, ENOENT, EPERM, ETXTBSY } from '../../../src/kernel/base/errno.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_PAGEOUT,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SWAP_FLAG_PREFER,
} from '../../../src/kernel/base/flags.ts'
import { readLog } from '../../../src/kernel/base/log.ts'
import { sysUnlink } from '../../../src/kernel/calls/files.ts'
import { sysFallocate, sysFtruncate } from '../../../src/kernel/calls/files_io.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysUmount } from '../../../src/kernel/calls/mount.ts'
import { sysSwapoff } from '../../../src/kernel/calls/swapoff.ts'
import { mkswap, sysSwapon } from '../../../src/kernel/calls/swapon.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead } from '../../../src/procfs/tree.ts'
import { spaceOf } from '../calls/space.ts'
import { type Lab, labOf, MIB, open, writeFile } from '../files/lab.ts'

const PATH = '/mnt/swap'

/** A machine that swaps to a file of 8 MiB. */
function swapping(): Lab {
  const lab = labOf([64])
  writeFile(lab, PATH, 8 * MIB)
  expect(mkswap(lab.k, lab.task, PATH)).toBe(0)
  expect(sysSwapon(lab.k, lab.task, PATH, 0)).toBe(0)
  return lab
}

describe('a file that is swapped to', () => {
  it('takes pages, gives them back, and is shown as a file', () => {
    const lab = swapping()
    const s = spaceOf(lab.k, lab.task)
    s.map(0, 512)
    s.write(0, 512)
    s.advise(0, 512, MADV_PAGEOUT)
    expect(procRead(lab.k, '/proc/swaps')).toMatch(/^\/mnt\/swap {31}file\t\t8188\t\t2\d{3}\t\t-2\n$/m)
    expect(verify(lab.k)).toEqual([])
    expect(sysSwapoff(lab.k, lab.task, PATH)).toBe(0)
    expect(s.mm.swapEnts).toBe(0)
    expect(verify(lab.k)).toEqual([])
  })

  it('cannot be changed by anybody else meanwhile', () => {
    const lab = swapping()
    const { k, task } = lab
    const file = open(lab, PATH, { write: true })
    const map = (flags: number) => sysMmap(k, task, { address: 0, bytes: MIB, prot: PROT_READ | PROT_WRITE, flags, file, pgoff: 0 })
    expect(writeFile(lab, PATH, 4096)).toBe(-ETXTBSY)
    expect(mkswap(k, task, PATH)).toBe(-ETXTBSY)
    expect(sysFtruncate(k, task, file, 4096)).toBe(-ETXTBSY)
    expect(sysFallocate(k, task, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)).toBe(-ETXTBSY)
    expect(map(MAP_SHARED)).toBe(-ETXTBSY)
    expect(map(MAP_PRIVATE)).toBeGreaterThan(0)
    expect(sysUnlink(k, task, PATH)).toBe(-EPERM)
    expect(sysSwapon(k, task, PATH, 0)).toBe(-EBUSY)
    expect(sysUmount(k, task, '/mnt')).toBe(-EBUSY)
    expect(sysSwapoff(k, task, PATH)).toBe(0)
    expect(writeFile(lab, PATH, 4096)).toBe(4096)
    expect(sysUnlink(k, task, PATH)).toBe(0)
  })

  it('needs a header, blocks for all of it, and a disk', () => {
    const lab = labOf([64])
    const { k, task } = lab
    const on = (path: string) => sysSwapon(k, task, path, 0)
    writeFile(lab, '/mnt/bare', MIB)
    expect(on('/mnt/bare')).toBe(-EINVAL)
    sysFtruncate(k, task, open(lab, '/mnt/hole', { write: true, create: 0o600 }), MIB)
    expect(mkswap(k, task, '/mnt/hole')).toBe(0)
    expect(on('/mnt/hole')).toBe(-EINVAL)
    writeFile(lab, '/ram', MIB)
    expect(mkswap(k, task, '/ram')).toBe(0)
    expect(on('/ram')).toBe(-EINVAL)
    expect(readLog(k).replace(/^\d,\d+,\d+,-;/gm, '')).toBe(
      'Unable to find swap-space signature\nswapon: file /mnt/hole has unallocated extents\n',
    )
    expect([on('/mnt'), on('/mnt/none')]).toEqual([-EISDIR, -ENOENT])
    expect([mkswap(k, task, '/mnt'), mkswap(k, task, '/mnt/none')]).toEqual([-EISDIR, -ENOENT])
    expect(verify(k)).toEqual([])
  })

  it('has the priority that swapon is given with its flags, which are checked', () => {
    const lab = labOf([64])
    writeFile(lab, PATH, MIB)
    mkswap(lab.k, lab.task, PATH)
    expect(sysSwapon(lab.k, lab.task, PATH, SWAP_FLAG_PREFER | -1)).toBe(-EINVAL)
    expect(sysSwapon(lab.k, lab.task, PATH, SWAP_FLAG_PREFER | 40000)).toBe(0)
    expect(lab.k.swap.active[0].priority).toBe(40000 - SWAP_FLAG_PREFER)
  })
})
