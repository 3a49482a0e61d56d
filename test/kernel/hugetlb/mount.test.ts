/** Files of huge pages: mounts with limits and promises of their own, files that grow and shrink, files without a name. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EBUSY, EINVAL, ENOMEM, ENOSPC } from '../../../src/kernel/base/errno.ts'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED } from '../../../src/kernel/base/flags.ts'
import type { OpenFile } from '../../../src/kernel/base/state_fs.ts'
import { sysClose, sysMkdir, sysOpen, sysUnlink } from '../../../src/kernel/calls/files.ts'
import { sysFallocate, sysFtruncate, sysRead, sysWrite } from '../../../src/kernel/calls/files_io.ts'
import { sysMount, sysUmount } from '../../../src/kernel/calls/mount.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { child, frame, HUGE, type Lab, labOf, map, pool, read, unmap, write } from './lab.ts'

let lab: Lab

beforeEach(() => {
  lab = labOf(8)
  sysMkdir(lab.k, lab.task, '/h', 0o755)
})

afterEach(() => {
  expect(verify(lab.k)).toEqual([])
})

const mount = (options: string) => sysMount(lab.k, lab.task, 'hugetlbfs', '/h', options)
const umount = () => sysUmount(lab.k, lab.task, '/h')
const tryOpen = (path: string) => sysOpen(lab.k, lab.task, path, { read: true, write: true, create: 0o600 })
const close = (file: OpenFile) => sysClose(lab.k, lab.task, file)

function open(path = '/h/f'): OpenFile {
  const file = tryOpen(path)
  if (typeof file === 'number') throw new Error(`open ${path}: ${file}`)
  return file
}

describe('a mount', () => {
  it('takes sizes in bytes, with units and in percent of the pool', () => {
    for (const size of ['size=6M', 'size=50%', 'size=8388608', 'min_size=4M,size=8M', 'pagesize=2M,size=4096K', 'nr_inodes=2k']) {
      expect([size, mount(size)]).toEqual([size, 0])
      expect(umount()).toBe(0)
    }
  })

  it('refuses options that make no sense', () => {
    const wrong = ['size=x', 'pagesize=3M', 'min_size=8M,size=4M', 'mode=9', 'uid=-1', 'gid=x', 'huge=always', 'size']
    expect(wrong.map(mount)).toEqual(wrong.map(() => -EINVAL))
  })

  it('with a minimum promises it at once, or is refused', () => {
    expect(mount('min_size=18M')).toBe(-ENOMEM)
    expect(mount('min_size=6M')).toBe(0)
    expect(pool(lab).rsvd).toBe(3)
    const file = open()
    map(lab, 0, 4, MAP_SHARED, file)
    expect(pool(lab).rsvd).toBe(4)
    write(lab, 0, 4)
    expect(pool(lab)).toEqual({ total: 8, free: 4, rsvd: 0, surp: 0 })
    unmap(lab, 0, 4)
    close(file)
    sysUnlink(lab.k, lab.task, '/h/f')
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 3, surp: 0 })
    umount()
    expect(pool(lab).rsvd).toBe(0)
  })

  it('with a size promises and allocates no more', () => {
    mount('size=8M')
    const file = open()
    expect(map(lab, 0, 5, MAP_SHARED, file)).toBe(-ENOMEM)
    expect(map(lab, 0, 3, MAP_SHARED, file)).toBe(0)
    expect(map(lab, 10, 2, MAP_PRIVATE, file)).toBe(-ENOMEM)
    expect(sysFallocate(lab.k, lab.task, file, 0, 0, 6 * HUGE)).toBe(-ENOSPC)
    expect(pool(lab)).toEqual({ total: 8, free: 4, rsvd: 0, surp: 0 })
  })

  it('with a number of inodes, of which the root is one, has room for no more files', () => {
    mount('nr_inodes=2')
    open('/h/a')
    expect(tryOpen('/h/b')).toBe(-ENOSPC)
    expect(sysUnlink(lab.k, lab.task, '/h/a')).toBe(0)
  })

  it('in use stays, even by an area alone', () => {
    mount('')
    const file = open()
    expect(umount()).toBe(-EBUSY)
    map(lab, 0, 1, MAP_SHARED, file)
    close(file)
    expect(umount()).toBe(-EBUSY)
    unmap(lab, 0, 1)
    expect(umount()).toBe(0)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })
})

describe('a file', () => {
  let file: OpenFile

  beforeEach(() => {
    mount('')
    file = open()
  })

  it('keeps its pages, and its promises, when nobody maps it', () => {
    map(lab, 0, 4, MAP_SHARED, file)
    write(lab, 0, 1)
    const first = frame(lab, 0)
    unmap(lab, 0, 4)
    expect(pool(lab)).toEqual({ total: 8, free: 7, rsvd: 3, surp: 0 })
    map(lab, 0, 4, MAP_SHARED, file)
    expect(frame(lab, 0)).toBe(first)
    expect(pool(lab)).toEqual({ total: 8, free: 7, rsvd: 3, surp: 0 })
  })

  it('is copied by private mappings that write', () => {
    map(lab, 0, 2, MAP_SHARED, file)
    write(lab, 0, 2)
    map(lab, 10, 2, MAP_PRIVATE, file)
    read(lab, 10, 2)
    expect(frame(lab, 10)).toBe(frame(lab, 0))
    write(lab, 10, 1)
    expect(frame(lab, 10)).not.toBe(frame(lab, 0))
    expect(frame(lab, 11)).toBe(frame(lab, 1))
    expect(pool(lab)).toEqual({ total: 8, free: 5, rsvd: 1, surp: 0 })
  })

  it('is shared with a child, and gives SIGBUS past its end', () => {
    map(lab, 0, 3, MAP_SHARED, file)
    write(lab, 0, 3)
    const forked = child(lab)
    expect(sysFtruncate(lab.k, lab.task, file, HUGE)).toBe(0)
    expect(pool(lab)).toEqual({ total: 8, free: 7, rsvd: 0, surp: 0 })
    expect(read(forked, 0, 3)).toEqual({ done: 1, sigbus: true })
    expect(sysFtruncate(lab.k, lab.task, file, 3 * HUGE)).toBe(0)
    expect(read(forked, 0, 3)).toEqual({ done: 3, sigbus: false })
  })

  it('has lengths of whole huge pages, is read but not written', () => {
    expect(sysFtruncate(lab.k, lab.task, file, HUGE + 4096)).toBe(-EINVAL)
    expect(sysFallocate(lab.k, lab.task, file, 0, 0, 2 * HUGE)).toBe(0)
    expect(sysRead(lab.k, lab.task, file, 8192)).toBe(8192)
    expect(sysWrite(lab.k, lab.task, file, 4096, { content: 1, indexed: false, index: 0 })).toBe(-EINVAL)
  })

  it('gives the pages of a hole back, of whole huge pages only', () => {
    sysFallocate(lab.k, lab.task, file, 0, 0, 4 * HUGE)
    expect(pool(lab).free).toBe(4)
    sysFallocate(lab.k, lab.task, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HUGE / 2, 2 * HUGE)
    expect(pool(lab).free).toBe(5)
    expect(file.inode.sizeBytes).toBe(4 * HUGE)
  })

  it('without a name goes with who has it open', () => {
    sysFallocate(lab.k, lab.task, file, 0, 0, 2 * HUGE)
    sysUnlink(lab.k, lab.task, '/h/f')
    expect(pool(lab).free).toBe(6)
    close(file)
    expect(pool(lab).free).toBe(8)
  })

  it('of 1 GiB and more shares page tables between processes', () => {
    const large = labOf(4)
    map(large, 0, 512, MAP_SHARED | MAP_NORESERVE)
    write(large, 0, 2)
    const forked = child(large)
    read(forked, 0, 2)
    expect(large.k.spaces.sharedTables.size).toBe(1)
    expect(frame(forked, 1)).toBe(frame(large, 1))
    unmap(large, 0, 512)
    expect(frame(forked, 1)).toBeGreaterThan(0)
    expect(verify(large.k)).toEqual([])
  })
})
