/**
 * The order in which other nodes help out a node that has no memory left: nearest first.
 *
 * Source: mm/page_alloc.c find_next_best_node, build_zonelists.
 */

/** Nodes with CPUs are a little farther than their distance says, for their CPUs want their memory themselves. */
const PENALTY_FOR_NODE_WITH_CPUS = 1
const MAX_NUMNODES_OF_KERNEL = 1024

/**
 * @param load how many nodes already prefer each node among equals; raised for those this node would prefer.
 * @returns node numbers, `node` itself first (also when it has no memory).
 */
export function listNodes(
  node: number,
  distance: readonly (readonly number[])[],
  hasMemory: readonly boolean[],
  hasCpus: readonly boolean[],
  load: number[],
): number[] {
  const order = [node]
  let previous = node
  for (;;) {
    const next = nextBestNode(node, order, distance, hasMemory, hasCpus, load)
    if (next < 0) return order
    if (distance[node][next] !== distance[node][previous]) load[next]++
    order.push(next)
    previous = next
  }
}

function nextBestNode(
  node: number,
  used: readonly number[],
  distance: readonly (readonly number[])[],
  hasMemory: readonly boolean[],
  hasCpus: readonly boolean[],
  load: readonly number[],
): number {
  let best = -1
  let bestValue = Number.POSITIVE_INFINITY
  for (let n = 0; n < distance.length; n++) {
    if (used.includes(n) || !hasMemory[n]) continue
    const far = distance[node][n] + (n < node ? 1 : 0) + (hasCpus[n] ? PENALTY_FOR_NODE_WITH_CPUS : 0)
    const value = far * MAX_NUMNODES_OF_KERNEL + load[n]
    if (value < bestValue) {
      bestValue = value
      best = n
    }
  }
  return best
}
