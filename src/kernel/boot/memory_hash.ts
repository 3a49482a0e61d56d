/**
 * Hash tables that the kernel sizes by the machine's memory (alloc_large_system_hash): one bucket for so many bytes, rounded
 * up to a power of two, between limits.
 *
 *     dentry      one bucket per  8 KiB      memory above 64 GiB counts a quarter, above 256 GiB a sixteenth ...
 *     inode                      16 KiB      (of tables without a limit of their own)
 *     IP idents                  64 KiB ...
 *
 * On one node the first two come from memblock and the others from the buddy allocator, in one piece each. With more nodes all of them
 * are vmalloc'ed, page by page from the nodes in turn, so that no node's memory is hotter than another's (hashdist).
 *
 * Source: mm/page_alloc.c (alloc_large_system_hash, calc_memmap_size, free_area_init_core), and the callers: fs/dcache.c, fs/inode.c,
 * fs/namespace.c, kernel/futex/core.c, net/ipv4/route.c, inet_hashtables.c, tcp.c, udp.c, net/mptcp/token.c.
 */
import { alignUp, PAGE_SIZE, pagesFor } from '../base/units.ts'
import { GIB, MIB } from './memory_machine.ts'

export interface HashTable {
  readonly name: string
  readonly bytes: number
  /** Made before the buddy allocator when memory is on one node. */
  readonly early: boolean
}

interface HashRule {
  readonly name: string
  readonly bucketBytes: number
  /** A bucket for 2^scale bytes of memory. */
  readonly scale: number
  readonly atLeast: number
  /** 0: a sixteenth of memory, and the scale grows with memory. */
  readonly atMost: number
  readonly early?: boolean
}

const DENTRY: HashRule = { name: 'Dentry cache', bucketBytes: 8, scale: 13, atLeast: 2, atMost: 0, early: true }
const INODE: HashRule = { name: 'Inode-cache', bucketBytes: 8, scale: 14, atLeast: 2, atMost: 0, early: true }
const TCP_ESTABLISHED: HashRule = { name: 'TCP established', bucketBytes: 8, scale: 17, atLeast: 0, atMost: 512 * 1024 }
const BY_MEMORY: readonly HashRule[] = [
  DENTRY,
  INODE,
  { name: 'Mount-cache', bucketBytes: 8, scale: 19, atLeast: 0, atMost: 0 },
  { name: 'Mountpoint-cache', bucketBytes: 8, scale: 19, atLeast: 0, atMost: 0 },
  { name: 'IP idents', bucketBytes: 8, scale: 16, atLeast: 2048, atMost: 256 * 1024 },
  { name: 'tcp_listen_portaddr_hash', bucketBytes: 16, scale: 21, atLeast: 0, atMost: 64 * 1024 },
  TCP_ESTABLISHED,
  { name: 'MPTCP token', bucketBytes: 24, scale: 20, atLeast: 0, atMost: 64 * 1024 },
  { name: 'UDP', bucketBytes: 32, scale: 21, atLeast: 256, atMost: 64 * 1024 },
  { name: 'UDP-Lite', bucketBytes: 32, scale: 21, atLeast: 256, atMost: 64 * 1024 },
]

const TABLE_PERTURB_BYTES = 65536 * 4
const FUTEX_BUCKETS_PER_CPU = 256
const FUTEX_BUCKET_BYTES = 64
const TCP_BIND_BUCKET_BYTES = 32
const TCP_BIND_AT_MOST = 64 * 1024
const ADAPT_FROM_PAGES = (64 * GIB) / PAGE_SIZE
const ADAPT_FACTOR = 4

export const roundUpToPowerOfTwo = (n: number) => 2 ** Math.ceil(Math.log2(Math.max(1, n)))
const roundDownToPowerOfTwo = (n: number) => 2 ** Math.floor(Math.log2(n))

/** @param kernelPages nr_kernel_pages: present pages less what the page records take. */
function buckets(rule: HashRule, kernelPages: number): number {
  const pages = alignUp(kernelPages, MIB / PAGE_SIZE)
  let scale = rule.scale
  if (rule.atMost === 0) for (let limit = ADAPT_FROM_PAGES; limit < pages; limit *= ADAPT_FACTOR) scale++
  const wanted = Math.floor((pages * PAGE_SIZE) / 2 ** scale)
  const atLeastAPage = wanted * rule.bucketBytes < PAGE_SIZE ? Math.floor(PAGE_SIZE / rule.bucketBytes) : wanted
  const most = rule.atMost === 0 ? Math.floor((kernelPages * PAGE_SIZE) / 16 / rule.bucketBytes) : rule.atMost
  return roundDownToPowerOfTwo(Math.min(Math.max(roundUpToPowerOfTwo(atLeastAPage), rule.atLeast), most))
}

export function hashTables(kernelPages: number, cpus: number): HashTable[] {
  const byMemory = BY_MEMORY.map(rule => ({
    name: rule.name,
    bytes: buckets(rule, kernelPages) * rule.bucketBytes,
    early: rule.early ?? false,
  }))
  const established = buckets(TCP_ESTABLISHED, kernelPages)
  return [
    ...byMemory,
    { name: 'futex', bytes: FUTEX_BUCKETS_PER_CPU * roundUpToPowerOfTwo(cpus) * FUTEX_BUCKET_BYTES, early: false },
    { name: 'Table-perturb', bytes: TABLE_PERTURB_BYTES, early: false },
    { name: 'TCP bind', bytes: Math.min(established, TCP_BIND_AT_MOST) * TCP_BIND_BUCKET_BYTES, early: false },
  ]
}

export const hashPages = (tables: readonly HashTable[]): number => tables.reduce((sum, table) => sum + pagesFor(table.bytes), 0)
