/**
 * Address spaces as pictures: a character a page, areas that touch are parted by a bar, holes are dots.
 *
 *     rr|www..W     two pages read-only, three writable, a hole of two, one writable page that was written
 *
 * r, w, n say read-only, writable, none; a capital letter says that the area has had a page (it has an anon_vma).
 */

import { must } from '../../../src/kernel/base/assert.ts'
import { PROT_READ, PROT_WRITE, VM_READ, VM_WRITE } from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Mm, Task, Vma } from '../../../src/kernel/base/state_mm.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { vmasIn } from '../../../src/kernel/spaces/vma.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'

export const BASE = 0x200000000000
export const PAGE = 4096
const FIRST = BASE / PAGE

export interface Strip {
  readonly k: Kernel
  readonly task: Task
  readonly mm: Mm
  readonly pages: number
}

/** A machine whose first process has `pages` pages of address space to draw in. */
export function strip(pages: number): Strip {
  const k = bootSmall([160])
  const task = runInit(k)
  return { k, task, mm: must(task.mm, 'init has no memory'), pages }
}

export const PROTS: Readonly<Record<string, number>> = { n: 0, r: PROT_READ, w: PROT_READ | PROT_WRITE }
export const protOf = (letter: string): number => must(PROTS[letter.toLowerCase()], `no protection is called ${letter}`)
export const addressOf = (page: number): number => BASE + page * PAGE

interface Part {
  readonly letter: string
  readonly at: number
  readonly n: number
}

/** Makes the address space what the picture shows: areas never touched and not writable first, then touched ones, then the rest. */
export function draw(s: Strip, wanted: string): void {
  sysMunmap(s.k, s.task, BASE, s.pages * PAGE)
  const parts = partsOf(wanted)
  for (const part of parts) if (/[rn]/.test(part.letter)) make(s, part)
  for (const part of parts) if (/[A-Z]/.test(part.letter)) make(s, part)
  for (const part of parts) if (part.letter === 'w') make(s, part)
}

function make({ k, task }: Strip, { letter, at, n }: Part): void {
  mapAnon(k, task, addressOf(at), n * PAGE)
  if (/[A-Z]/.test(letter)) touch(k, task, addressOf(at), PAGE, true)
  if (!/w/i.test(letter)) sysMprotect(k, task, addressOf(at), n * PAGE, protOf(letter))
}

function partsOf(wanted: string): Part[] {
  const parts: Part[] = []
  let at = 0
  for (const run of wanted.match(/\.+|\||([a-zA-Z])\1*/g) ?? []) {
    if (run === '|') continue
    if (!run.startsWith('.')) parts.push({ letter: run.charAt(0), at, n: run.length })
    at += run.length
  }
  return parts
}

const letterOf = (vma: Vma): string => {
  const letter = (vma.flags & VM_WRITE) !== 0 ? 'w' : (vma.flags & VM_READ) !== 0 ? 'r' : 'n'
  return vma.anonVma === 0 ? letter : letter.toUpperCase()
}

/** The picture of the strip as it is. */
export function picture({ mm, pages }: Strip): string {
  let text = ''
  let at = FIRST
  for (const vma of vmasIn(mm, FIRST, FIRST + pages)) {
    if (vma.start === at && at !== FIRST) text += '|'
    text += '.'.repeat(vma.start - at) + letterOf(vma).repeat(vma.end - vma.start)
    at = vma.end
  }
  return text + '.'.repeat(FIRST + pages - at)
}
