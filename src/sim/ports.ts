/**
 * The files of the simulated machine, as the interpreter asks for them.
 */
import { pagemapCounts } from '../procfs/pagemap_counts.ts'
import { procRead, procWrite } from '../procfs/tree.ts'
import type { Ports } from '../workload/interpreter.ts'

export const PORTS: Ports = {
  read: procRead,
  write: (k, path, text) => procWrite(k, k.current, path, text),
  pagemap: (k, task, vpn, pages) => (task.mm === undefined ? {} : pagemapCounts(k, task.mm, vpn, pages)),
}
