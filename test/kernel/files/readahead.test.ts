import { describe, expect, it } from 'vitest'
import { MADV_RANDOM, MADV_SEQUENTIAL, PROT_READ } from '../../../src/kernel/base/flags.ts'
import { inodeAt } from '../../../src/kernel/caches/inode.ts'
import { sysRead } from '../../../src/kernel/calls/files_io.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { touch } from '../machine.ts'
import { BASE, CALL, event, fadvise, labOf, MIB, mapFile, open, readFile, stat } from './lab.ts'

const cached = (lab: ReturnType<typeof labOf>, path: string) => inodeAt(lab.k, path)?.mapping.nrPages

describe('readahead', () => {
  it('opens a window of 8 pages for reads of 4 and doubles it up to 32', () => {
    const lab = labOf([256], { f: 16 })
    const file = open(lab, '/mnt/f')
    const seen: (number | undefined)[] = []
    for (let i = 0; i < 8; i++) {
      sysRead(lab.k, lab.task, file, CALL)
      seen.push(cached(lab, '/mnt/f'))
    }
    expect(seen).toEqual([8, 24, 56, 56, 56, 56, 88, 88])
  })

  it('leaves 56 pages beyond 16 MiB, as on the real machine', () => {
    const lab = labOf([256], { f: 64 })
    expect(readFile(lab, '/mnt/f', 16 * MIB)).toBe(16 * MIB)
    expect(cached(lab, '/mnt/f')).toBe(4096 + 56)
    readFile(lab, '/mnt/f', 16 * MIB)
    expect([cached(lab, '/mnt/f'), event(lab.k, 'pgactivate')]).toEqual([4152, 4095])
    fadvise(lab, '/mnt/f', 'willneed', 16 * MIB, 16 * MIB)
    expect(cached(lab, '/mnt/f')).toBe(4096 + 320)
    expect(verify(lab.k)).toEqual([])
  })

  it('reads just what is asked for at random places, and goes on where a marked page is met again', () => {
    const lab = labOf([256], { f: 16 })
    readFile(lab, '/mnt/f', CALL, 8 * MIB)
    expect(cached(lab, '/mnt/f')).toBe(4)
    readFile(lab, '/mnt/f', CALL, 4 * MIB)
    expect(cached(lab, '/mnt/f')).toBe(8)
    const before = stat(lab.k, 'nr_file_pages')
    expect(readFile(lab, '/mnt/f', 1 * MIB, 8 * MIB)).toBe(MIB)
    expect(stat(lab.k, 'nr_file_pages') - before).toBeGreaterThan(252)
  })

  it('reads around faults: a major one at each mark, sixteen pages mapped at once in between', () => {
    const lab = labOf([256], { f: 64 })
    const file = open(lab, '/mnt/f')
    expect(mapFile(lab, file, BASE, 64 * MIB, 'shared', PROT_READ)).toBe(BASE)
    const { minflt } = lab.task
    const major = event(lab.k, 'pgmajfault')
    const mapped = stat(lab.k, 'nr_mapped')
    expect(touch(lab.k, lab.task, BASE + 40 * MIB, 8 * MIB, false)).toBe(2048)
    expect([lab.task.minflt - minflt, lab.task.majflt, event(lab.k, 'pgmajfault') - major]).toEqual([63, 66, 1])
    expect(stat(lab.k, 'nr_mapped') - mapped).toBe(2048)
    expect(verify(lab.k)).toEqual([])
  })

  it('does as the area advises: nothing ahead at random, windows from the fault on when sequential', () => {
    const random = labOf([256], { f: 16 })
    mapFile(random, open(random, '/mnt/f'), BASE, 16 * MIB, 'shared', PROT_READ)
    sysMadvise(random.k, random.task, BASE, 16 * MIB, MADV_RANDOM)
    touch(random.k, random.task, BASE + 4 * MIB, 4096, false)
    expect(cached(random, '/mnt/f')).toBe(1)
    const sequential = labOf([256], { f: 16 })
    mapFile(sequential, open(sequential, '/mnt/f'), BASE, 16 * MIB, 'shared', PROT_READ)
    sysMadvise(sequential.k, sequential.task, BASE, 16 * MIB, MADV_SEQUENTIAL)
    touch(sequential.k, sequential.task, BASE, 4096, false)
    expect(cached(sequential, '/mnt/f')).toBe(32)
  })

  it('stops reading around a mapping that misses a hundred times more than it hits', () => {
    const lab = labOf([256], { f: 128 })
    const file = open(lab, '/mnt/f')
    mapFile(lab, file, BASE, 128 * MIB, 'shared', PROT_READ)
    for (let i = 0; i < 160; i++) touch(lab.k, lab.task, BASE + ((i * 97) % 1000) * 131072, 4096, false)
    const before = cached(lab, '/mnt/f') ?? 0
    file.readahead.mmapMiss = 500
    touch(lab.k, lab.task, BASE + 1010 * 131072, 4096, false)
    expect((cached(lab, '/mnt/f') ?? 0) - before).toBe(1)
  })
})
