import { describe, expect, it } from 'vitest'
import { errnoName } from '../../../src/kernel/base/errno.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from '../../../src/kernel/base/flags.ts'
import { inodeAt } from '../../../src/kernel/caches/inode.ts'
import { sysMemfdCreate, sysMkdir, sysOpen, sysStat, sysUnlink } from '../../../src/kernel/calls/files.ts'
import { sysFallocate, sysFsync, sysFtruncate, sysLseek, sysRead, sysWrite } from '../../../src/kernel/calls/files_io.ts'
import { sysMincore } from '../../../src/kernel/calls/mincore.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysRemount, sysUmount } from '../../../src/kernel/calls/mount.ts'
import { MS_ASYNC, MS_SYNC, sysMsync } from '../../../src/kernel/calls/msync.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { touch } from '../machine.ts'
import { BASE, type Lab, labOf, MIB, mapFile, mount, open, readFile, sleepMs, stat, writeFile, ZEROS } from './lab.ts'

const name = (ret: number | object): string => (typeof ret === 'number' ? (ret < 0 ? errnoName(ret) : `${ret}`) : 'file')
const tryOpen = (lab: Lab, path: string, wanted = {}) => name(sysOpen(lab.k, lab.task, path, { read: true, write: false, ...wanted }))
const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

describe('lengths and offsets', () => {
  it('of more than 63 bits are negative ones, and none goes beyond the longest file of its kind', () => {
    const lab = labOf([256], { f: 1 })
    const { k, task } = lab
    const memory = sysMemfdCreate(k, task, 'm')
    const disk = sysOpen(k, task, '/mnt/f', { read: true, write: true })
    if (typeof memory === 'number' || typeof disk === 'number') throw new Error('no file')
    expect([2 ** 63, 2 ** 63 - 2 ** 12].map(bytes => name(sysFtruncate(k, task, memory, bytes)))).toEqual(['EINVAL', '0'])
    expect([2 ** 44, 2 ** 44 - 4096].map(bytes => name(sysFtruncate(k, task, disk, bytes)))).toEqual(['EFBIG', '0'])
    expect(name(sysFallocate(k, task, memory, PUNCH, 2 ** 63 - 4096, 4096))).toBe('EFBIG')
    expect(name(sysFallocate(k, task, memory, PUNCH, 2 ** 63, 4096))).toBe('EINVAL')
    expect(name(sysFallocate(k, task, memory, 0, 2 ** 50, 4096))).toBe('ENOSPC')
    expect(name(sysLseek(k, task, disk, 2 ** 45))).toBe('EINVAL')
    expect(disk.posBytes).toBe(0)
    expect(verify(k)).toEqual([])
  })
})

describe('paths', () => {
  it('are refused as Linux refuses them', () => {
    const lab = labOf([256], { f: 1 })
    const { k, task } = lab
    expect([
      tryOpen(lab, '/mnt/nope'),
      tryOpen(lab, '/mnt/no/pe', { create: 0o600 }),
      tryOpen(lab, '/mnt/f/x', { create: 0o600 }),
      tryOpen(lab, '/mnt', { write: true }),
      tryOpen(lab, '/mnt/f', { create: 0o600, exclusive: true }),
      tryOpen(lab, '/mnt/../mnt/./f'),
      name(sysStat(k, task, '/mnt/none')),
      name(sysUnlink(k, task, '/mnt')),
      name(sysUnlink(k, task, '/mnt/none')),
      name(sysMkdir(k, task, '/mnt/f', 0o755)),
      name(sysMkdir(k, task, '/mnt/d', 0o755)),
      name(sysUnlink(k, task, '/mnt/d')),
    ]).toEqual(['ENOENT', 'ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'file', 'ENOENT', 'EBUSY', 'ENOENT', 'EEXIST', '0', 'EISDIR'])
  })

  it('are closed to those whom the mode does not let in', () => {
    const lab = labOf([256], { f: 1 })
    writeFile(lab, '/mnt/secret', 4096)
    lab.task.uid = 1000
    expect([
      tryOpen(lab, '/mnt/secret'),
      tryOpen(lab, '/mnt/f'),
      tryOpen(lab, '/mnt/f', { write: true }),
      tryOpen(lab, '/mnt/new', { create: 0o600 }),
    ]).toEqual(['EACCES', 'file', 'EACCES', 'EACCES'])
  })

  it('keep a file that is open after its name is gone, and let it go with its last holder', () => {
    const lab = labOf([256])
    const { k, task } = lab
    const before = stat(k, 'nr_file_pages')
    writeFile(lab, '/mnt/x', 4 * MIB)
    const file = open(lab, '/mnt/x', { write: true })
    mapFile(lab, file, BASE, 4 * MIB, 'shared')
    expect(sysUnlink(k, task, '/mnt/x')).toBe(0)
    expect(sysStat(k, task, '/mnt/x')).toBe(-2)
    expect(touch(k, task, BASE, 4 * MIB, true)).toBe(1024)
    task.files.delete(file)
    file.refs--
    expect(sysMunmap(k, task, BASE, 4 * MIB)).toBe(0)
    expect(stat(k, 'nr_file_pages') - before).toBeLessThan(8)
    expect(verify(k)).toEqual([])
  })
})

describe('mounts', () => {
  it('are refused for unknown types, bad options and missing places, and while in use', () => {
    const lab = labOf([256])
    const { k, task } = lab
    const results = [
      mount(lab, 'nofs', '/a'),
      mount(lab, 'tmpfs', '/b', 'size=8X'),
      mount(lab, 'tmpfs', '/b', 'nope=1'),
      mount(lab, 'tmpfs', '/b', 'huge=sometimes'),
      mount(lab, 'tmpfs', '/b', 'mode=9'),
      mount(lab, 'tmpfs', '/b', 'uid=-1'),
      mount(lab, 'tmpfs', '/c/d', ''),
      mount(lab, 'tmpfs', '/e', 'size=10%,nr_inodes=7,mode=700,uid=3,gid=4,huge=within_size'),
    ].map(name)
    expect(results).toEqual(['ENODEV', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'ENOENT', '0'])
    writeFile(lab, '/e/x', 8192)
    const file = open(lab, '/e/x')
    expect(name(sysUmount(k, task, '/e'))).toBe('EBUSY')
    task.files.delete(file)
    file.refs = 0
    file.inode.openCount = 0
    expect([
      name(sysUmount(k, task, '/e')),
      name(sysUmount(k, task, '/e')),
      name(sysUmount(k, task, '/nope')),
      name(sysUmount(k, task, '/')),
    ]).toEqual(['0', 'EINVAL', 'ENOENT', 'EBUSY'])
    expect(stat(k, 'nr_shmem')).toBe(0)
    expect(verify(k)).toEqual([])
  })

  it('of tmpfs hold what size= and nr_inodes= say, and can be given other limits', () => {
    const lab = labOf([256])
    const { k, task } = lab
    mount(lab, 'tmpfs', '/t', 'size=1M,nr_inodes=3')
    expect([writeFile(lab, '/t/a', 600 * 1024), name(writeFile(lab, '/t/b', MIB)), name(writeFile(lab, '/t/c', 1))]).toEqual([
      600 * 1024,
      'ENOSPC',
      'ENOSPC',
    ])
    expect(inodeAt(k, '/t/b')?.sizeBytes).toBe(MIB - 600 * 1024)
    expect(name(sysRemount(k, task, '/t', 'size=512K'))).toBe('EINVAL')
    expect(name(sysRemount(k, task, '/t', 'size=2M,nr_inodes=9,huge=always'))).toBe('0')
    expect(writeFile(lab, '/t/c', 600 * 1024)).toBe(600 * 1024)
    expect(verify(k)).toEqual([])
  })
})

describe('open files', () => {
  it('refuse what their kind cannot do', () => {
    const lab = labOf([256], { f: 1 })
    const { k, task } = lab
    mount(lab, 'tmpfs', '/t')
    writeFile(lab, '/t/x', 4096)
    writeFile(lab, '/ram', 4096)
    const read = open(lab, '/mnt/f')
    const write = open(lab, '/mnt/f', { read: false, write: true })
    const ram = open(lab, '/ram', { write: true })
    expect([
      tryOpen(lab, '/t/x', { direct: true }),
      name(sysWrite(k, task, read, 1, ZEROS)),
      name(sysRead(k, task, write, 1)),
      name(sysFtruncate(k, task, read, 1)),
      name(sysFtruncate(k, task, write, -1)),
      name(sysFallocate(k, task, write, 0, 0, 0)),
      name(sysFallocate(k, task, write, FALLOC_FL_PUNCH_HOLE, 0, 1)),
      name(sysFallocate(k, task, write, 64, 0, 1)),
      name(sysFallocate(k, task, ram, 0, 0, 1)),
      name(sysFallocate(k, task, read, PUNCH, 0, 4096)),
    ]).toEqual(['EINVAL', 'EBADF', 'EBADF', 'EINVAL', 'EINVAL', 'EINVAL', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EBADF'])
  })

  it('lose their pages beyond a new end, which is a bus error for those who map them', () => {
    const lab = labOf([256], { f: 4 })
    const { k, task } = lab
    const file = open(lab, '/mnt/f', { write: true })
    mapFile(lab, file, BASE, 4 * MIB, 'shared')
    const mapped = stat(k, 'nr_mapped')
    touch(k, task, BASE, 4 * MIB, false)
    expect(sysFtruncate(k, task, file, MIB)).toBe(0)
    expect([stat(k, 'nr_mapped') - mapped, file.inode.mapping.nrPages]).toEqual([256, 256])
    expect(touch(k, task, BASE, 4 * MIB, false)).toBe(256)
    expect(sysFtruncate(k, task, file, 4 * MIB)).toBe(0)
    const read = stat(k, 'nr_file_pages')
    expect(touch(k, task, BASE, 4 * MIB, false)).toBe(1024)
    expect(stat(k, 'nr_file_pages') - read).toBe(768)
    expect(sysFallocate(k, task, file, PUNCH, 0, MIB)).toBe(0)
    expect(file.inode.mapping.nrPages).toBe(768)
    expect(verify(k)).toEqual([])
  })

  it('are read past the cache with O_DIRECT', () => {
    const lab = labOf([256], { f: 8 })
    const before = stat(lab.k, 'nr_file_pages')
    expect(readFile(lab, '/mnt/f', 8 * MIB, 0, { direct: true })).toBe(8 * MIB)
    expect(stat(lab.k, 'nr_file_pages') - before).toBeLessThanOrEqual(1)
  })
})

describe('mincore and msync', () => {
  it('say and write what is there', () => {
    const lab = labOf([256], { f: 8 })
    const { k, task } = lab
    const file = open(lab, '/mnt/f', { write: true })
    mapFile(lab, file, BASE, 8 * MIB, 'shared')
    expect(sysMincore(k, task, BASE, 8 * MIB)).toBe(0)
    readFile(lab, '/mnt/f', MIB)
    sleepMs(lab, 1)
    expect(sysMincore(k, task, BASE, 8 * MIB)).toBe(file.inode.mapping.nrPages)
    touch(k, task, BASE, MIB, true)
    expect(stat(k, 'nr_dirty')).toBe(256)
    expect(sysMsync(k, task, BASE, MIB / 2, MS_ASYNC)).toBe(0)
    expect(stat(k, 'nr_dirty')).toBe(256)
    expect(sysMsync(k, task, BASE, MIB / 2, MS_SYNC)).toBe(0)
    expect([stat(k, 'nr_dirty'), stat(k, 'nr_writeback'), stat(k, 'nr_written')]).toEqual([128, 0, 128])
    touch(k, task, BASE, 4096, true)
    expect(stat(k, 'nr_dirty')).toBe(129)
    expect(
      [
        sysMsync(k, task, BASE + 1, 4096, MS_SYNC),
        sysMsync(k, task, BASE, 4096, MS_SYNC | MS_ASYNC),
        sysMsync(k, task, BASE, 16 * MIB, MS_SYNC),
      ].map(name),
    ).toEqual(['EINVAL', 'EINVAL', 'ENOMEM'])
    expect([sysMincore(k, task, BASE + 1, 4096), sysMincore(k, task, BASE + 8 * MIB, 4096)].map(name)).toEqual(['EINVAL', 'ENOMEM'])
  })

  it('show others that may not write to a file nothing of what is cached of it', () => {
    const lab = labOf([256], { f: 1 })
    const file = open(lab, '/mnt/f')
    mapFile(lab, file, BASE, MIB, 'shared', PROT_READ)
    lab.task.uid = 1000
    expect(sysMincore(lab.k, lab.task, BASE, MIB)).toBe(256)
  })
})

describe('memory files', () => {
  it('promise what they hold, page by page', () => {
    const lab = labOf([256])
    const { k, task } = lab
    const promised = k.committedAs
    const mapped = stat(k, 'nr_mapped')
    const memfd = sysMemfdCreate(k, task, 'm')
    if (typeof memfd === 'number') throw new Error('no memfd')
    expect([sysFtruncate(k, task, memfd, 4 * MIB), k.committedAs - promised]).toEqual([0, 0])
    mapFile(lab, memfd, BASE, 4 * MIB, 'shared')
    expect(touch(k, task, BASE, 2 * MIB, false)).toBe(512)
    expect([stat(k, 'nr_shmem'), k.committedAs - promised]).toEqual([512, 512])
    expect(sysFallocate(k, task, memfd, PUNCH, MIB, MIB)).toBe(0)
    expect([stat(k, 'nr_shmem'), stat(k, 'nr_mapped') - mapped]).toEqual([256, 256])
    expect(sysFallocate(k, task, memfd, 0, 0, 6 * MIB)).toBe(0)
    expect([stat(k, 'nr_shmem'), memfd.inode.sizeBytes]).toEqual([1536, 6 * MIB])
    expect(sysFtruncate(k, task, memfd, MIB)).toBe(0)
    expect([stat(k, 'nr_shmem'), k.committedAs - promised]).toEqual([256, 256])
    expect(sysFsync(k, task, memfd)).toBe(0)
    expect(verify(k)).toEqual([])
  })

  it('of shared anonymous memory are promised with their size, unless told otherwise', () => {
    const { k, task } = labOf([256])
    const promised = k.committedAs
    const shared = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED
    const map = (address: number, flags: number) =>
      sysMmap(k, task, { address, bytes: 4 * MIB, prot: PROT_READ | PROT_WRITE, flags, file: undefined, pgoff: 0 })
    expect([map(BASE, shared), k.committedAs - promised]).toEqual([BASE, 1024])
    map(BASE + 8 * MIB, shared | MAP_NORESERVE)
    touch(k, task, BASE, MIB, true)
    expect(k.committedAs - promised).toBe(1024)
    touch(k, task, BASE + 8 * MIB, MIB, true)
    expect(k.committedAs - promised).toBe(1280)
    sysMunmap(k, task, BASE, 16 * MIB)
    expect([k.committedAs - promised, stat(k, 'nr_shmem')]).toEqual([0, 0])
    expect(verify(k)).toEqual([])
  })

  it('give fallocate all pages or none', () => {
    const lab = labOf([256])
    const { k, task } = lab
    mount(lab, 'tmpfs', '/t', 'size=4M')
    writeFile(lab, '/t/x', MIB)
    const file = open(lab, '/t/x', { write: true })
    expect([name(sysFallocate(k, task, file, 0, 0, 5 * MIB)), stat(k, 'nr_shmem')]).toEqual(['ENOSPC', 256])
    writeFile(lab, '/t/y', 2 * MIB)
    expect([name(sysFallocate(k, task, file, 0, 0, 3 * MIB)), stat(k, 'nr_shmem')]).toEqual(['ENOSPC', 768])
    expect(verify(k)).toEqual([])
  })
})
