/** Which folder of src may import which; nothing else may. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  procfs: ['kernel'],
  workload: ['kernel'],
  sim: ['kernel', 'procfs', 'workload', 'sample'],
  sample: [],
  host: ['sample'],
  recording: ['sample'],
  view: ['sample'],
  tui: ['view', 'sample'],
  cli: ['tui', 'view', 'sample', 'sim', 'host', 'recording', 'workload', 'procfs', 'kernel'],
}
