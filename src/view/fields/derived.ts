/**
 * Figures of the screens that no file has as they stand: made of others, or of lines that each group, page or lock has. The help of what is made
 * of others says how.
 */
import type { Field, Unit } from './field.ts'
import { UNIT_WIDTH } from './field.ts'

type DerivedRow = readonly [key: string, unit: Unit, help: string, source: string, kernel: string]

const GROUP = '/sys/fs/cgroup/GROUP/'
const STAT = `${GROUP}memory.stat`
const BUDDY = '/proc/buddyinfo'
const SHOW_STAT = 'mm/memcontrol.c memory_stat_format'
const POSTCOPY = '/mmtop/postcopy'
const UFFD = '/mmtop/userfaultfd'
const LOCKS = '/mmtop/locks'

/** Lines of a group's memory.stat that count bytes; its other lines are events, which /proc/vmstat has for the whole machine. */
const STAT_BYTES: readonly (readonly [name: string, help: string])[] = [
  ['anon', 'Anonymous memory of the group'],
  ['file', 'Page cache that the group brought in, shared memory included'],
  ['kernel', 'Memory that the kernel has on behalf of the group'],
  ['kernel_stack', 'Stacks that tasks of the group have in the kernel'],
  ['pagetables', 'Page tables of processes of the group'],
  ['sec_pagetables', 'Page tables of devices and guests'],
  ['percpu', 'Objects that the kernel has once for each CPU'],
  ['sock', 'Buffers of network connections'],
  ['vmalloc', 'Memory that the kernel mapped for the group'],
  ['shmem', 'Shared memory and tmpfs'],
  ['zswap', 'What the compressed swap of the group takes'],
  ['zswapped', 'What it was before it was compressed'],
  ['file_mapped', 'Page cache that processes have mapped'],
  ['file_dirty', 'Page cache that has to be written'],
  ['file_writeback', 'Page cache that is being written'],
  ['swapcached', 'Memory that is in swap as well'],
  ['anon_thp', 'Anonymous memory in huge pages'],
  ['file_thp', 'Page cache in huge pages'],
  ['shmem_thp', 'Shared memory in huge pages'],
  ['inactive_anon', 'Anonymous memory that was not used of late'],
  ['active_anon', 'Anonymous memory in use'],
  ['inactive_file', 'Page cache that was not used of late'],
  ['active_file', 'Page cache in use'],
  ['unevictable', 'Memory that reclaim may not take: locked, or secret'],
  ['slab_reclaimable', 'Kernel objects that reclaim can take: names and inodes'],
  ['slab_unreclaimable', 'Kernel objects that reclaim cannot take'],
  ['slab', 'Kernel objects of both kinds'],
]

/** Lines of a group's memory.events. */
const EVENTS: readonly (readonly [name: string, help: string])[] = [
  ['low', 'Times the group was reclaimed although it was below memory.low'],
  ['high', 'Times its tasks were slowed down above memory.high'],
  ['max', 'Times it was about to go beyond memory.max'],
  ['oom', 'Times it was at its limit and reclaim found nothing more'],
  ['oom_kill', 'Processes of the group that the OOM killer ended'],
  ['oom_group_kill', 'Times the whole group was ended'],
]

// biome-ignore format: one line a figure
const ROWS: readonly DerivedRow[] = [
  ...STAT_BYTES.map(([name, help]): DerivedRow => [`memory.stat ${name}`, 'bytes', help, `${STAT} ${name}`, SHOW_STAT]),
  ...EVENTS.map(([name, help]): DerivedRow => [`memory.events ${name}`, 'count', help, `${GROUP}memory.events ${name}`, 'mm/memcontrol.c __memory_events_show']),
  ['memory.stat pgscan', 'count', 'Pages of the group that reclaim looked at: by kswapd and by those who needed memory', `${STAT} pgscan`, SHOW_STAT],
  ['memory.stat pgsteal', 'count', 'Pages of the group that reclaim took: by kswapd and by those who needed memory', `${STAT} pgsteal`, SHOW_STAT],
  ['pace', 'count', 'Machine time in a second on the wall: as asked for, and in brackets as it is', 'the source', ''],
  ['machine_time', 'ns', 'Time of the machine since it was started, or since watching began', 'the source', ''],
  ['free_huge_bytes', 'bytes', 'Free memory in blocks of 2 MiB and more: blocks of each order x 2^order pages, added up', BUDDY, 'mm/vmstat.c frag_show_print'],
  ['unusable_percent', 'percent', 'Share of free memory in blocks smaller than a huge page: 1 - (pages in blocks of order 9 and more / free pages)', BUDDY, 'mm/vmstat.c unusable_show'],
  ['page_blocks', 'count', 'Page blocks of 2 MiB that are set aside for this kind of allocation', '/proc/pagetypeinfo', 'mm/vmstat.c pagetypeinfo_showblockcount'],
  ['node_distance', 'count', 'How far memory of one node is from CPUs of another; 10 is at home', '/sys/devices/system/node/nodeN/distance', 'drivers/base/node.c node_read_distance'],
  ['lru_bytes', 'bytes', 'What is on all lists that reclaim looks at: active, inactive and unevictable pages added up', '/proc/zoneinfo', 'mm/vmstat.c zoneinfo_show_print'],
  ['ksm_sharing_to_shared', 'count', 'pages_sharing / pages_shared: how many pages each merged page stands for beyond itself', '/sys/kernel/mm/ksm/', 'mm/ksm.c stable_tree_append'],
  ['ksm_unshared_to_sharing', 'count', 'pages_unshared / pages_sharing: pages looked at in vain for each that is saved', '/sys/kernel/mm/ksm/', 'mm/ksm.c unstable_tree_search_insert'],
  ['lock_contended', 'count', 'Times a CPU found the lock taken', LOCKS, ''],
  ['lock_waited_ns', 'ns', 'Time that CPUs waited for the lock, all together', LOCKS, ''],
  ['postcopy_there_percent', 'percent', 'Pages sent of all pages; after the switch, of those sent and those still missing', POSTCOPY, ''],
  ['postcopy_waits', 'count', 'Faults of the target that waited less than this, and not less than half of it', POSTCOPY, ''],
  ['postcopy_round_sent', 'pages', 'Pages that this round of pre-copy sent', POSTCOPY, ''],
  ['postcopy_round_dirty', 'pages', 'Pages that were written to while the round sent them: to be sent again', POSTCOPY, ''],
  ['uffd_waiting', 'count', 'Faults that wait for the handler of this descriptor, and those of them that it has not read yet', '/proc/PID/fdinfo/FD', 'fs/userfaultfd.c userfaultfd_show_fdinfo'],
  ['uffd_served', 'count', 'What came to pass at this descriptor: faults, how long each waited (waited_ns / woken), pages filled, events', UFFD, 'fs/userfaultfd.c handle_userfault'],
  ['uffd_thread_ns', 'ns', 'How long this thread has waited for its fault to be handled', '/mmtop/waiting', 'fs/userfaultfd.c handle_userfault'],
  ['damon_daemon', 'text', 'The process of the monitor, and what it looks at', '/sys/kernel/mm/damon/admin', 'mm/damon/sysfs.c'],
  ['area_pages', 'pages', 'Pages of the area of which this holds; each cell stands for several, the darker the more', '/proc/PID/pagemap, /proc/kpageflags', 'fs/proc/task_mmu.c pagemap_read'],
  ['page_fact', 'text', 'What is known of this page frame', '/mmtop/pages/frame', 'fs/proc/page.c stable_page_flags'],
  ['idle_bytes', 'bytes', 'Memory by the rounds in which it was not used', '/mmtop/working_set', 'mm/page_idle.c page_idle_bitmap_read'],
]

const toField = ([key, unit, help, source, kernel]: DerivedRow): Field => ({
  key,
  title: key,
  unit,
  width: UNIT_WIDTH[unit],
  kind: 'gauge',
  group: 'derived',
  help,
  source,
  kernel,
})

/** By the names that spans carry. */
export const DERIVED: ReadonlyMap<string, Field> = new Map(ROWS.map((row): [string, Field] => [row[0], toField(row)]))
