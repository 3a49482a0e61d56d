/** Models of real machines for the tests of view/. */
import { feed, type Model, newTracker } from '../../src/sample/model.ts'
import type { Frame } from '../../src/sample/source.ts'
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
