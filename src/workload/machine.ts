/**
 * The machine of a workload's header (or of `--machine`): keys read, gaps filled, and checked to be a machine that can
 * exist, as plain data for boot. Defaults and keys are those of the reference executor, so the same header builds the
 * same machine in QEMU.
 */

import type { Machine } from '../kernel/base/state.ts'
import { MAX_NUMNODES } from '../kernel/base/units.ts'
import { UserError } from '../user_error.ts'
import { fail, part, quoted, readLine, split, type Word } from './lex.ts'
import type { FileSpec, Given, MachineSpec, Program } from './program.ts'
import { between, count, type Decode, integer, oneOf, size, unknown } from './values.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

/** What a machine may be: smaller does not boot, larger is beyond the page numbers of the model. */
const NODE_MIN = 64 * MIB
const MACHINE_MIN = 128 * MIB
const MACHINE_MAX = 4096 * GIB
const LOWMEM_MAX = 4 * GIB
const BANDWIDTH_MIN = GIB
const BANDWIDTH_MAX = 4096 * GIB
const DISK_MAX = 64 * 1024 * GIB
const CPUS_MAX = 1024
const LOCAL_DISTANCE = 10
const REMOTE_DISTANCE = 20
const FARTHEST = 254

const DEFAULT_MEM = 512 * MIB
const DEFAULT_CPUS = 2
const DEFAULT_SEED = 1

/** What the kernel is always started with, before the header's own parameters. */
const BASE_CMDLINE = 'console=ttyS0 quiet panic=-1 rootfstype=ramfs norandmaps nokaslr nowatchdog random.trust_cpu=on raid=noautodetect'

/** The keys of `machine` lines: how the value is written, what it says, what holds without it. */
export const MACHINE_KEYS: Readonly<
  Record<keyof MachineSpec, { readonly usage: string; readonly help: string; readonly default: string }>
> = {
  nodes: { usage: 'N', help: 'NUMA nodes, 1 to 8', default: '1' },
  mem: { usage: 'SIZE,...', help: 'memory of each node', default: '512M each' },
  cpus: { usage: 'N,...', help: 'CPUs of each node, numbered from node 0 on', default: '2 each' },
  distance: { usage: 'N,...', help: 'distances, row by row', default: '10 to itself, 20 to others' },
  bandwidth: { usage: 'SIZE,...', help: 'bytes a second that each node’s memory moves (+)', default: '68.3 GB/s each' },
  swap: { usage: 'SIZE', help: 'a swap disk, switched on before line 1', default: 'none' },
  swapon: { usage: 'yes|no', help: 'no: the swap disk is there but not switched on', default: 'yes' },
  disk: { usage: 'SIZE', help: 'an ext4 disk at /mnt', default: 'none' },
  lowmem: { usage: 'SIZE', help: 'memory below 4 GiB; the rest lies above, in zone Normal', default: 'as much as fits' },
  modules: { usage: 'NAME,...', help: 'kernel modules loaded before line 1', default: 'none' },
}

const listOf =
  <T>(decode: Decode<T>): Decode<readonly T[]> =>
  word =>
    split(word, /,/g).map(decode)

const moduleName: Decode<string> = word =>
  /^[A-Za-z0-9_-]+$/.test(word.text) ? word.text : fail(word, `${quoted(word.text)} is no module's name`)

const given = <T>(word: Word, decode: Decode<T>): Given<T> => ({ value: decode(word), where: word.where })

/** Reads the `key=value` words of one machine line. Keys given twice: the last one holds. */
export function readMachineKeys(words: readonly Word[]): MachineSpec {
  let spec: MachineSpec = {}
  for (const word of words) {
    const equals = word.text.indexOf('=')
    const key = equals < 0 ? word : part(word, 0, equals)
    if (!Object.hasOwn(MACHINE_KEYS, key.text)) unknown(key, 'machine key', Object.keys(MACHINE_KEYS))
    if (equals < 0 || equals === word.text.length - 1) fail(word, `${key.text}= needs a value`)
    spec = { ...spec, ...readKey(key.text, part(word, equals + 1)) }
  }
  return spec
}

/** Reads `--machine 'nodes=2 mem=4G,4G'`: keys that replace those of a workload's header. */
export const parseMachineArgument = (text: string): MachineSpec => readMachineKeys(readLine(text, { file: '--machine', line: 1 }).words)

function readKey(key: string, word: Word): MachineSpec {
  switch (key) {
    case 'nodes':
      return { nodes: given(word, nodeCount) }
    case 'mem':
      return { mem: given(word, listOf(nodeMemory)) }
    case 'cpus':
      return { cpus: given(word, listOf(between(0, CPUS_MAX, count))) }
    case 'distance':
      return { distance: given(word, listOf(integer)) }
    case 'bandwidth':
      return { bandwidth: given(word, listOf(bandwidth)) }
    case 'swap':
      return { swap: given(word, diskSize) }
    case 'swapon':
      return { swapon: given(word, yes => oneOf(['yes', 'no'] as const, 'value')(yes) === 'yes') }
    case 'disk':
      return { disk: given(word, diskSize) }
    case 'lowmem':
      return { lowmem: given(word, lowMemory) }
    default:
      return { modules: given(word, listOf(moduleName)) }
  }
}

const nodeCount: Decode<number> = word => {
  const nodes = count(word)
  return nodes >= 1 && nodes <= MAX_NUMNODES ? nodes : fail(word, `a machine has 1 to ${MAX_NUMNODES} nodes, not ${quoted(word.text)}`)
}

const nodeMemory: Decode<number> = word => {
  const bytes = size(word)
  if (bytes < NODE_MIN || bytes > MACHINE_MAX)
    fail(word, `a node has from ${NODE_MIN / MIB}M to ${MACHINE_MAX / GIB}G of memory, not ${quoted(word.text)}`)
  return bytes % MIB === 0 ? bytes : fail(word, `${quoted(word.text)}: memory comes in whole megabytes`)
}

const bandwidth: Decode<number> = word => {
  const bytes = size(word)
  return bytes >= BANDWIDTH_MIN && bytes <= BANDWIDTH_MAX
    ? bytes
    : fail(word, `memory moves from 1G to 4096G a second, not ${quoted(word.text)}`)
}

const lowMemory: Decode<number> = word => {
  const bytes = size(word)
  if (bytes < MACHINE_MIN || bytes > LOWMEM_MAX)
    fail(word, `memory below 4 GiB is from ${MACHINE_MIN / MIB}M to 4G, not ${quoted(word.text)}`)
  return bytes % MIB === 0 ? bytes : fail(word, `${quoted(word.text)}: memory comes in whole megabytes`)
}

/** 0 is no disk, so that `--machine swap=0` takes away what a header gives. */
const diskSize: Decode<number> = word => {
  const bytes = size(word)
  if (bytes !== 0 && (bytes < MIB || bytes > DISK_MAX)) fail(word, `a disk has from 1M to ${DISK_MAX / GIB}G, not ${quoted(word.text)}`)
  return bytes - (bytes % 4096)
}

/**
 * The machine that a workload asks for.
 * @param override keys that replace the header's (--machine), and a seed that replaces its seed
 * @throws UserError pointing at the key that does not fit
 */
export function machineOf(
  program: Pick<Program, 'machine' | 'cmdline' | 'files' | 'seed'>,
  override: { readonly machine?: MachineSpec; readonly seed?: number } = {},
): Machine {
  const spec: MachineSpec = { ...program.machine, ...override.machine }
  const nodes = spec.nodes?.value ?? 1
  const mem = perNode(spec.mem, 'mem', nodes, DEFAULT_MEM)
  const cpus = perNode(spec.cpus, 'cpus', nodes, DEFAULT_CPUS)
  checkTotals(spec, mem, cpus)
  const diskBytes = spec.disk?.value ?? 0
  checkFiles(program.files, diskBytes)
  const cmdlineText = [BASE_CMDLINE, ...program.cmdline].join(' ')
  return {
    nodes: mem.map((memBytes, node) => ({ memBytes, cpus: cpus[node] })),
    distance: distances(spec.distance, nodes),
    lowmemBytes: spec.lowmem?.value,
    bandwidthBytes: spec.bandwidth && perNode(spec.bandwidth, 'bandwidth', nodes, 0),
    swapBytes: spec.swap?.value ?? 0,
    swapon: spec.swapon?.value ?? true,
    diskBytes,
    modules: spec.modules?.value ?? [],
    files: program.files.map(({ name, bytes }) => ({ path: `/mnt/${name}`, bytes })),
    cmdline: cmdlineText.split(' ').map(parameter),
    cmdlineText,
    seed: override.seed ?? program.seed ?? DEFAULT_SEED,
  }
}

function perNode(list: Given<readonly number[]> | undefined, key: string, nodes: number, missing: number): readonly number[] {
  if (!list) return Array.from({ length: nodes }, () => missing)
  if (list.value.length === nodes) return list.value
  throw new UserError(`${key} lists ${plural(list.value.length, 'value')} for ${plural(nodes, 'node')}`, list.where)
}

const plural = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0)

function checkTotals(spec: MachineSpec, mem: readonly number[], cpus: readonly number[]): void {
  const bytes = sum(mem)
  if (bytes < MACHINE_MIN) throw new UserError(`a machine needs at least ${MACHINE_MIN / MIB}M of memory`, spec.mem?.where)
  if (bytes > MACHINE_MAX) throw new UserError(`a machine has at most ${MACHINE_MAX / GIB}G of memory`, spec.mem?.where)
  if (sum(cpus) === 0) throw new UserError('a machine needs a CPU', spec.cpus?.where)
  if (sum(cpus) > CPUS_MAX) throw new UserError(`a machine has at most ${CPUS_MAX} CPUs`, spec.cpus?.where)
}

/** The matrix, checked as Linux checks a firmware's SLIT, and for symmetry. */
function distances(list: Given<readonly number[]> | undefined, nodes: number): readonly (readonly number[])[] {
  const indices = Array.from({ length: nodes }, (_, node) => node)
  if (!list) return indices.map(from => indices.map(to => (from === to ? LOCAL_DISTANCE : REMOTE_DISTANCE)))
  const { value, where } = list
  if (value.length !== nodes * nodes)
    throw new UserError(`distance lists ${plural(value.length, 'value')}; ${plural(nodes, 'node')} need ${nodes * nodes}`, where)
  const rows = indices.map(from => value.slice(from * nodes, from * nodes + nodes))
  for (const from of indices) {
    for (const to of indices) {
      const distance = rows[from][to]
      const between = `the distance from node ${from} to node ${to}`
      if (from === to && distance !== LOCAL_DISTANCE) throw new UserError(`${between} is ${LOCAL_DISTANCE}, not ${distance}`, where)
      if (from !== to && (distance <= LOCAL_DISTANCE || distance > FARTHEST)) {
        throw new UserError(`${between} is ${distance}: it must be from ${LOCAL_DISTANCE + 1} to ${FARTHEST}`, where)
      }
      if (distance !== rows[to][from]) throw new UserError(`${between} is ${distance}, but ${rows[to][from]} on the way back`, where)
    }
  }
  return rows
}

function checkFiles(files: readonly FileSpec[], diskBytes: number): void {
  let bytes = 0
  for (const file of files) {
    if (diskBytes === 0) throw new UserError(`the file ${quoted(file.name)} needs a disk: disk=SIZE on the machine line`, file.where)
    bytes += file.bytes
    if (bytes > diskBytes) throw new UserError(`the disk is too small for the file ${quoted(file.name)}`, file.where)
  }
}

function parameter(word: string): readonly [key: string, value: string | undefined] {
  const equals = word.indexOf('=')
  return equals < 0 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)]
}
