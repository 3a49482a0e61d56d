/**
 * The kinds of kernel objects that the machine has from the start, as /proc/slabinfo lists them: the last one made first.
 *
 *     bytes      room that an object takes, with what lies between two of them     ext4, disk: only there with such a disk
 *     flags      R reclaimable, H aligned to cache lines, U freed after a grace period (RCU)
 *     aliases    other kinds of the same size that share its slabs: some are known by name (ALIASES)
 *     boot       objects that boot made: of the kernel itself, for each CPU, each further node, a disk with ext4
 *
 * A slab is 2^order pages; the order is the smallest one that holds enough objects and wastes little (a sixteenth, then
 * an eighth, then a quarter).
 *
 * Source: mm/slub.c (calculate_order, set_min_partial, set_cpu_partial), mm/slab_common.c (find_mergeable, kmalloc_info); sizes and numbers
 * measured with run-oracle (/proc/slabinfo, /sys/kernel/slab), fitted to nine machines.
 */
import { must } from '../base/assert.ts'
import type { Machine } from '../base/state.ts'
import { MAX_ORDER, PAGE_ALLOC_COSTLY_ORDER, PAGE_SIZE } from '../base/units.ts'

export interface SlabKind {
  readonly name: string
  readonly bytes: number
  /** Of the object itself; `bytes` unless given. */
  readonly objectBytes?: number
  /** 8 unless given. */
  readonly align?: number
  /** Bytes of it that may be copied to and from user space. */
  readonly usersize?: number
  readonly flags?: string
  readonly aliases?: number
  readonly ctor?: string
  readonly boot?: readonly [kernel: number, perCpu: number, perNode: number, ext4: number]
  /** 'use': there as soon as somebody makes an object of it. */
  readonly needs?: 'ext4' | 'disk' | 'use'
}

// biome-ignore format: a row each
const KINDS: readonly SlabKind[] = [
  { name: 'zs_handle', bytes: 8, needs: 'use' },
  { name: 'ext4_groupinfo_4k', bytes: 184, boot: [0, 0, 0, 22], needs: 'ext4' },
  { name: 'ext4_fc_dentry_update', bytes: 96, flags: 'R', needs: 'ext4' },
  { name: 'ext4_inode_cache', bytes: 1192, objectBytes: 1184, usersize: 60, flags: 'R', ctor: 'init_once+0x0/0x70 [ext4]', boot: [0, 0, 0, 13], needs: 'ext4' },
  { name: 'ext4_allocation_context', bytes: 136, flags: 'R', needs: 'ext4' },
  { name: 'ext4_system_zone', bytes: 40, boot: [0, 0, 0, 102], needs: 'ext4' },
  { name: 'ext4_io_end', bytes: 64, flags: 'R', needs: 'ext4' },
  { name: 'ext4_extent_status', bytes: 40, flags: 'R', needs: 'ext4' },
  { name: 'jbd2_journal_handle', bytes: 56, flags: 'R', aliases: 2, needs: 'ext4' },
  { name: 'jbd2_journal_head', bytes: 120, objectBytes: 112, flags: 'RU', needs: 'ext4' },
  { name: 'jbd2_revoke_table_s', bytes: 16, flags: 'R', needs: 'ext4' },
  { name: 'jbd2_revoke_record_s', bytes: 32, align: 32, flags: 'RH', aliases: 1, needs: 'ext4' },
  { name: 'bio-128', bytes: 192, objectBytes: 128, align: 64, flags: 'HU', boot: [0, 0, 0, 21], needs: 'disk' },
  { name: 'fsverity_info', bytes: 256, usersize: 64, flags: 'R' },
  { name: 'fscrypt_info', bytes: 128, flags: 'R' },
  { name: 'MPTCPv6', bytes: 2176, objectBytes: 2112, align: 64, flags: 'HU' },
  { name: 'request_sock_subflow_v6', bytes: 384, objectBytes: 376, flags: 'U' },
  { name: 'ip6-frags', bytes: 184 },
  { name: 'PINGv6', bytes: 1216, objectBytes: 1200, align: 64, flags: 'H' },
  { name: 'RAWv6', bytes: 1216, objectBytes: 1200, align: 64, usersize: 32, flags: 'H', boot: [12, 2, 0, 0] },
  { name: 'UDPv6', bytes: 1344, align: 64, flags: 'H', aliases: 1 },
  { name: 'tw_sock_TCPv6', bytes: 272, objectBytes: 264, flags: 'U' },
  { name: 'request_sock_TCPv6', bytes: 312, objectBytes: 304, flags: 'U' },
  { name: 'TCPv6', bytes: 2496, objectBytes: 2440, align: 64, flags: 'HU' },
  { name: 'mqueue_inode_cache', bytes: 960, objectBytes: 952, align: 64, flags: 'H', ctor: 'init_once+0x0/0x10', boot: [6, 3, 0, 0] },
  { name: 'kioctx', bytes: 576, align: 64, flags: 'H' },
  { name: 'userfaultfd_ctx_cache', bytes: 192, objectBytes: 128, align: 64, flags: 'H', ctor: 'init_once_userfaultfd_ctx+0x0/0x70' },
  { name: 'dnotify_struct', bytes: 32 },
  { name: 'pid_namespace', bytes: 136 },
  { name: 'ip4-frags', bytes: 200 },
  { name: 'MPTCP', bytes: 1984, objectBytes: 1952, align: 64, flags: 'HU' },
  { name: 'request_sock_subflow_v4', bytes: 384, objectBytes: 376, flags: 'U' },
  { name: 'xfrm_dst_cache', bytes: 320, objectBytes: 304, align: 64, flags: 'H' },
  { name: 'xfrm_state', bytes: 768, objectBytes: 736, align: 64, flags: 'H' },
  { name: 'ip_fib_trie', bytes: 48, aliases: 1 },
  { name: 'ip_fib_alias', bytes: 56 },
  { name: 'PING', bytes: 1024, align: 64, flags: 'H', aliases: 2 },
  { name: 'RAW', bytes: 1024, objectBytes: 1000, align: 64, usersize: 4, flags: 'H', boot: [6, 3, 0, 0] },
  { name: 'tw_sock_TCP', bytes: 272, objectBytes: 264, flags: 'U' },
  { name: 'request_sock_TCP', bytes: 312, objectBytes: 304, flags: 'U' },
  { name: 'TCP', bytes: 2304, objectBytes: 2280, align: 64, flags: 'HU' },
  { name: 'hugetlbfs_inode_cache', bytes: 664, objectBytes: 656, ctor: 'init_once+0x0/0x10', boot: [11, 2, 0, 0] },
  { name: 'dquot', bytes: 256, objectBytes: 216, align: 64, flags: 'RH', aliases: 1 },
  { name: 'bio-256', bytes: 320, objectBytes: 256, align: 64, flags: 'HU', boot: [38, 5, 0, 0] },
  { name: 'ep_head', bytes: 16 },
  { name: 'dax_cache', bytes: 832, objectBytes: 776, align: 64, flags: 'RH', ctor: 'init_once+0x0/0x40', boot: [13, 3, 0, 0] },
  { name: 'request_queue_srcu', bytes: 1360 },
  { name: 'request_queue', bytes: 968, boot: [0, 0, 0, 16] },
  { name: 'bio-192', bytes: 256, objectBytes: 192, align: 64, flags: 'HU', boot: [11, 2, 0, 49] },
  { name: 'biovec-max', bytes: 4096, align: 64, flags: 'H', aliases: 1, boot: [48, 0, 0, 0] },
  { name: 'biovec-128', bytes: 2048, align: 64, flags: 'H', aliases: 1, boot: [8, 0, 3, 8] },
  { name: 'biovec-64', bytes: 1024, align: 64, flags: 'H', aliases: 1, boot: [6, 3, 0, 12] },
  { name: 'khugepaged_mm_slot', bytes: 112 },
  { name: 'user_namespace', bytes: 624 },
  { name: 'dmaengine-unmap-256', bytes: 2112, objectBytes: 2080, align: 64, flags: 'H', boot: [15, 0, 0, 0] },
  { name: 'dmaengine-unmap-128', bytes: 1088, objectBytes: 1056, align: 64, flags: 'H', boot: [14, 2, 3, 0] },
  { name: 'sock_inode_cache', bytes: 832, objectBytes: 768, align: 64, flags: 'RH', ctor: 'init_once+0x0/0x10', boot: [0, 25, 0, -12] },
  { name: 'skbuff_ext_cache', bytes: 192, objectBytes: 176, align: 64, flags: 'H', aliases: 6, boot: [29, 2, 0, 0] },
  { name: 'skbuff_fclone_cache', bytes: 512, align: 64, flags: 'H', aliases: 1, boot: [6, 3, 0, 0] },
  { name: 'skbuff_head_cache', bytes: 256, objectBytes: 232, align: 64, usersize: 48, flags: 'H', boot: [0, 16, 0, 0] },
  { name: 'file_lock_cache', bytes: 216 },
  { name: 'buffer_head', bytes: 104, flags: 'R', aliases: 1 },
  { name: 'taskstats', bytes: 416 },
  { name: 'proc_dir_entry', bytes: 192, usersize: 16, boot: [267, 12, 0, 0] },
  { name: 'pde_opener', bytes: 40, boot: [102, 0, 0, 0] },
  { name: 'proc_inode_cache', bytes: 712, objectBytes: 704, flags: 'R', ctor: 'init_once+0x0/0x10', boot: [83, 1, 0, 0] },
  { name: 'seq_file', bytes: 120, boot: [34, 0, 0, 0] },
  { name: 'sigqueue', bytes: 80, aliases: 2 },
  { name: 'bdev_cache', bytes: 1600, objectBytes: 1560, align: 64, flags: 'RH', ctor: 'init_once+0x0/0x20', boot: [10, 0, 3, 20] },
  { name: 'shmem_inode_cache', bytes: 784, objectBytes: 776, ctor: 'shmem_init_inode+0x0/0x20', boot: [108, 2, 8, 0] },
  { name: 'kernfs_iattrs_cache', bytes: 88, aliases: 1 },
  { name: 'kernfs_node_cache', bytes: 128, aliases: 1, boot: [9585, 239, 70, 1729] },
  { name: 'mnt_cache', bytes: 320, align: 64, flags: 'H', boot: [23, 14, 7, 0] },
  { name: 'filp', bytes: 256, align: 64, flags: 'H', aliases: 3, boot: [76, 33, 0, 0] },
  { name: 'inode_cache', bytes: 640, objectBytes: 632, flags: 'R', ctor: 'init_once+0x0/0x10', boot: [9972, 33, 15, 1032] },
  { name: 'dentry', bytes: 192, usersize: 32, flags: 'R', boot: [10132, 32, 24, 1060] },
  { name: 'names_cache', bytes: 4096, align: 64, usersize: 4096, flags: 'H', boot: [2, 7, 0, 0] },
  { name: 'net_namespace', bytes: 4480, align: 64 },
  { name: 'iint_cache', bytes: 128, objectBytes: 120, ctor: 'iint_init_once+0x0/0x40' },
  { name: 'lsm_inode_cache', bytes: 32, aliases: 2, boot: [10162, 89, 0, 1052] },
  { name: 'lsm_file_cache', bytes: 24, aliases: 1, boot: [103, 120, 0, 0] },
  { name: 'uts_namespace', bytes: 432, usersize: 390 },
  { name: 'nsproxy', bytes: 72, aliases: 1, boot: [56, 0, 0, 0] },
  { name: 'vm_area_struct', bytes: 152, boot: [32, 11, 0, 0] },
  { name: 'files_cache', bytes: 704, align: 64, flags: 'H', boot: [35, 4, 0, 0] },
  { name: 'signal_cache', bytes: 1152, align: 64, flags: 'H', aliases: 2, boot: [45, 20, 14, 0] },
  { name: 'sighand_cache', bytes: 2112, objectBytes: 2080, align: 64, flags: 'HU', ctor: 'sighand_ctor+0x0/0x30', boot: [47, 11, 10, 0] },
  { name: 'task_struct', bytes: 8448, objectBytes: 8392, align: 64, usersize: 2696, boot: [50, 10, 9, 7] },
  { name: 'cred_jar', bytes: 192, objectBytes: 184, align: 64, flags: 'H', aliases: 2, boot: [47, 21, 5, 0] },
  { name: 'anon_vma_chain', bytes: 64, aliases: 3, boot: [19, 55, 0, 0] },
  { name: 'anon_vma', bytes: 104, objectBytes: 96, flags: 'U', ctor: 'anon_vma_ctor+0x0/0x40', boot: [47, 16, 0, 0] },
  { name: 'pid', bytes: 128, align: 64, flags: 'H', aliases: 4, boot: [71, 13, 12, 0] },
  { name: 'Acpi-Operand', bytes: 72, aliases: 2, boot: [1612, 11, 45, 0] },
  { name: 'Acpi-State', bytes: 80, aliases: 2, boot: [51, 0, 17, 128] },
  { name: 'shared_policy_node', bytes: 48, aliases: 3, boot: [262, 21, 0, 0] },
  { name: 'numa_policy', bytes: 272, boot: [14, 2, 3, 0] },
  { name: 'perf_event', bytes: 1232, boot: [12, 2, 0, 0] },
  { name: 'trace_event_file', bytes: 96, boot: [1344, 0, 0, 126] },
  { name: 'ftrace_event_field', bytes: 56, aliases: 2, boot: [3285, 0, 24, 584] },
  { name: 'maple_node', bytes: 256, align: 256, aliases: 4, boot: [1, 26, 8, 0] },
  { name: 'radix_tree_node', bytes: 584, objectBytes: 576, flags: 'R', ctor: 'radix_tree_node_ctor+0x0/0x50', boot: [183, 41, 0, 43] },
  { name: 'task_group', bytes: 640, align: 64, aliases: 1 },
  { name: 'mm_struct', bytes: 1152, objectBytes: 1104, align: 64, usersize: 384, flags: 'H', boot: [4, 19, 0, -14] },
  { name: 'vmap_area', bytes: 64, aliases: 7, boot: [75, 70, 138, 0] },
]

type Boot = NonNullable<SlabKind['boot']>

/** Sizes of kmalloc, the largest first. */
const KMALLOC: readonly (readonly [name: string, bytes: number])[] = [
  ['8k', 8192],
  ['4k', 4096],
  ['2k', 2048],
  ['1k', 1024],
  ['512', 512],
  ['256', 256],
  ['192', 192],
  ['128', 128],
  ['96', 96],
  ['64', 64],
  ['32', 32],
  ['16', 16],
  ['8', 8],
]

// biome-ignore format: a number each
const KMALLOC_CG: readonly Boot[] = [
  [0, 0, 0, 2], [16, 3, 0, 0], [21, 4, 4, 0], [3, 8, 4, 13], [0, 20, 0, 0], [0, 16, 0, 0], [36, 12, 0, 0],
  [49, 15, 0, 0], [58, 4, 0, 0], [64, 0, 0, 0], [128, 51, 60, 0], [78, 218, 25, 0], [467, 285, 147, 0],
]

// biome-ignore format: a number each
const KMALLOC_NORMAL: readonly Boot[] = [
  [8, 5, 0, 2], [17, 6, 0, 11], [104, 7, 4, 18], [216, 25, 17, 46], [195, 30, 0, 25], [319, 46, 14, 53], [268, 21, 23, 0],
  [275, 42, 34, 0], [520, 46, 45, 0], [1714, 63, 91, 0], [1241, 121, 278, 0], [612, 178, 71, 0], [1024, 512, 171, 0],
]

function kmalloc(prefix: string, flags: string, boot: (size: number) => Boot | undefined): SlabKind[] {
  return KMALLOC.map(([name, bytes], i) => {
    const made = boot(i)
    const align = (bytes & (bytes - 1)) === 0 ? bytes : 8
    return { name: `${prefix}-${name}`, bytes, align, usersize: bytes, flags, ...(made === undefined ? {} : { boot: made }) }
  })
}

const SIZE_64 = 9

/** Every kind, in the order of /proc/slabinfo. */
export const SLAB_KINDS: readonly SlabKind[] = [
  ...KINDS,
  ...kmalloc('dma-kmalloc', 'D', () => undefined),
  ...kmalloc('kmalloc-rcl', 'R', i => (i === SIZE_64 ? [45, 9, 16, 0] : undefined)),
  ...kmalloc('kmalloc-cg', '', i => KMALLOC_CG[i]),
  ...kmalloc('kmalloc', '', i => KMALLOC_NORMAL[i]),
  { name: 'kmem_cache_node', bytes: 64, align: 64, flags: 'H', boot: [161, 29, 206, 0] },
  { name: 'kmem_cache', bytes: 256, objectBytes: 224, align: 64, flags: 'H', boot: [138, 14, 0, 0] },
]

/** Kinds that have no cache of their own, and whose they share. */
export const ALIASES: Readonly<Record<string, string>> = {
  fs_cache: 'anon_vma_chain',
  ksm_mm_slot: 'shared_policy_node',
  ksm_rmap_item: 'vmap_area',
  ksm_stable_node: 'vmap_area',
  z3fold_handle: 'vmap_area',
  zspage: 'ftrace_event_field',
  zswap_entry: 'vmap_area',
}

const BY_NAME: ReadonlyMap<string, SlabKind> = new Map(SLAB_KINDS.map(kind => [kind.name, kind]))

export const slabKind = (name: string): SlabKind => must(BY_NAME.get(name), `no kind of kernel object is named ${name}`)

export const hasFlag = (kind: SlabKind, flag: 'R' | 'H' | 'U' | 'D'): boolean => kind.flags?.includes(flag) ?? false

const hasExt4 = (machine: Machine) => machine.diskBytes > 0

/** Whether the machine has this kind: not without the disk that wants it. */
export const machineHasKind = (machine: Machine, { needs }: SlabKind): boolean =>
  needs !== 'use' &&
  (needs === undefined || hasExt4(machine) || (needs === 'disk' && (machine.swapBytes > 0 || machine.modules.includes('zram'))))

/** Slabs that boot filled with objects of the kind. */
export function bootSlabs(machine: Machine, cpus: number, { boot, bytes }: SlabKind): number {
  if (boot === undefined) return 0
  const [kernel, perCpu, perNode, ext4] = boot
  const objects = kernel + perCpu * cpus + perNode * (machine.nodes.length - 1) + (hasExt4(machine) ? ext4 : 0)
  return objects === 0 ? 0 : Math.max(1, Math.round(objects / slabObjects(bytes, slabOrder(bytes, cpus))))
}

export const slabObjects = (bytes: number, order: number): number => Math.floor((PAGE_SIZE << order) / bytes)

/** Order of the slabs of objects of that size on a machine with so many CPUs (calculate_order). */
export function slabOrder(bytes: number, cpus: number): number {
  const wanted = 4 * (32 - Math.clz32(cpus) + 1)
  for (let objects = Math.min(wanted, slabObjects(bytes, PAGE_ALLOC_COSTLY_ORDER)); objects > 1; objects--) {
    for (let fraction = 16; fraction >= 4; fraction /= 2) {
      const order = fittingOrder(bytes, objects, fraction)
      if (order <= PAGE_ALLOC_COSTLY_ORDER) return order
    }
  }
  return fittingOrder(bytes, 1, 1)
}

/** The smallest order that holds the objects and leaves at most 1/fraction unused. */
function fittingOrder(bytes: number, objects: number, fraction: number): number {
  let order = 0
  while (PAGE_SIZE << order < objects * bytes) order++
  while (order < MAX_ORDER && (PAGE_SIZE << order) % bytes > (PAGE_SIZE << order) / fraction) order++
  return order
}

/** Slabs with room that a node keeps at least, by object size (set_min_partial). */
export const minPartial = (bytes: number): number => Math.min(10, Math.max(5, Math.floor(Math.log2(bytes) / 2)))

/** Free objects that a CPU keeps in slabs with room, by object size (set_cpu_partial). */
export const cpuPartial = (bytes: number): number => (bytes >= PAGE_SIZE ? 6 : bytes >= 1024 ? 24 : bytes >= 256 ? 52 : 120)
