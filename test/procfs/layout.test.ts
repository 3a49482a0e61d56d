import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Kernel } from '../../src/kernel/base/state.ts'
import { bootKernel } from '../../src/kernel/boot.ts'
import { baseFiles, procRead } from '../../src/procfs/tree.ts'
import { machineOf } from '../../src/workload/machine.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

/** Machines of different shapes: nodes without CPUs, a Normal zone, huge pages at boot, swap, a disk. */
const SCENARIOS = [
  'numa-policies',
  'hugetlb-1g',
  'min-free-watermarks',
  'numa-full-fallback',
  'overcommit',
  'pagecache-readahead',
  'thp-fault-always',
  'pcp-cpu-offline',
]

const oracle = (path: string) => new URL(`../oracle/${path}`, import.meta.url)

function booted(name: string): Kernel {
  const path = oracle(`scenarios/${name}.scn`)
  return bootKernel(machineOf(parseWorkload(readFileSync(path, 'utf8'), name)))
}

/** Texts of the first full sample of a recording. */
function recorded(name: string): Map<string, string> {
  const lines = gunzipSync(readFileSync(oracle(`recordings/${name}.ndjson.gz`)))
    .toString()
    .split('\n')
  const line = lines.find(text => text.includes('"/proc/zoneinfo":')) ?? '{"files":{}}'
  const files: Record<string, string> = JSON.parse(line).files
  return new Map(Object.entries(files))
}

/** A text with its numbers and the width of its blanks taken out. */
const layoutOf = (text: string | number | undefined): string =>
  String(text)
    .replace(/>?\d+/g, '#')
    .replace(/[ \t]+/g, ' ')

/** Knobs stand where they stand; what reports has the same shape on every machine. */
const reports = (path: string) => !path.startsWith('/proc/sys') && !path.startsWith('/sys/module')

describe('the texts of a booted machine', () => {
  it.each(SCENARIOS)('are laid out as the real kernel lays them out: %s', name => {
    const k = booted(name)
    const texts = recorded(name)
    for (const path of baseFiles(k).filter(reports)) {
      const [ours, theirs] = [layoutOf(procRead(k, path)), layoutOf(texts.get(path))]
      expect(path.includes('transparent_hugepage/') ? ours.replace(/[[\]]/g, '') : ours, path).toBe(
        path.includes('transparent_hugepage/') ? theirs.replace(/[[\]]/g, '') : theirs,
      )
    }
  })

  it.each(SCENARIOS)('come in the order of the real recorder, none missing and none too many: %s', name => {
    const paths = [...recorded(name).keys()].filter(path => !path.startsWith('/sys/fs/cgroup/') && path !== '/proc/slabinfo')
    expect(baseFiles(booted(name))).toEqual(paths)
  })

  it('keep their columns: numbers that are equal give equal lines', () => {
    const [k, texts] = [booted('numa-policies'), recorded('numa-policies')]
    const theirs = new Set((texts.get('/proc/meminfo') ?? '').split('\n'))
    const ours = String(procRead(k, '/proc/meminfo')).split('\n')
    for (const line of ours.filter(text => / 0( kB)?$/.test(text))) {
      const label = line.slice(0, line.indexOf(':') + 1)
      const real = [...theirs].find(text => text.startsWith(label)) ?? ''
      expect(line.length).toBe(real.length)
    }
  })
})
