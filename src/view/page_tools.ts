/** What `mmtop pages` prints: the kernel's page-types tool's table, and the sizes that its document says how to work out. */
import { PAGE_FLAGS, type PageTypes, type Shares } from '../sample/parse/pages.ts'
import { formatBytes } from './format.ts'
import { fitText } from './width.ts'

const MIB = 2 ** 20
const PAGE = 4096

const isSet = (low: number, high: number, bit: number): boolean => ((bit < 32 ? low : high) & (1 << (bit & 31))) !== 0

/** A letter a flag, "_" where it is not set; and the names of those that are. */
export function flagWords(low: number, high: number): { readonly letters: string; readonly names: string } {
  const known = PAGE_FLAGS.map(([letter, name], bit) => ({ letter, name, set: isSet(low, high, bit) })).filter(({ name }) => name !== '')
  return {
    letters: known.map(({ letter, set }) => (set ? letter : '_')).join(''),
    names: known.flatMap(({ name, set }) => (set ? [name] : [])).join(','),
  }
}

const hex = (low: number, high: number): string =>
  `0x${(high >>> 0).toString(16).padStart(8, '0')}${(low >>> 0).toString(16).padStart(8, '0')}`

const bytes = (n: number): string => fitText(formatBytes(n), 8, 'right')

/** By set of flags, then by area and by owner, then the sizes. */
export function pageTypesLines(types: PageTypes): string[] {
  const flags = types.flags.map(({ low, high, pages }) => {
    const { letters, names } = flagWords(low, high)
    return `${hex(low, high)} ${String(pages).padStart(12)} ${String(Math.floor((pages * PAGE) / MIB)).padStart(8)}  ${letters}  ${names}`
  })
  return [
    `${'flags'.padStart(18)} ${'page-count'.padStart(12)} ${'MB'.padStart(8)}  ${'symbolic-flags'.padEnd(PAGE_FLAGS.filter(([, name]) => name !== '').length)}  long-symbolic-flags`,
    ...flags,
    `${'total'.padStart(18)} ${String(types.pages).padStart(12)} ${String(Math.floor((types.pages * PAGE) / MIB)).padStart(8)}`,
    ...areaLines(types),
    ...ownerLines(types),
    ...(types.pssBytes === 0
      ? []
      : ['', `RSS ${formatBytes(types.rssBytes)}  PSS ${formatBytes(types.pssBytes)}  USS ${formatBytes(types.ussBytes)}`]),
  ]
}

function areaLines({ areas }: PageTypes): string[] {
  if (areas.length === 0) return []
  const head = `${'by mapping'.padEnd(27)} ${'RSS'.padStart(8)} ${'PSS'.padStart(8)} ${'USS'.padStart(8)}  name`
  const address = (vpn: number) => (vpn * PAGE).toString(16).padStart(12, '0')
  return ['', head, ...areas.map(area => `${address(area.start)}-${address(area.end)}   ${sizes(area)}  ${area.name}`)]
}

const sizes = ({ pages, pssBytes, ussBytes }: Shares): string => `${bytes(pages * PAGE)} ${bytes(pssBytes)} ${bytes(ussBytes)}`

function ownerLines({ owners }: PageTypes): string[] {
  if (owners.length === 0) return []
  const head = `${'by owner'.padEnd(27)} ${'RSS'.padStart(8)} ${'PSS'.padStart(8)} ${'USS'.padStart(8)}  name`
  const shown = [...owners].sort((a, b) => b.pages - a.pages)
  const line = (owner: (typeof owners)[number]) => {
    const what = fitText(`${owner.kind} ${owner.id}`, 27)
    return owner.kind === 'cgroup'
      ? `${what} ${bytes(owner.pages * PAGE)} ${' '.repeat(17)}  ${owner.name}`
      : `${what} ${sizes(owner)}  ${owner.name}`
  }
  return ['', head, ...shown.map(line)]
}
