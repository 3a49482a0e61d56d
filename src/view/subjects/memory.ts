/** Where all memory is, in parts that add up to the whole. */
import type { Model } from '../../sample/model.ts'

export interface MemoryPart {
  readonly name: string
  readonly bytes: number
  /** The scalar it mostly is. */
  readonly about: string
}

/**
 * Parts that do not overlap: `other` is what is left (kernel text and data, vmalloc, network buffers ... and pages of the
 * swap cache that nobody maps). `free` is last.
 */
export function memoryParts(model: Model): { readonly parts: readonly MemoryPart[]; readonly totalBytes: number } {
  const bytes = (key: string) => model.scalars.get(key) ?? 0
  const totalBytes = bytes('MemTotal')
  const shmem = bytes('Shmem')
  const used: MemoryPart[] = [
    { name: 'anon', bytes: bytes('AnonPages'), about: 'AnonPages' },
    { name: 'file', bytes: Math.max(0, bytes('Cached') + bytes('Buffers') - shmem), about: 'Cached' },
    { name: 'shmem', bytes: shmem, about: 'Shmem' },
    { name: 'kernel', bytes: bytes('Slab') + bytes('KernelStack') + bytes('PageTables') + bytes('Percpu'), about: 'Slab' },
    { name: 'huge', bytes: hugetlbBytes(model), about: 'Hugetlb' },
  ]
  const free = bytes('MemFree')
  const known = used.reduce((sum, part) => sum + part.bytes, free)
  const other = { name: 'other', bytes: Math.max(0, totalBytes - known), about: 'MemTotal' }
  return { parts: [...used, other, { name: 'free', bytes: free, about: 'MemFree' }], totalBytes }
}

/** Memory in huge page pools; before 4.20 meminfo had no line for it. */
function hugetlbBytes(model: Model): number {
  const pools = model.sample.pools().filter(pool => pool.node === undefined)
  return model.scalars.get('Hugetlb') ?? pools.reduce((sum, pool) => sum + (pool.pages.get('nr_hugepages') ?? 0) * pool.sizeKb * 1024, 0)
}
