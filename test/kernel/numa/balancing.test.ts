/** NUMA balancing: what is marked, which faults follow, and what moves. */
import { describe, expect, it } from 'vitest'
import { told } from './lab.ts'

/** A machine whose scans come ten times as fast as usual. */
const fast = (program: string, thp = 'never') =>
  told(`machine nodes=2 mem=320M,320M cpus=1,1 disk=64M
    cmdline transparent_hugepage=${thp}
    file f 4M
    write /sys/kernel/debug/sched/numa_balancing/scan_delay_ms 100
    write /sys/kernel/debug/sched/numa_balancing/scan_period_min_ms 100
    sample start
    ${program}
    sample end`)

const since = (run: ReturnType<typeof told>, key: string) =>
  run.counter('/proc/vmstat', key, 'end') - run.counter('/proc/vmstat', key, 'start')

describe('NUMA balancing', () => {
  it('brings the memory of a process to the node where it runs now', () => {
    const run = fast(`spawn A cpu=0
      A mmap R 16M
      A touch R write
      A cpu 1
      A touch R read for=1000
      A pagemap R`)
    expect(run.nodes('A R')[1]).toBeGreaterThan(4000)
    expect(since(run, 'numa_pages_migrated')).toBeGreaterThan(4000)
    expect(since(run, 'numa_pages_migrated')).toBe(since(run, 'pgmigrate_success'))
  })

  it('moves huge pages whole, 512 pages a fault', () => {
    const run = fast(
      `spawn A cpu=0
      A mmap R 16M
      A touch R write
      A cpu 1
      A touch R read for=1000
      A pagemap R
      A read sched`,
      'always',
    )
    expect(run.line('A read sched').text).toMatch(/numa_preferred_nid +: +1\n/)
    expect(run.nodes('A R')).toEqual({ 1: 4096 })
    expect(since(run, 'thp_migration_success')).toBe(8)
    expect(since(run, 'numa_huge_pte_updates')).toBeGreaterThanOrEqual(8)
    expect(since(run, 'thp_split_pmd')).toBe(0)
  })

  it('restores the entry of a huge page that cannot be moved: the node is full', () => {
    const run = fast(
      `spawn X cpu=1 policy=bind:1
      X mmap R 250M
      X madvise R nohugepage
      X touch R write
      spawn A cpu=0
      A mmap R 48M
      A touch R write
      A cpu 1
      A touch R read for=1000
      A check R
      A pagemap R`,
      'always',
    )
    expect(run.nodes('A R')[0]).toBeGreaterThan(0)
    expect(run.line('A check R').ret).toBe(0)
    expect(since(run, 'numa_hint_faults')).toBeGreaterThan(since(run, 'numa_pages_migrated') / 512)
  })

  it('does nothing when it is switched off, nor before a process has run for scan_delay_ms', () => {
    const off = fast(`write /proc/sys/kernel/numa_balancing 0
      spawn A cpu=0
      A mmap R 8M
      A touch R write
      A cpu 1
      A touch R read for=1000`)
    const young = fast(`spawn A cpu=0
      A mmap R 8M
      A touch R write
      A cpu 1
      A touch R read for=50`)
    expect(since(off, 'numa_pte_updates')).toBe(0)
    expect(since(young, 'numa_pte_updates')).toBe(0)
  })

  it('leaves alone what a policy governs, unless the policy says that it may balance', () => {
    const bound = (policy: string) =>
      fast(`spawn A cpu=0
        A set_mempolicy ${policy}
        A mmap R 8M
        A touch R write
        A cpu 1
        A touch R read for=1000
        A pagemap R`).nodes('A R')
    expect(bound('bind:0-1')).toEqual({ 0: 2048 })
    expect(bound('bind:0-1 balancing')[1]).toBeGreaterThan(1900)
    expect(bound('bind:0 balancing')).toEqual({ 0: 2048 })
  })

  it('leaves alone shared memory, pages that are shared by copy-on-write, and file pages', () => {
    const run = fast(`spawn A cpu=0
      A mmap S 8M flags=shared
      A touch S write
      A mmap R 8M
      A touch R write
      fork A B
      A mmap F 4M file=/mnt/f
      A touch F read
      A cpu 1
      A touch S read for=500
      A touch R read for=500
      A touch F read for=500
      A pagemap S
      A pagemap R
      A pagemap F`)
    expect([run.nodes('A S'), run.nodes('A R'), run.nodes('A F')]).toEqual([{ 0: 2048 }, { 0: 2048 }, { 0: 1024 }])
  })

  it('gives no faults of its own to memory without permissions', () => {
    const run = fast(`spawn A cpu=0
      A mmap R 8M
      A touch R write
      A cpu 1
      A touch R read for=300
      A mprotect R none
      A touch R read
      A mprotect R rw
      A touch R write
      A check R`)
    expect(run.line('A touch R read').signal).toBe('SIGSEGV')
    expect(run.line('A touch R write', -1).ret).toBe(2048)
  })
})
