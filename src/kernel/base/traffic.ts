/**
 * What it costs more to use memory that is far away, or that many use at once.
 *
 *     CPU of node 0 ── 10 ──> memory of node 0        as the cost model has it
 *                   ── 21 ──> memory of node 1        2.1 times as long: firmware's distances are relative latencies
 *
 * A node's memory moves so many bytes a second at most: what the machine line's `bandwidth=` says, as firmware tells it in the HMAT, else
 * what the vendor specifies for the processors that the cost model's figures come from (four channels of DDR4-2133 a socket). Each CPU
 * notes, a millisecond of its time after the other, how many bytes it wanted of each node; where the wishes of the CPUs that were busy
 * lately come to more than that, everybody's accesses there take longer in proportion, so that together they get what there is.
 *
 * Counted is what misses the processor's cache: lines that programs touch, pages that the kernel clears or copies. Machines of one node
 * and few CPUs cannot meet either limit and count nothing.
 */
import type { Kernel, Machine } from './state.ts'
import type { Traffic } from './state_numa.ts'
import { MAX_NR_ZONES, PAGEBLOCK_ORDER } from './units.ts'

/** 4 channels x 8 bytes x 2133 million transfers a second: "max memory bandwidth 68 GB/s" in the data sheets of the Xeon E5 v3. */
const NODE_BYTES_PER_SECOND = 68.3e9
/** What one CPU moves at most. */
const CPU_BYTES_PER_NS = 12
const LOCAL_DISTANCE = 10
/** A CPU's wishes are worked out so often, and forgotten when it has been quiet for so long. */
const WINDOW_NS = 1e6
const FORGET_NS = 200e6
/** What one access of a program moves: a cache line. */
export const LINE_BYTES = 64

export function trafficOf({ nodes, distance, bandwidthBytes }: Machine): Traffic {
  const cpus = nodes.reduce((sum, node) => sum + node.cpus, 0)
  const pairs = nodes.length * nodes.length
  const limit = Float64Array.from(nodes, (_, node) => (bandwidthBytes?.[node] ?? NODE_BYTES_PER_SECOND) / 1e9)
  return {
    on: nodes.length > 1 || cpus * CPU_BYTES_PER_NS > limit[0],
    limit,
    bytes: new Float64Array(pairs),
    far: Float64Array.from({ length: pairs }, (_, i) => distance[Math.floor(i / nodes.length)][i % nodes.length] / LOCAL_DISTANCE - 1),
    slow: new Float64Array(nodes.length),
    window: new Float64Array(cpus * nodes.length),
    wanted: new Float64Array(cpus * nodes.length),
    startNs: new Float64Array(cpus),
    waitedNs: new Float64Array(cpus),
  }
}

/**
 * The CPU that runs now moves bytes from or to a page's memory, which takes `ns` where it is near and nobody else uses it.
 * @returns how much longer it takes, in nanoseconds
 */
export function trafficNs(k: Kernel, pfn: number, bytes: number, ns: number): number {
  const { traffic, cpu } = k
  const nodes = k.nodes.length
  const node = (k.blockZone[pfn >>> PAGEBLOCK_ORDER] / MAX_NR_ZONES) | 0
  if (node >= nodes) return 0
  const pair = k.cpus[cpu].node * nodes + node
  traffic.bytes[pair] += bytes
  traffic.window[cpu * nodes + node] += bytes
  traffic.waitedNs[cpu] += ns * traffic.slow[node]
  const longer = ns * (traffic.far[pair] + traffic.slow[node])
  if (k.clock[0] - traffic.startNs[cpu] >= WINDOW_NS) endWindow(k, cpu)
  return longer
}

/** Works out what the CPU wanted of each node, and what all together want. */
function endWindow(k: Kernel, cpu: number): void {
  const { traffic } = k
  const nodes = k.nodes.length
  const tookNs = Math.max(1, k.clock[0] - traffic.startNs[cpu] - traffic.waitedNs[cpu])
  for (let node = 0; node < nodes; node++) {
    traffic.wanted[cpu * nodes + node] = traffic.window[cpu * nodes + node] / tookNs
    traffic.window[cpu * nodes + node] = 0
  }
  traffic.startNs[cpu] = k.clock[0]
  traffic.waitedNs[cpu] = 0
  for (let node = 0; node < nodes; node++) {
    let wanted = 0
    for (let each = 0; each < k.cpus.length; each++)
      if (Math.abs(traffic.startNs[each] - k.clock[0]) < FORGET_NS) wanted += traffic.wanted[each * nodes + node]
    traffic.slow[node] = Math.max(0, wanted / traffic.limit[node] - 1)
  }
}

/** What this CPU's node has moved so far, by node of the memory. */
export function markTraffic(k: Kernel, mark: Float64Array): void {
  const row = k.cpus[k.cpu].node * k.nodes.length
  for (let node = 0; node < mark.length; node++) mark[node] = k.traffic.bytes[row + node]
}

/** Adds what this CPU's node has moved since `mark` was taken to `sums`, by node of the memory. */
export function addTraffic(k: Kernel, mark: Float64Array, sums: Float64Array): void {
  const row = k.cpus[k.cpu].node * k.nodes.length
  for (let node = 0; node < sums.length; node++) sums[node] += k.traffic.bytes[row + node] - mark[node]
}

/** Counts traffic that is like some before, `times` as much; its time is charged by the caller. */
export function repeatTraffic(k: Kernel, bytes: Float64Array, times: number): void {
  const row = k.cpus[k.cpu].node * k.nodes.length
  for (let node = 0; node < bytes.length; node++) k.traffic.bytes[row + node] += bytes[node] * times
}
