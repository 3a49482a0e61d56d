/**
 * The files of the simulated machine, as the interpreter asks for them.
 */
import { ENOENT } from '../kernel/base/errno.ts'
import { pagemapCounts } from '../procfs/pagemap_counts.ts'
import { PAGES, pagesText } from '../procfs/pages/files.ts'
import { procRead, procWrite } from '../procfs/tree.ts'
import type { Ports } from '../workload/interpreter.ts'

export const PORTS: Ports = {
  read: (k, path) => (path.startsWith(PAGES) ? (pagesText(k, path) ?? -ENOENT) : procRead(k, path)),
  write: (k, path, text) => procWrite(k, k.current, path, text),
  pagemap: (k, task, vpn, pages) => (task.mm === undefined ? {} : pagemapCounts(k, task.mm, vpn, pages)),
}
