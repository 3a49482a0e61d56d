/**
 * /proc/slabinfo (version 2.1): one line a cache.
 *
 *   name  active_objs num_objs objsize objperslab pagesperslab : tunables l b s : slabdata active_slabs num_slabs shared
 */
import { toInteger, words } from '../text.ts'

export interface Slab {
  readonly name: string
  readonly activeObjects: number
  readonly objects: number
  readonly objectSizeBytes: number
  readonly objectsPerSlab: number
  readonly pagesPerSlab: number
  readonly activeSlabs: number
  readonly slabs: number
}

export function parseSlabinfo(text: string): Slab[] {
  return text.split('\n').flatMap(line => {
    if (line.startsWith('#') || line.startsWith('slabinfo')) return []
    const [head, , slabdata] = line.split(' : ')
    const [name, ...numbers] = words(head ?? '')
    const [activeObjects, objects, objectSizeBytes, objectsPerSlab, pagesPerSlab] = numbers.map(toInteger)
    const [, activeSlabs, slabs] = words(slabdata ?? '').map(toInteger)
    if (name === undefined || activeObjects === undefined || objects === undefined || objectSizeBytes === undefined) return []
    return [
      {
        name,
        activeObjects,
        objects,
        objectSizeBytes,
        objectsPerSlab: objectsPerSlab ?? 0,
        pagesPerSlab: pagesPerSlab ?? 0,
        activeSlabs: activeSlabs ?? 0,
        slabs: slabs ?? 0,
      },
    ]
  })
}
