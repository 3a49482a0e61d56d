/** Broken memory, and memory that nobody else may read. */
import { describe, expect, it } from 'vitest'
import { HUGE_MACHINE, outcome, ran } from './lab.ts'

const WRITTEN = 'spawn A\nA mmap R 1M\nA touch R write content=page\n'

describe('a page taken out of use by its address', () => {
  const [SOFT, HARD] = ['soft', 'hard'].map(name => `write /sys/devices/system/memory/${name}_offline_page`)

  it('goes if nobody uses it, once', () => {
    const { op, field } = ran(
      `${SOFT} 0x10000000\n${SOFT} 0x10000fff\n${HARD} 0x10001000\n${HARD} 0x10001001\n${SOFT} 0x10001000\nread /proc/meminfo\n`,
      'machine mem=512M cpus=2\n',
    )
    expect(op(`${SOFT} 0x10000fff`).ret).toBe(10)
    expect(op(`${HARD} 0x10001000`).ret).toBe(10)
    expect(outcome(op(`${HARD} 0x10001001`))).toBe('EHWPOISON')
    expect(op(`${SOFT} 0x10001000`).ret).toBe(10)
    expect(field('read /proc/meminfo', 'text')).toMatch(/HardwareCorrupted: +8 kB/)
  })

  it('stays if the kernel has it, but one that is broken is marked', () => {
    const { op, field } = ran(`${SOFT} 0x1000000\n${HARD} 0x1001000\nread /proc/meminfo\n`)
    expect(outcome(op(`${SOFT} 0x1000000`))).toBe('EIO')
    expect(outcome(op(`${HARD} 0x1001000`))).toBe('EBUSY')
    expect(field('read /proc/meminfo', 'text')).toMatch(/HardwareCorrupted: +4 kB/)
  })

  it('is none where there is no memory, and needs a number', () => {
    const { op } = ran(`${SOFT} 0x40000000\n${HARD} 0x40000000\n${SOFT} here\n${HARD} -1\n`)
    expect(outcome(op(`${SOFT} 0x40000000`))).toBe('ENXIO')
    expect(outcome(op(`${HARD} 0x40000000`))).toBe('ENXIO')
    expect(outcome(op(`${SOFT} here`))).toBe('EINVAL')
    expect(outcome(op(`${HARD} -1`))).toBe('EINVAL')
  })
})

describe('the log', () => {
  /** What it says, without numbers of pages, addresses and processes. */
  const said = (lines: string) =>
    String(ran(`${lines}dmesg\n`, 'machine mem=512M cpus=2 swap=64M disk=64M\nfile f 1M\n').field('dmesg', 'text'))
      .trimEnd()
      .split('\n')
      .map(line =>
        line
          .replace(/^(\d),[^;]*;/, '$1 ')
          .replace(/0x[0-9a-f]+|\b[0-9a-f]{12}\b/g, '#')
          .replace(/init:\d+/, 'init'),
      )

  it('tells of a broken page, what became of it, and who dies of it', () => {
    expect(said(`${WRITTEN}A madvise R hwpoison 0 4K\nA touch R read 0 4K\n`)).toEqual([
      '6 Injecting memory failure for pfn # at process virtual address #',
      '3 Memory failure: #: recovery action for dirty LRU page: Recovered',
      '3 MCE: Killing init due to hardware memory corruption fault at #',
    ])
  })

  it('knows what kind of page it was', () => {
    const kind = (lines: string) =>
      said(`spawn A\n${lines}`)
        .at(-1)
        ?.replace(/^3 Memory failure: #: recovery action for /, '')
    expect(kind('A mmap F 64K file=/mnt/f flags=shared\nA touch F read\nA madvise F hwpoison 0 4K\n')).toBe('clean LRU page: Recovered')
    expect(kind('A mmap Z 64K\nA touch Z read\nA madvise Z hwpoison 0 4K\n')).toBe('reserved kernel page: Ignored')
    const swapped = 'A mmap S 64K\nA touch S write\nA madvise S pageout\nA touch S read\nA madvise S hwpoison 0 4K\n'
    expect(kind(swapped)).toBe('clean swapcache page: Recovered')
    expect(kind('write /sys/devices/system/memory/hard_offline_page 0x10000000\n')).toBe('free buddy page: Recovered')
  })

  it('tells of pages that are taken out of use before they break', () => {
    expect(said(`${WRITTEN}A madvise R soft_offline 0 4K\n`)).toEqual(['6 Soft offlining pfn # at process virtual address #'])
  })
})

describe('MADV_HWPOISON', () => {
  it('takes the page away: whoever touches it gets SIGBUS, who populates EHWPOISON', () => {
    const { op, field } = ran(
      `${WRITTEN}A madvise R hwpoison 0 4K\nA touch R read 0 4K\nA madvise R populate_read\nread /proc/meminfo\nexit A\n`,
    )
    expect(field('A touch R read 0 4K', 'si_code')).toBe(4)
    expect(outcome(op('A madvise R populate_read'))).toBe('EHWPOISON')
    expect(field('read /proc/meminfo', 'text')).toMatch(/HardwareCorrupted: +4 kB/)
  })

  it('leaves the pages around it, and a range that is unmapped can be used again', () => {
    const { op, field } = ran(
      `${WRITTEN}A madvise R hwpoison 4K 4K\nA check R 8K 64K content=page\nA madvise R dontneed\nA touch R write\nexit A\n`,
    )
    expect(field('A check R 8K 64K content=page', 'match')).toBe(16)
    expect(op('A touch R write').ret).toBe(256)
  })

  it('splits a huge page for its one page', () => {
    const { field } = ran('spawn A\nA mmap R 2M\nA touch R write\nA madvise R hwpoison 0 4K\nA pagemap R\nexit A\n', HUGE_MACHINE)
    expect(field('A pagemap R', 'present')).toBe(511)
  })

  it('dissolves a huge TLB page, of which the rest is free memory', () => {
    const { field } = ran(
      'spawn A\nA mmap H 2M flags=private,anonymous,hugetlb\nA touch H write stride=2M\nA madvise H hwpoison 0 4K\nA touch H read 0 4K\nread /proc/meminfo\nexit A\n',
    )
    expect(field('A touch H read 0 4K', 'signal')).toBe('SIGBUS')
    expect(field('read /proc/meminfo', 'text')).toMatch(/HugePages_Total: +3\n/)
  })

  it('is the end where the machine may not go on', () => {
    const { k } = ran(
      `${WRITTEN}write /proc/sys/vm/memory_failure_recovery 0\nA madvise R soft_offline 4K 4K\nA madvise R hwpoison 0 4K\nexit A\n`,
    )
    const panics = k.events.filter(({ kind }) => kind === 'panic')
    expect(panics.map(({ text }) => text)).toEqual([expect.stringMatching(/^Memory failure on page [0-9a-f]+$/)])
  })

  it('is for the privileged', () => {
    const { op } = ran(`${WRITTEN}A setuid 1000\nA madvise R hwpoison 0 4K\nexit A\n`)
    expect(outcome(op('A madvise R hwpoison 0 4K'))).toBe('EPERM')
  })
})

describe('MADV_SOFT_OFFLINE', () => {
  it('moves the contents elsewhere, and nobody notices', () => {
    const { field } = ran(`${WRITTEN}A madvise R soft_offline 0 64K\nA check R content=page\nread /proc/meminfo\nexit A\n`)
    expect(field('A check R content=page', 'match')).toBe(256)
    expect(field('read /proc/meminfo', 'text')).toMatch(/HardwareCorrupted: +64 kB/)
  })

  it('cannot take the page of zeros, memory that may not be read, or memory that only its process sees', () => {
    const { op } = ran(
      'spawn A\nA mmap Z 64K\nA mmap N 64K prot=none\nA mmap S 64K secret\nA touch S write\nA madvise Z soft_offline 0 4K\nA madvise N soft_offline 0 4K\nA madvise N hwpoison 0 4K\nA madvise S soft_offline 0 4K\nA madvise S hwpoison 0 4K\nexit A\n',
      'machine mem=128M cpus=2\ncmdline secretmem.enable=1 transparent_hugepage=never\n',
    )
    expect(outcome(op('A madvise Z soft_offline 0 4K'))).toBe('EIO')
    for (const line of [
      'A madvise N soft_offline 0 4K',
      'A madvise N hwpoison 0 4K',
      'A madvise S soft_offline 0 4K',
      'A madvise S hwpoison 0 4K',
    ])
      expect(outcome(op(line))).toBe('EFAULT')
  })
})

describe('memfd_secret', () => {
  const MACHINE = 'machine mem=128M cpus=2\ncmdline secretmem.enable=1 transparent_hugepage=never\n'

  it('is not there unless it was asked for at boot', () => {
    const { op } = ran('spawn A\nA mmap S 1M secret\nexit A\n')
    expect(outcome(op('A mmap S 1M secret'))).toBe('ENOSYS')
  })

  it('takes its pages out of the direct map, whose large entries stay split for good', () => {
    const mapped = (lines: string) => {
      const text = String(ran(`spawn A\n${lines}exit A\nread /proc/meminfo\n`, MACHINE).field('read /proc/meminfo', 'text'))
      return ['4k', '2M'].map(size => Number(new RegExp(`DirectMap${size}: +(\\d+)`).exec(text)?.[1]))
    }
    const [usual, split] = [mapped(''), mapped('A mmap S 4M secret\nA touch S write\n')]
    expect(split[0]).toBeGreaterThan(usual[0])
    expect(split[0] - usual[0]).toBe(usual[1] - split[1])
    expect((split[0] - usual[0]) % 2048).toBe(0)
  })

  it('counts against the limit of locked memory when it is touched', () => {
    const { op, field } = ran('spawn A\nA rlimit memlock 64K\nA mmap S 1M secret\nA touch S write\nexit A\n', MACHINE)
    expect(op('A touch S write').ret).toBe(16)
    expect(field('A touch S write', 'signal')).toBe('SIGBUS')
  })

  it('can be mapped shared only, given a length once, and not be populated, moved or executed', () => {
    const { op, field } = ran(
      'spawn A\nA mmap S 1M secret\nA touch S write\nA ftruncate S 2M\nA madvise S populate_read\nA move_pages S 0 16K query\nA mmap X 1M secret prot=rx\nexit A\n',
      MACHINE,
    )
    expect(outcome(op('A ftruncate S 2M'))).toBe('EINVAL')
    expect(outcome(op('A madvise S populate_read'))).toBe('EINVAL')
    expect(field('A move_pages S 0 16K query', 'status')).toEqual({ '-ENOENT': 4 })
    expect(outcome(op('A mmap X 1M secret prot=rx'))).toBe('EPERM')
  })
})
