/**
 * How close the simulator is to the real kernel, held: every scenario of the oracle is run and compared, and no topic may
 * hold a smaller share of its checks than it did. When one holds more, raise its line.
 */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordRaw } from '../../src/sim/raw.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

/** Percent of a topic's checks that hold at least. */
const HELD: Readonly<Record<string, number>> = {
  cgroup: 100,
  compaction: 100,
  drop: 96.7,
  fork: 100,
  hotplug: 100,
  hugetlb: 100,
  ksm: 98.9,
  lru: 94,
  madv: 99.8,
  memfd: 100,
  min: 100,
  mlock: 100,
  numa: 98.5,
  oom: 98.7,
  overcommit: 100,
  pagecache: 100,
  pagemap: 100,
  pcp: 100,
  reclaim: 91,
  softdirty: 100,
  thp: 96.5,
  uffd: 100,
  workingset: 96,
  zram: 96,
  zswap: 99,
}

interface Check {
  readonly ok: boolean
}
interface Comparator {
  readonly compare: (real: string, sim: string) => readonly Check[]
}

const here = fileURLToPath(new URL('.', import.meta.url))
const scenarios = readdirSync(join(here, 'scenarios')).map(file => basename(file, '.scn'))
const topicOf = (name: string) => name.split('-')[0]
const topics = [...new Set(scenarios.map(topicOf))].sort()

describe('the simulator beside the real kernel', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mmtop-ratchet-'))
  let comparator: Comparator = { compare: () => [] }
  beforeAll(async () => {
    comparator = await import(join(here, 'compare.mjs'))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  it('has a line for every topic', () => {
    expect(Object.keys(HELD).sort()).toEqual(topics)
  })

  for (const topic of topics) {
    it(`holds ${HELD[topic]}% of the checks of ${topic}`, { timeout: 120_000 }, () => {
      const checks = scenarios
        .filter(name => topicOf(name) === topic)
        .flatMap(name => comparator.compare(join(here, 'recordings', `${name}.ndjson.gz`), recorded(name, dir)))
      const percent = (100 * checks.filter(({ ok }) => ok).length) / checks.length
      expect(checks.length).toBeGreaterThan(50)
      expect(percent).toBeGreaterThanOrEqual(HELD[topic])
    })
  }
})

/** The simulator's recording of a scenario, as far as it comes. */
function recorded(name: string, dir: string): string {
  const file = join(here, 'scenarios', `${name}.scn`)
  const out = join(dir, `${name}.ndjson`)
  try {
    recordRaw(parseWorkload(readFileSync(file, 'utf8'), file), {}, line => appendFileSync(out, line))
  } catch (error) {
    appendFileSync(out, `${JSON.stringify({ event: 'warning', text: String(error) })}\n`)
  }
  return out
}
