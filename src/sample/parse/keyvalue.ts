/**
 * Files of "KEY VALUE" lines: /proc/vmstat, a node's vmstat and numastat, a cgroup's memory.stat and memory.events,
 * zswap's and KSM's files taken together. Which keys exist differs by kernel; each line that holds a number counts.
 */
import { toInteger } from '../text.ts'

/** Every "KEY VALUE" line in its order; other lines are left out. Units are those of the file. */
export function parseKeyValues(text: string): Map<string, number> {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ')
    if (space <= 0) continue
    const value = toInteger(line.slice(space + 1).trim())
    if (value !== undefined) values.set(line.slice(0, space), value)
  }
  return values
}

/**
 * Per-node figures of a cgroup's memory.numa_stat: "anon N0=4096 N1=0".
 * @returns key -> node -> bytes
 */
export function parseNumaStat(text: string): Map<string, Map<number, number>> {
  const rows = new Map<string, Map<number, number>>()
  for (const line of text.split('\n')) {
    const [key, ...cells] = line.split(' ')
    const byNode = new Map<number, number>()
    for (const cell of cells) {
      const match = /^N(\d{1,4})=(\d{1,20})$/.exec(cell)
      if (match !== null) byNode.set(Number(match[1]), Number(match[2]))
    }
    if (key !== '' && byNode.size > 0) rows.set(key, byNode)
  }
  return rows
}

/**
 * Accounts, as of /mmtop/accounts: "101 fault_entry=400 clear_page=900", a line for each who.
 * @returns who -> key -> number
 */
export function parseAccounts(text: string): Map<string, Map<string, number>> {
  const accounts = new Map<string, Map<string, number>>()
  for (const line of text.split('\n')) {
    const [who, ...cells] = line.split(' ')
    const spent = new Map<string, number>()
    for (const cell of cells) {
      const match = /^(\w{1,40})=(\d{1,20})$/.exec(cell)
      if (match !== null) spent.set(match[1], Number(match[2]))
    }
    if (who !== '' && spent.size > 0) accounts.set(who, spent)
  }
  return accounts
}
