/** The language's names of what madvise may be told, by the kernel's numbers. */
// biome-ignore format: ten a row
export const ADVICE_NAMES: readonly string[] = [
  'normal', 'random', 'sequential', 'willneed', 'dontneed', '', '', '', 'free', 'remove',
  'dontfork', 'dofork', 'mergeable', 'unmergeable', 'hugepage', 'nohugepage', 'dontdump', '', 'wipeonfork', 'keeponfork',
  'cold', 'pageout', 'populate_read', 'populate_write', 'dontneed_locked', 'collapse',
]
