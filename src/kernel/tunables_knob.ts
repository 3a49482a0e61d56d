/**
 * What a knob is, and the makers of the common kinds.
 *
 * A write goes through the same steps as in Linux: parse, check the range, set, act. Each says itself whether anything comes of it:
 *
 *     works    some room reads the value, or the write does its work at once
 *     idle     nothing in this machine could depend on it, as on a real machine that has no such work to do; `idle` says why
 *
 * Source: kernel/sysctl.c, the stores of mm/huge_memory.c, mm/khugepaged.c, mm/hugetlb.c, mm/ksm.c.
 */
import { EINVAL } from './base/errno.ts'
import { HZ } from './base/jiffies.ts'
import type { Kernel } from './base/state.ts'
import type { Task } from './base/state_mm.ts'
import type { Sysctl } from './base/state_sysctl.ts'
import { INT_MAX, intVector, kstrtouint, kstrtoul, type Scalar, sysfsStreq, ulongText, ulongVector, type Vector } from './tunables_parse.ts'

/** Which of several like files: the placeholders of a path, and who writes. */
export interface At {
  /** Huge page size in kB. */
  readonly size: number
  readonly node: number
  readonly cpu: number
  /** Memory block. */
  readonly block: number
  /** zram device. */
  readonly zram: number
  readonly pid: number
  /** Number of a control group. */
  readonly cgroup: number
  /** undefined: the kernel itself, or someone outside the machine, as root. */
  readonly writer: Task | undefined
}

/** What people read about a knob; the shape that the screens know as a tunable, path apart. */
export interface KnobDoc {
  readonly type: 'integer' | 'choice' | 'vector' | 'trigger' | 'bytes'
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Of a machine just booted; absent where it depends on the machine. */
  readonly default?: string
  readonly unit?: string
  /** One sentence: what changing it does. */
  readonly meaning: string
  /** Kernel function or document. */
  readonly source: string
}

export interface Knob extends KnobDoc {
  /** {size}, {node}, {cpu} and {block} stand for each huge page size, node, CPU and memory block. */
  readonly path: string
  /** Where not every size or CPU has this file. */
  readonly exists?: (k: Kernel, at: At) => boolean
  readonly effect: 'works' | 'idle'
  /** Why an idle knob may be idle. */
  readonly because?: string
  /** The state it sets, as rooms spell it ("sysctl.swappiness"); absent where a write acts at once and leaves nothing. */
  readonly state?: string
  /** The file's text; absent: it cannot be read. */
  readonly read?: (k: Kernel, at: At) => string
  /** Bytes taken, or a negative errno. */
  readonly write: (k: Kernel, text: string, at: At) => number
}

/** How far a knob reaches, for the makers. */
export type Reach = { readonly effect: 'works' } | { readonly effect: 'idle'; readonly because: string }
export const WORKS: Reach = { effect: 'works' }
export const idle = (because: string): Reach => ({ effect: 'idle', because })

type Text = Pick<KnobDoc, 'meaning' | 'source'> & Partial<Pick<KnobDoc, 'unit' | 'default'>>

/** The figures of Sysctl, without its vector. */
type Figure = { readonly [name in keyof Sysctl]: Sysctl[name] extends number ? name : never }[keyof Sysctl]

export interface SysctlOptions {
  readonly reach: Reach
  readonly min?: number
  readonly max?: number
  /** Where the file's name is not the field's. */
  readonly path?: string
  /** Acts on a value that was stored; `old` is the one before. */
  readonly act?: (k: Kernel, old: number) => void
  readonly type?: KnobDoc['type']
}

type Parse = (text: string, min: number | undefined, max: number | undefined) => Vector

function sysctl(field: Figure, parse: Parse, options: SysctlOptions, text: Text): Knob {
  const { reach, min, max, act } = options
  return {
    ...text,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...reach,
    path: options.path ?? `/proc/sys/vm/${field}`,
    type: options.type ?? 'integer',
    state: `sysctl.${field}`,
    read: k => `${numberText(k.sysctl[field])}\n`,
    write: (k, written) => {
      const { error, values, consumed } = parse(written, min, max)
      if (error !== 0) return error
      const old = k.sysctl[field]
      k.sysctl[field] = values[0]
      act?.(k, old)
      return consumed
    },
  }
}

/** A number as the kernel prints an int or an unsigned long. */
export const numberText = (value: number): string => (value < 0 || value <= INT_MAX ? String(value) : ulongText(value))

/** A sysctl of one int (proc_dointvec_minmax). */
export const sysctlInt = (field: Figure, options: SysctlOptions, text: Text): Knob =>
  sysctl(field, (t, min, max) => intVector(t, 1, min, max), options, text)

/** A sysctl of one unsigned long (proc_doulongvec_minmax). */
export const sysctlUlong = (field: Figure, options: SysctlOptions, text: Text): Knob =>
  sysctl(field, (t, min, max) => ulongVector(t, 1, min, max), options, text)

/** A sysctl of seconds that the kernel keeps in ticks, which bounds it (proc_dointvec_jiffies). */
export const sysctlSeconds = (field: Figure, options: SysctlOptions, text: Text): Knob => {
  const most = Math.floor(INT_MAX / HZ)
  const parse = (t: string) => intVector(t, 1, -most, most)
  return sysctl(field, parse, options, { unit: 's', ...text })
}

export interface SysfsOptions {
  readonly path: string
  readonly reach: Reach
  readonly state: string
  readonly get: (k: Kernel, at: At) => number
  readonly set: (k: Kernel, value: number, at: At) => void
  readonly min?: number
  readonly max?: number
  /** Errors of parsing come out as they are; otherwise all are EINVAL. */
  readonly range?: boolean
  /** The kernel keeps an unsigned int, not an unsigned long. */
  readonly uint?: boolean
  readonly act?: (k: Kernel, at: At) => void
}

/** A sysfs file of one number. */
export function sysfsNumber(options: SysfsOptions, text: Text): Knob {
  const { reach, min = 0, max } = options
  return {
    ...text,
    min,
    ...(max === undefined ? {} : { max }),
    ...reach,
    path: options.path,
    type: 'integer',
    state: options.state,
    read: (k, at) => `${numberText(options.get(k, at))}\n`,
    write: (k, written, at) => {
      const parsed = options.uint === true ? kstrtouint(written, 10) : kstrtoul(written, 10)
      const error = scalarError(parsed, min, max, options.range === true)
      if (error < 0) return error
      options.set(k, parsed.value, at)
      options.act?.(k, at)
      return written.length
    },
  }
}

function scalarError({ error, value }: Scalar, min: number, max: number | undefined, asIs: boolean): number {
  if (error < 0) return asIs ? error : -EINVAL
  return value < min || (max !== undefined && value > max) ? -EINVAL : 0
}

export interface ChoiceOptions<W extends string> {
  readonly path: string
  readonly reach: Reach
  readonly state: string
  readonly choices: readonly W[]
  readonly get: (k: Kernel) => W
  readonly set: (k: Kernel, word: W) => void
  readonly act?: (k: Kernel) => void
}

/** A sysfs file that shows all its words with the chosen one in brackets. */
export function sysfsChoice<W extends string>(options: ChoiceOptions<W>, text: Text): Knob {
  const { reach, choices, get } = options
  return {
    ...text,
    ...reach,
    path: options.path,
    type: 'choice',
    choices,
    state: options.state,
    read: k => `${choices.map(word => (word === get(k) ? `[${word}]` : word)).join(' ')}\n`,
    write: (k, written) => {
      const word = choices.find(choice => sysfsStreq(written, choice))
      if (word === undefined) return -EINVAL
      options.set(k, word)
      options.act?.(k)
      return written.length
    },
  }
}
