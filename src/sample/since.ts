/**
 * Since when a page has been as it is. No kernel keeps that, and sixteen more bytes a page would be a high price: it is known for
 * pages whose story is being watched, from the frames that held it.
 */
import type { Sample } from './sample.ts'

/** A fact of a page's story: the line that tells it, and the frame in which it was first told so. */
interface Fact {
  readonly line: string
  readonly ns: number
  /** The frame before said otherwise; else it may have been so for longer. */
  readonly changed: boolean
}

/** Facts by the path of the story and the word that the line begins with. */
export type Facts = ReadonlyMap<string, Fact>

const keyOf = (path: string, fact: string): string => `${path} ${fact}`

/** The facts of the stories in this frame, with those before it. */
export function noteFacts(before: Facts, { ns, frame: { files }, places }: Pick<Sample, 'ns' | 'frame' | 'places'>): Facts {
  const facts = new Map<string, Fact>()
  for (const path of places().stories) {
    for (const line of (files.get(path) ?? '').split('\n')) {
      const key = keyOf(path, line.split(' ')[0])
      const old = before.get(key)
      facts.set(key, old?.line === line ? old : { line, ns, changed: old !== undefined })
    }
  }
  return facts
}

/** Since when a fact has been told as it is, and whether it was seen to begin then. */
export function factSince(facts: Facts, path: string, fact: string): { readonly ns: number; readonly changed: boolean } | undefined {
  return facts.get(keyOf(path, fact))
}
