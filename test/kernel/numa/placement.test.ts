/** Where pages come from, and how that is counted. */
import { describe, expect, it } from 'vitest'
import { told } from './lab.ts'

const NODE = (n: number) => `/sys/devices/system/node/node${n}/numastat`

/** Two nodes, the first of which is filled beyond its size; counters before and after. */
const overflowing = told(`machine nodes=2 mem=64M,256M cpus=1,1
  cmdline transparent_hugepage=never numa_balancing=disable
  sample before
  spawn A cpu=0
  A mmap R 96M
  A touch R write
  A pagemap R
  sample after`)

const grown = (node: number, key: string) => overflowing.counter(NODE(node), key, 'after') - overflowing.counter(NODE(node), key, 'before')

describe('the events of nodes', () => {
  it('a page from another node than was wanted is a miss there and foreign here', () => {
    const elsewhere = overflowing.nodes('A R')[1]
    expect(elsewhere).toBeGreaterThan(1000)
    expect(grown(1, 'numa_miss')).toBeGreaterThanOrEqual(elsewhere)
    expect(grown(0, 'numa_foreign')).toBe(grown(1, 'numa_miss'))
    expect([grown(0, 'numa_miss'), grown(1, 'numa_foreign')]).toEqual([0, 0])
  })

  it('every page is a hit or a miss, and local or other', () => {
    for (const node of [0, 1])
      expect(grown(node, 'numa_hit') + grown(node, 'numa_miss')).toBe(grown(node, 'local_node') + grown(node, 'other_node'))
    expect(grown(1, 'other_node')).toBeGreaterThanOrEqual(grown(1, 'numa_miss'))
  })

  it('are counted no more, and forgotten, with numa_stat 0', () => {
    const { counter } = told(`write /proc/sys/vm/numa_stat 0
      spawn A cpu=0
      A mmap R 4M
      A touch R write
      sample off
      write /proc/sys/vm/numa_stat 1
      A mmap S 4M
      A touch S write
      sample on`)
    expect(counter('/proc/vmstat', 'numa_hit', 'off')).toBe(0)
    expect(counter('/proc/vmstat', 'numa_hit', 'on')).toBeGreaterThanOrEqual(1024)
  })

  it('a huge page of an interleave policy is one hit on the node whose turn it is', () => {
    const { nodes } = told(`machine nodes=2 mem=320M,320M cpus=1,1
      cmdline transparent_hugepage=always numa_balancing=disable
      write /sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs 100000
      spawn A cpu=0
      A mmap R 8M
      A mbind R interleave:0-1
      A touch R write
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 0: 1024, 1: 1024 })
  })
})

describe('/proc/PID/numa_maps', () => {
  it('says of each area its policy, what it is, its pages by kind and by node', () => {
    const { line } = told(`machine nodes=2 mem=96M,96M cpus=1,1
      cmdline transparent_hugepage=never hugepages=4 numa_balancing=disable
      spawn A cpu=0
      A mmap R 4M
      A mbind R interleave:0-1
      A touch R write
      A mmap S 2M flags=shared
      A mbind S bind:1 static
      A touch S write
      A mmap H 4M flags=private,anonymous,hugetlb
      A touch H write stride=2M
      A mmap E 1M
      A read numa_maps`)
    const lines = (line('A read numa_maps').text ?? '').split('\n')
    expect(lines).toContainEqual(
      expect.stringMatching(/^200000000000 interleave:0-1 anon=1024 dirty=1024 active=0 N0=512 N1=512 kernelpagesize_kB=4$/),
    )
    expect(lines).toContainEqual(
      expect.stringMatching(/^200000600000 bind=static:1 file=\/dev\/zero\\040\(deleted\) dirty=512 active=0 N1=512 kernelpagesize_kB=4$/),
    )
    expect(lines).toContainEqual(
      expect.stringMatching(/ file=\/anon_hugepage\\040\(deleted\) huge anon=2 dirty=2 N0=2 kernelpagesize_kB=2048$/),
    )
    expect(lines).toContainEqual(expect.stringMatching(/^2000\w{8} default$/))
    expect(lines).toContainEqual(expect.stringMatching(/ default stack /))
  })
})
