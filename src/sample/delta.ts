/**
 * The difference between two Frames, small and exact: what a recording stores and what walking back in time decodes.
 *
 * From one sample to the next a /proc file keeps its lines and a few numbers in them change. So a text's patch names,
 * for each changed line, how much of it stays at both ends:
 *
 *     before  "pgfault 70498"        patch  "3 10 0 512"      3 unchanged lines skipped since the last change,
 *     after   "pgfault 70512"                                 10 characters kept, 0 kept at the end, "512" between
 *
 * A text that gained or lost lines keeps those at both ends ("~FIRST LAST" and the lines between); where neither is
 * shorter, or there was no text before, the patch is the text itself ("=TEXT"); of equal texts it is empty. Patches come back from files that
 * anyone may have written, so applying one checks every number.
 */
import type { Frame } from './source.ts'

export interface FrameDelta {
  readonly ns: number
  /** path -> patch, for files that changed or are new, in the order of the frame */
  readonly changed: ReadonlyMap<string, string>
  readonly gone: readonly string[]
}

/** What turns `before` into `after`. */
export function diffFrames(before: ReadonlyMap<string, string>, after: Frame): FrameDelta {
  const changed = new Map<string, string>()
  let kept = 0
  // Hundreds of files, of which few are different ones: a loop over entries would make a pair of each.
  after.files.forEach((text, path) => {
    const old = before.get(path)
    if (old !== undefined) kept++
    if (old !== text) changed.set(path, diffText(old, text))
  })
  const gone = kept === before.size ? [] : [...before.keys()].filter(path => !after.files.has(path))
  return { ns: after.ns, changed, gone }
}

/**
 * Applies a delta to `files` in place.
 * @returns the path whose patch does not fit, or undefined when all did
 */
export function applyDelta(files: Map<string, string>, delta: FrameDelta): string | undefined {
  for (const path of delta.gone) files.delete(path)
  for (const [path, patch] of delta.changed) {
    const text = applyText(files.get(path), patch)
    if (text === undefined) return path
    files.set(path, text)
  }
  return undefined
}

export function diffText(before: string | undefined, after: string): string {
  const whole = '=' + after
  if (before === undefined) return whole
  const [old, now] = [before.split('\n'), after.split('\n')]
  const patch = old.length === now.length ? diffLines(old, now) : diffEnds(old, now)
  return patch.length < whole.length ? patch : whole
}

function diffLines(old: readonly string[], now: readonly string[]): string {
  const hunks: string[] = []
  let last = -1
  for (let i = 0; i < now.length; i++) {
    if (old[i] === now[i]) continue
    const [head, tail] = commonEnds(old[i], now[i])
    hunks.push(`${i - last - 1} ${head} ${tail} ${now[i].slice(head, now[i].length - tail)}`)
    last = i
  }
  return hunks.join('\n')
}

/** Lengths of the beginning and of the end that two strings (or lists of lines) share without overlap. */
function commonEnds(a: string | readonly string[], b: string | readonly string[]): [number, number] {
  const most = Math.min(a.length, b.length)
  let head = 0
  while (head < most && a[head] === b[head]) head++
  let tail = 0
  while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  return [head, tail]
}

function diffEnds(old: readonly string[], now: readonly string[]): string {
  const [head, tail] = commonEnds(old, now)
  return [`~${head} ${tail}`, ...now.slice(head, now.length - tail)].join('\n')
}

/** The text after the patch, or undefined where the patch does not fit `before`. */
export function applyText(before: string | undefined, patch: string): string | undefined {
  if (patch.startsWith('=')) return patch.slice(1)
  if (before === undefined || patch === '') return before
  const lines = before.split('\n')
  return patch.startsWith('~') ? applyEnds(lines, patch.slice(1).split('\n')) : applyLines(lines, patch.split('\n'))
}

function applyEnds(lines: readonly string[], [counts, ...between]: readonly string[]): string | undefined {
  const match = /^(\d{1,9}) (\d{1,9})$/.exec(counts)
  if (match === null) return undefined
  const [head, tail] = [Number(match[1]), Number(match[2])]
  if (head + tail > lines.length) return undefined
  return [...lines.slice(0, head), ...between, ...lines.slice(lines.length - tail)].join('\n')
}

function applyLines(lines: string[], hunks: readonly string[]): string | undefined {
  let at = -1
  for (const hunk of hunks) {
    const match = /^(\d{1,9}) (\d{1,9}) (\d{1,9}) (.*)$/s.exec(hunk)
    if (match === null) return undefined
    const [skip, head, tail] = [Number(match[1]), Number(match[2]), Number(match[3])]
    at += skip + 1
    const line = lines[at]
    if (line === undefined || head + tail > line.length) return undefined
    lines[at] = line.slice(0, head) + match[4] + line.slice(line.length - tail)
  }
  return lines.join('\n')
}
