/** The panel of a live migration, before, during and after it, and the threads that wait meanwhile. */
import { describe, expect, it } from 'vitest'
import type { Model } from '../../src/sample/model.ts'
import { takeFrame, watchSimulation } from '../../src/sim/frames.ts'
import { runToEnd, runUntil } from '../../src/sim/simulation.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { VIEWS } from '../../src/view/views.ts'
import { parseWorkload } from '../../src/workload/parse.ts'
import { modelFrom } from './models.ts'

const WORKLOAD = `machine mem=256M cpus=4
cmdline transparent_hugepage=never
spawn from cpu=1
from mmap R 8M
from touch R write content=page
spawn onto cpu=2
onto mmap R 8M
bg from touch R write pattern=random count=100000 rate=20M/s
sleep 50
postcopy from onto R bandwidth=16M/s latency=5ms rounds=2
bg onto touch R read pattern=random count=3000 rate=1M/s
postcopy_join onto
`

function modelAt(ms: number | undefined, workload = WORKLOAD): Model {
  const watched = watchSimulation(parseWorkload(workload, 'test'), {})
  const first = takeFrame(watched)
  if (ms === undefined) runToEnd(watched.sim, () => {})
  else runUntil(watched.sim, ms * 1e6, () => {})
  return modelFrom([first, takeFrame(watched)], { title: 'test', tunables: watched.tunables })
}

function show(name: string, model: Model, width = 80, height = 19): string {
  const view = VIEWS.find(each => each.name === name)
  return view === undefined ? '' : plainLines(view.panel(model, DEFAULT_UI, { width, height }).rows).join('\n')
}

describe('the post-copy panel', () => {
  it('says how to begin one where there is none, and shows the knobs', () => {
    const text = show('postcopy', modelAt(10))
    expect(text).toMatch(/No live migration/)
    expect(text).toMatch(/bandwidth 131072/)
  })

  it('tells rounds of pre-copy, and what each found written to', () => {
    const text = show('postcopy', modelAt(700))
    expect(text).toMatch(/Pre-copy, round 2: from still runs/)
    expect(text).toMatch(/round 1 +2048 sent, \d+ dirty/)
    expect(text).toMatch(/round 2 .* under way/)
    expect(text).toMatch(/rounds 2/)
  })

  it('tells what is missing after the switch, the downtime and how long faults wait; and nothing is cut', () => {
    const text = show('postcopy', modelAt(1030))
    expect(text).toMatch(/Onto runs, \S+ pages still missing there; [\d.]+ms of downtime; \d+ faults? waited/)
    expect(text).toMatch(/below 17ms +[1-9]/)
    expect(text).not.toMatch(/…/)
  })

  it('tells what it came to in the end', () => {
    expect(show('postcopy', modelAt(undefined))).toMatch(/All pages of from are at onto, .* after the beginning/)
  })
})

describe('the userfaultfd panel of a simulated machine', () => {
  it('lists the threads that wait, since when and where, and the latency of those that have waited', () => {
    const workload = `machine mem=128M cpus=2
spawn A
A uffd_open
A mmap R 1M
A uffd_register R missing
A uffd_handler R zeropage
A touch R read 0 64K
A uffd_handler R none
bg A touch R write 64K 4K
sleep 500
`
    const text = show('userfaultfd', modelAt(300, workload), 120, 30)
    expect(text).toMatch(/ A +\d+ms {2}write at 0x200000010000, descriptor \d+\/3/)
    expect(text).toMatch(/ A fd 3 +1 waiting, 0 unread +17 faults, [\d.]+us each, [\d.]+us at most; 16 pages filled/)
  })
})
