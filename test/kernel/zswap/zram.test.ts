import { describe, expect, it } from 'vitest'
import { run } from './lab.ts'

const ZRAM = '/sys/block/zram0'
const MACHINE = `machine mem=128M cpus=2 modules=zram,lz4 swap=16M swapon=no
cmdline transparent_hugepage=never`
const SWAP = `write ${ZRAM}/disksize 32M
mkswap /dev/zram0
swapon /dev/zram0 prio=10
spawn A
A mmap R 8M`

const columns = (text = '') => text.trim().split(/\s+/).map(Number)

describe('zram', () => {
  it('sets up once, forgets all at reset, and not while it is in use', () => {
    const { results } = run(
      MACHINE,
      `write ${ZRAM}/disksize 0
       write ${ZRAM}/disksize 1000001
       read ${ZRAM}/disksize
       write ${ZRAM}/disksize 8M
       write ${ZRAM}/comp_algorithm lzo
       swapon /dev/zram0
       mkswap /dev/zram0
       swapon /dev/zram0
       write ${ZRAM}/reset 1
       swapoff /dev/zram0
       write ${ZRAM}/reset 1
       read ${ZRAM}/initstate
       write ${ZRAM}/comp_algorithm zstd
       write ${ZRAM}/comp_algorithm lz4
       read ${ZRAM}/comp_algorithm
       read ${ZRAM}/mm_stat
       write ${ZRAM}/mm_stat 1`,
    )
    expect(results).toEqual([
      ...['EINVAL', '7', '1003520\n', 'EBUSY', 'EBUSY', 'EINVAL', '0', '0', 'EBUSY', '0', '1', '0\n', 'EINVAL', '3'],
      'lzo lzo-rle [lz4] lz4hc zstd \n',
      '       0        0        0        0        0        0        0        0        0\n',
      'EACCES',
    ])
  })

  it('shows what it holds as the real kernel did: stored, compressed, taken, words, huge pages', () => {
    const { results } = run(
      `${MACHINE}\nwrite ${ZRAM}/comp_algorithm lzo\nwrite ${ZRAM}/disksize 64000001`,
      `mkswap /dev/zram0
       read ${ZRAM}/mm_stat
       swapon /dev/zram0
       spawn A
       A mmap R 16M
       A touch R write 0 8M content=comp:25
       A touch R write 8M 4M content=unique
       A touch R write 12M 2M content=zero
       A touch R write 14M 2M content=const:5
       A madvise R pageout
       read ${ZRAM}/mm_stat`,
    )
    expect(columns(results[3])).toEqual([4096, 62, 4096, 0, 4096, 0, 0, 0, 0])
    expect(columns(results.at(-1))).toEqual([16781312, 6449214, 6598656, 0, 6598656, 1024, 0, 1024, 1024])
  })

  it('frees a block as soon as swap does not need it, and packs the rest when told to', () => {
    const { results } = run(
      `${MACHINE}\n${SWAP}`,
      `A touch R write content=comp:25
       A madvise R pageout
       A madvise R dontneed 0 8M stride=16K span=12K
       swapoff /dev/none
       read ${ZRAM}/mm_stat
       write ${ZRAM}/compact 1
       read ${ZRAM}/mm_stat
       A check R 12K 4K content=comp:25`,
    )
    const [before, after] = [columns(results.at(-4)), columns(results.at(-2))]
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2))
    expect(after[2]).toBeLessThan(before[2] / 2)
    expect(after[6]).toBe((before[2] - after[2]) / 4096)
  })

  it('refuses pages beyond its limit, which then stay in memory', () => {
    const { results } = run(
      `${MACHINE}\n${SWAP}\nwrite ${ZRAM}/mem_limit 1M`,
      `A touch R write content=comp:60
       A madvise R pageout
       read ${ZRAM}/mm_stat
       read ${ZRAM}/io_stat
       A check R content=comp:60`,
    )
    expect(columns(results.at(-3))[2]).toBeLessThanOrEqual(2 ** 20)
    expect(columns(results.at(-2))[1]).toBeGreaterThan(0)
  })

  it('writes blocks back to a disk and reads them from there', () => {
    const { results } = run(
      `${MACHINE}\nwrite ${ZRAM}/backing_dev /dev/vda\n${SWAP}`,
      `A touch R write 0 2M content=unique
       A touch R write 2M 2M content=comp:20
       A touch R write 4M 1M content=zero
       A madvise R pageout
       write ${ZRAM}/writeback huge
       read ${ZRAM}/bd_stat
       write ${ZRAM}/idle all
       write ${ZRAM}/writeback_limit 100
       write ${ZRAM}/writeback_limit_enable 1
       write ${ZRAM}/writeback idle
       read ${ZRAM}/bd_stat
       A check R 0 2M content=unique
       A check R 2M 2M content=comp:20
       read ${ZRAM}/bd_stat
       read ${ZRAM}/io_stat`,
    )
    expect(columns(results.at(-10))).toEqual([512, 0, 512])
    expect(results.at(-6)).toBe('EIO')
    expect(columns(results.at(-5))).toEqual([612, 0, 612])
    // All but the block of the header come back; the first try at each counts as failed.
    expect(columns(results.at(-2))[1]).toBe(611)
    expect(columns(results.at(-1))[0]).toBe(611)
  })

  it('says in the log what became of it, and which writes failed', () => {
    const { results } = run(
      'machine mem=160M modules=zram swap=32M',
      `write /sys/block/zram0/disksize 16M
       write /sys/block/zram0/disksize 32M
       swapon /dev/zram0
       mkswap /dev/zram0
       swapon /dev/zram0 prio=7
       dmesg
       write /sys/block/zram0/mem_limit 1M
       spawn A
       A mmap R 2M
       A touch R write content=unique
       A madvise R pageout
       dmesg
       A munmap R
       swapoff /dev/zram0
       write /sys/block/zram0/reset 1
       swapoff /dev/vda
       write /sys/block/zram0/backing_dev /dev/vda
       swapon /dev/vda
       dmesg`,
    )
    const logs = results.filter(text => text.includes(',-;')).map(text => text.replace(/^\d,\d+,\d+,-;/gm, ''))
    expect(logs[0]).toBe(
      [
        'zram0: detected capacity change from 0 to 32768',
        'zram: Cannot change disksize for initialized device',
        'Unable to find swap-space signature',
        'Adding 16380k swap on /dev/zram0.  Priority:7 extents:1 across:16380k SSFS',
        '',
      ].join('\n'),
    )
    expect(logs[1]).toMatch(/^(Write-error on swap-device \(253:0:\d+\)\n){10}$/)
    expect(logs[2]).toBe('zram0: detected capacity change from 32768 to 0\nzram: setup backing device /dev/vda\n')
    expect(results.at(-2)).toBe('EBUSY')
  })

  it('comes in as many devices as are added', () => {
    const { k, results } = run(
      MACHINE,
      `read /sys/class/zram-control/hot_add
       read /sys/block/zram1/disksize
       write /sys/class/zram-control/hot_remove 1
       write /sys/class/zram-control/hot_remove 1
       write /sys/class/zram-control/hot_remove -3
       read /sys/class/zram-control/hot_add`,
    )
    expect(results).toEqual(['1\n', '0\n', '1', 'ENODEV', 'EINVAL', '1\n'])
    expect(k.zram.length).toBe(2)
  })

  it('is not there without its module', () => {
    expect(run('machine mem=128M', 'read /sys/block/zram0/disksize\nmkswap /dev/zram0').results).toEqual(['ENOENT', 'ENOENT'])
  })
})
