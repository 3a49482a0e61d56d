/** Pages that come back: what reclaim believes about the lists is as old as the last time that groups' figures were added up. */
import { describe, expect, it } from 'vitest'
import { told } from '../numa/lab.ts'

const activated = (between: string): number => {
  const { line } = told(`machine nodes=1 mem=320M cpus=1 disk=256M swap=64M\ncmdline transparent_hugepage=never\nfile f 128M
    spawn A
    A readfile /mnt/f
    A mmap R 240M
    A touch R write
    A munmap R
    ${between}
    A readfile /mnt/f
    read /proc/vmstat
  `)
  return Number(/^workingset_activate_file (\d+)$/m.exec(String(line('read /proc/vmstat').text))?.[1])
}

describe('a page of a file that comes back', () => {
  it('is active at once while memory that was just unmapped still counts for what it could have had', () => {
    expect(activated('')).toBeGreaterThan(10000)
  })

  it('is not when it came back from further than there is memory in use, as it shows two seconds later', () => {
    expect(activated('sleep 3000')).toBeLessThan(100)
  })
})

describe('a page of swap that comes back soon after boot', () => {
  it('is not active, for no figures were added up since', () => {
    const { line } = told(`machine nodes=1 mem=192M cpus=1 disk=256M swap=64M\ncmdline transparent_hugepage=never
      spawn A
      A writefile /mnt/w 32M
      A mmap R 16M
      A touch R write content=unique
      A madvise R pageout
      sleep 10
      A madvise R pageout
      swapoff /dev/vda
      read /proc/vmstat
    `)
    expect(Number(/^workingset_activate_anon (\d+)$/m.exec(String(line('read /proc/vmstat').text))?.[1])).toBe(0)
  })
})
