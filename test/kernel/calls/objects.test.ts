/** Kernel objects of address spaces, as /proc/slabinfo counts them. */
import { describe, expect, it } from 'vitest'
import { ran } from '../uffd/lab.ts'

describe('the objects of areas', () => {
  const active = (text: unknown, cache: string): number => Number(new RegExp(`^${cache} +(\\d+)`, 'm').exec(String(text))?.[1])

  it('link each piece of a split area to the anon_vma of its pages, and after a fork to that of its own as well', () => {
    const { field } = ran(
      'spawn A\nA mmap R 4M\nA touch R write\nread /proc/slabinfo\nA mprotect R ro stride=8K span=4K\nread  /proc/slabinfo\nfork A B\nread   /proc/slabinfo\nexit B\nexit A\n',
    )
    const chains = ['read /proc/slabinfo', 'read  /proc/slabinfo', 'read   /proc/slabinfo'].map(line =>
      active(field(line, 'text'), 'anon_vma_chain'),
    )
    // A slab of 64 that is in use counts whole: 1024 pieces, and twice as many links of the child's.
    expect([chains[1] - chains[0] >= 15 * 64, chains[2] - chains[1] >= 31 * 64]).toEqual([true, true])
  })
})

describe('what shows as resident', () => {
  it('is entered with every 66th fault, where one that waits for the disk counts twice', () => {
    const { field } = ran(
      'spawn A\nA mmap X 64K\nA touch X write\nA mmap F 1M file=/mnt/f\nA madvise F random\nA munmap X\nA touch F read 0 96K\nA mmap S 1M flags=shared\nA touch S write 0 100K\nread /proc/$A/status\nexit A\n',
      'machine mem=128M cpus=1 disk=32M\ncmdline transparent_hugepage=never\nfile f 1M\n',
    )
    // 24 pages read, twice; the 66th fault is the 18th of the 25 writes.
    expect(String(field('read /proc/$A/status', 'text'))).toMatch(/RssShmem:\t +68 kB/)
  })
})

describe('names and inodes that are dropped', () => {
  it('are free a little after drop_caches is done, on whatever node they were made', () => {
    const { field } = ran(
      'spawn A cpu=1\nA mkfiles /mnt/d 500\nread /proc/slabinfo\nwrite /proc/sys/vm/drop_caches 2\nread  /proc/slabinfo\nsleep 10\nread   /proc/slabinfo\nexit A\n',
      'machine nodes=2 mem=96M,96M cpus=1,1 disk=32M\ncmdline transparent_hugepage=never\n',
    )
    const inodes = ['read /proc/slabinfo', 'read  /proc/slabinfo', 'read   /proc/slabinfo'].map(line =>
      Number(/^ext4_inode_cache +(\d+)/m.exec(String(field(line, 'text')))?.[1]),
    )
    expect([inodes[1] - inodes[0], inodes[0] >= 500, inodes[2] < 200]).toEqual([0, true, true])
  })
})
