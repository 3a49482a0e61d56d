/**
 * What `touch`, `check` and `writefile` put into pages and look for, as the kernel's classes of page contents.
 */
import { internContent, ZERO_CONTENT } from '../kernel/base/content.ts'
import type { ContentClass, Kernel } from '../kernel/base/state.ts'
import type { Content } from './program.ts'

/** What tells the bytes of one process' region (or file) from another's. */
export interface Author {
  readonly ordinal: number
  /** The region's name or the file's path, and the op's seed. */
  readonly name: string
  readonly seed: number | undefined
}

/** The number of the class of pages that the content stands for. */
export function contentClass(k: Kernel, { kind, arg }: Content, author: Author): number {
  if (kind === 'zero') return ZERO_CONTENT
  return internContent(k.contents, classOf(kind, arg, author))
}

function classOf(kind: Exclude<Content['kind'], 'zero'>, arg: number, { ordinal, name, seed }: Author): ContentClass {
  const own = `${ordinal}:${seed ?? ''}:${name}`
  switch (kind) {
    case 'const':
      return { kind, key: `const:${arg}`, incompressible: 0, sameFilled: true }
    case 'perproc':
      return { kind, key: `perproc:${ordinal}`, incompressible: 0, sameFilled: true }
    case 'page':
      return { kind, key: 'page', incompressible: 100, sameFilled: false }
    case 'unique':
      return { kind, key: `unique:${own}`, incompressible: 100, sameFilled: false }
    case 'comp':
      if (arg === 0) return { kind: 'const', key: 'const:comp', incompressible: 0, sameFilled: true }
      return { kind, key: `comp:${arg}:${own}`, incompressible: arg, sameFilled: false }
  }
}

/** Whether the first and the last 8 bytes of pages of the class are zeros: what `check` counts as `zero`. */
export function looksZero(k: Kernel, content: number): boolean {
  if (content === ZERO_CONTENT) return true
  const { kind, key } = k.contents.classes[content]
  if (kind !== 'patched' || !key.startsWith('zero+')) return false
  return key
    .slice('zero+'.length)
    .split(',')
    .every(offset => Number(offset) >= 8 && Number(offset) < 4088)
}
