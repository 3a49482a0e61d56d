/**
 * Walks a source without a screen: which samples a headless command sees, and how it comes to them.
 *
 * A recording is sought: its first sample (the origin of totals), then the last ones before the moment asked for, so
 * that rates and charts have a past. A machine that runs is run up to that moment.
 */
import { feed, type Model, newTracker, type Tracker } from '../sample/model.ts'
import type { Frame, Pace, Source } from '../sample/source.ts'
import { UserError } from '../user_error.ts'

/** Samples before the wanted one that charts show. */
const PAST = 60

/** A sample of the host that comes a little early is the one that is due. */
const ALMOST = 0.9

/** Headless output is the same at any speed, so no model says how fast it came about. */
const NO_PACE: Pace = { paused: false, speed: Number.POSITIVE_INFINITY, ratio: 0, ended: false }

/** What a command wants to see of a source. */
export interface Course {
  /** The first sample wanted is the last one at or before this; undefined: the source's first. */
  readonly atNs: number | undefined
  /** Machine time between two samples wanted; undefined: every sample. */
  readonly everyNs: number | undefined
  /** How many are wanted. */
  readonly count: number
}

/**
 * The models that are wanted, in order; fewer where the source ends before.
 * @param wants files that the next frames should have too
 */
export async function* walk(source: Source, course: Course, wants: (model: Model) => readonly string[]): AsyncGenerator<Model> {
  const tracker = newTracker(source)
  let dueNs = course.atNs ?? Number.NEGATIVE_INFINITY
  let given = 0
  let waiting: Frame | undefined
  const take = async (frame: Frame): Promise<Model> => {
    const model = feed(tracker, await completed(source, tracker, frame, wants), NO_PACE)
    source.watch(wants(model))
    return model
  }
  for await (const frame of framesFrom(source, course.atNs)) {
    if (source.kind === 'host') {
      // Nobody can wait for what comes after the moment: the first sample at or after it that has rates is the one.
      const model = await take(frame)
      if (frame.ns < dueNs || (model.before === undefined && course.atNs !== undefined)) continue
      yield model
      dueNs = frame.ns + (course.everyNs ?? 1) * ALMOST
      if (++given >= course.count) return
      continue
    }
    // The sample before is the one wanted when this one is already past the moment.
    if (waiting !== undefined && frame.ns > dueNs) {
      yield await take(waiting)
      dueNs = course.everyNs === undefined ? Number.NEGATIVE_INFINITY : Math.max(dueNs, waiting.ns) + course.everyNs
      given++
      if (given >= course.count) return
    } else if (waiting !== undefined) {
      source.watch(wants(feed(tracker, waiting, NO_PACE)))
    }
    waiting = frame
  }
  if (waiting === undefined && given === 0) throw new UserError('the source gave no sample')
  if (waiting === undefined) return
  yield await take(waiting)
}

/** The frames that are needed for a model of the moment: the first, those shortly before it, and all after. */
async function* framesFrom(source: Source, atNs: number | undefined): AsyncGenerator<Frame> {
  const first = await source.next()
  if (first === undefined) return
  yield first
  const { transport } = source
  if (transport?.seek !== undefined && atNs !== undefined && atNs > first.ns) {
    const from = await pastFrame(source, transport.seek, atNs)
    if (from !== undefined && from.ns > first.ns) yield from
  }
  for (let frame = await source.next(); frame !== undefined; frame = await source.next()) yield frame
}

/** Seeks to about PAST samples before the moment; the frame there. */
async function pastFrame(source: Source, seek: (ns: number) => void, atNs: number): Promise<Frame | undefined> {
  seek(atNs)
  const wanted = await source.next()
  if (wanted === undefined) return undefined
  seek(wanted.ns - 1)
  const before = await source.next()
  if (before === undefined || before.ns >= wanted.ns) return before
  seek(Math.max(0, wanted.ns - PAST * (wanted.ns - before.ns)))
  return source.next()
}

/** How often what was read may say what else there is to read. */
const ROUNDS = 4

/** The frame with the files that the command wants and that were not watched yet. */
async function completed(source: Source, tracker: Tracker, frame: Frame, wants: (model: Model) => readonly string[]): Promise<Frame> {
  if (source.kind === 'recording') return frame
  const files = new Map(frame.files)
  const tried = new Set<string>()
  // What one file says may be where the next ones are.
  for (let round = 0; round < ROUNDS; round++) {
    const missing = wants(feed(newTracker(tracker.source), { ns: frame.ns, files }, NO_PACE)).filter(
      path => !files.has(path) && !tried.has(path),
    )
    if (missing.length === 0) break
    for (const path of missing) {
      tried.add(path)
      const text = await source.read(path)
      if (text !== undefined) files.set(path, text)
    }
  }
  return { ns: frame.ns, files }
}
