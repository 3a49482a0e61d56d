/**
 * The published timings that the cost model is held against: how long it takes to read, write or populate every page of a mapping, as
 * measured by the author of MADV_POPULATE_READ and MADV_POPULATE_WRITE on a 2.5 GHz Xeon with kernel 5.12, the best of ten runs.
 *
 * Source: the commit that introduced them, mm/madvise: introduce MADV_POPULATE_(READ|WRITE) to prefault page tables (5.14).
 */

export const ACCESSES = [
  ...(['Read', 'Write', 'Read/Write', 'POPULATE_READ', 'POPULATE_WRITE', 'FALLOCATE', 'FALLOCATE+Read', 'FALLOCATE+Write'] as const),
  ...(['FALLOCATE+Read/Write', 'FALLOCATE+POPULATE_READ', 'FALLOCATE+POPULATE_WRITE'] as const),
] as const
export type Access = (typeof ACCESSES)[number]
export type Mapping = 'private' | 'shared'
export type Memory = 'Anon 4 KiB' | 'Anon 2 MiB' | 'Memfd 4 KiB' | 'Memfd 2 MiB' | 'tmpfs' | 'file' | 'hugetlbfs'

/** Size in MiB, mapping, memory, and the microseconds of each access in the order of ACCESSES; without a file only the first five. */
export type Row = readonly [sizeMib: number, mapping: Mapping, memory: Memory, us: readonly number[]]

export const PUBLISHED: readonly Row[] = [
  [2, 'private', 'Anon 4 KiB', [119, 222, 380, 60, 158]],
  [2, 'private', 'Memfd 4 KiB', [34, 310, 362, 39, 229]],
  [2, 'private', 'Memfd 2 MiB', [30, 30, 30, 30, 30]],
  [2, 'private', 'tmpfs', [33, 313, 406, 39, 285]],
  [2, 'private', 'file', [33, 351, 408, 39, 290]],
  [2, 'private', 'hugetlbfs', [30, 30, 30, 30, 30]],
  [4096, 'private', 'Anon 4 KiB', [237940, 708409, 1054041, 124310, 572582]],
  [4096, 'private', 'Memfd 4 KiB', [136928, 963898, 1106561, 78450, 805881]],
  [4096, 'private', 'Memfd 2 MiB', [357116, 357210, 357606, 356094, 356937]],
  [4096, 'private', 'tmpfs', [137536, 954362, 1105954, 80289, 822826]],
  [4096, 'private', 'file', [137874, 987025, 1107439, 80413, 857622]],
  [4096, 'private', 'hugetlbfs', [355607, 355729, 356127, 354585, 355138]],
  [2, 'shared', 'Anon 4 KiB', [394, 348, 400, 326, 273]],
  [2, 'shared', 'Anon 2 MiB', [30, 30, 30, 30, 30]],
  [2, 'shared', 'Memfd 4 KiB', [412, 372, 419, 343, 288, 137, 446, 330, 454, 379, 268]],
  [2, 'shared', 'Memfd 2 MiB', [30, 30, 30, 30, 30, 30, 31, 31, 31, 30, 30]],
  [2, 'shared', 'tmpfs', [416, 369, 425, 346, 295, 139, 447, 333, 454, 380, 272]],
  [2, 'shared', 'file', [191, 511, 524, 196, 434, 4, 197, 554, 480, 201, 381]],
  [2, 'shared', 'hugetlbfs', [30, 30, 30, 30, 30, 30, 31, 31, 30, 30, 30]],
  [4096, 'shared', 'Anon 4 KiB', [1053090, 913642, 1060350, 893691, 782885]],
  [4096, 'shared', 'Anon 2 MiB', [358553, 358419, 357992, 357533, 357808]],
  [4096, 'shared', 'Memfd 4 KiB', [1078144, 942036, 1100391, 925829, 804394, 304632, 1163359, 933186, 1187304, 1013660, 794560]],
  [4096, 'shared', 'Memfd 2 MiB', [358131, 358099, 358250, 357563, 357334, 356735, 358152, 358331, 358018, 357286, 357523]],
  [4096, 'shared', 'tmpfs', [1087265, 950840, 1107567, 922605, 810094, 306320, 1169796, 933730, 1191610, 1020474, 798945]],
  [4096, 'shared', 'file', [654101, 1259142, 1289509, 661642, 1106816, 1864, 656328, 1153300, 1180613, 668347, 996143]],
  [4096, 'shared', 'hugetlbfs', [357245, 357413, 357120, 356321, 356693, 355927, 357074, 357120, 356983, 356413, 356266]],
]
