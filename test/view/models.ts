/** Models of real machines for the tests of view/. */
import { feed, type Model, newTracker } from '../../src/sample/model.ts'
import type { Frame } from '../../src/sample/source.ts'
import { takeFrame, watchSimulation } from '../../src/sim/frames.ts'
import { runUntil } from '../../src/sim/simulation.ts'
import { parseWorkload } from '../../src/workload/parse.ts'
import { openFixture, PLAYING } from '../fixtures/load.ts'

/** A recording fed up to its `upTo`-th frame from the end. */
export async function modelOf(name: string, upTo = 0): Promise<Model> {
  const recording = await openFixture(name)
  const frames = Array.from({ length: recording.count - upTo }, (_, i) => recording.frame(i))
  return modelFrom(frames, recording)
}

export function modelFrom(frames: readonly Frame[], source: Pick<Model, 'title' | 'tunables'> = { title: 'test', tunables: [] }): Model {
  const tracker = newTracker({ kind: 'recording', title: source.title, tunables: source.tunables })
  const models = frames.map(frame => feed(tracker, frame, PLAYING))
  const last = models.at(-1)
  if (last === undefined) throw new Error('no frames')
  return last
}

/** A simulated machine that watches ages of pages, merges, and moves a process. */
export function migratingModel(): Model {
  const watched = watchSimulation(parseWorkload(WORKLOAD, 'test'), {})
  const first = takeFrame(watched)
  runUntil(watched.sim, 1030e6, () => {})
  return { ...modelFrom([first, takeFrame(watched)], { title: 'test', tunables: watched.tunables }), kind: 'simulation' }
}

const WORKLOAD = `machine mem=128M,128M cpus=2,2 nodes=2
cmdline transparent_hugepage=never
write /mmtop/working_set 100
write /sys/kernel/mm/ksm/run 1
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
