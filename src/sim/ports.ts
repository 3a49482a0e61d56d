/**
 * The files of the simulated machine, as the interpreter asks for them.
 */
import { ENOENT } from '../kernel/base/errno.ts'
import { pagemapCounts } from '../procfs/pagemap_counts.ts'
import { PAGES, pagesText } from '../procfs/pages/files.ts'
import { WORKING_SET, workingSetText, writeWorkingSet } from '../procfs/pages/working_set.ts'
import { procRead, procWrite } from '../procfs/tree.ts'
import type { Ports } from '../workload/interpreter.ts'
import { MIGRATION, readMigrationKnob, writeMigrationKnob } from '../workload/migration_knobs.ts'

export const PORTS: Ports = {
  read: (k, path) => {
    if (path.startsWith(PAGES)) return pagesText(k, path) ?? -ENOENT
    if (path.startsWith(MIGRATION)) return readMigrationKnob(k, path)
    return path === WORKING_SET ? workingSetText(k) : procRead(k, path)
  },
  write: (k, path, text) => {
    if (path.startsWith(MIGRATION)) return writeMigrationKnob(k, path, text)
    return path === WORKING_SET ? writeWorkingSet(k, text) : procWrite(k, k.current, path, text)
  },
  pagemap: (k, task, vpn, pages) => (task.mm === undefined ? {} : pagemapCounts(k, task.mm, vpn, pages)),
}
