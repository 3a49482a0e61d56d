/** System V shared memory: segments by key, attached by processes, of small or huge pages. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, EPERM } from '../../../src/kernel/base/errno.ts'
import {
  IPC_CREAT,
  IPC_EXCL,
  IPC_PRIVATE,
  SHM_HUGETLB,
  SHM_RDONLY,
  sysShmat,
  sysShmdt,
  sysShmget,
  sysShmRemove,
} from '../../../src/kernel/calls/shm.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { child, HUGE, type Lab, labOf, pool } from '../hugetlb/lab.ts'
import { touch } from '../machine.ts'

let lab: Lab

beforeEach(() => {
  lab = labOf(8)
})

afterEach(() => {
  expect(verify(lab.k)).toEqual([])
})

const MIB = 2 ** 20
const get = ({ k, task }: Lab, key: number, bytes: number, flags: number) => sysShmget(k, task, key, bytes, flags | 0o600)
const attach = ({ k, task }: Lab, id: number, flags = 0) => sysShmat(k, task, id, 0, flags)

describe('a segment', () => {
  it('is found by its key, by who may', () => {
    expect(get(lab, 7, MIB, 0)).toBe(-ENOENT)
    const id = get(lab, 7, MIB, IPC_CREAT)
    expect(get(lab, 7, MIB, IPC_CREAT)).toBe(id)
    expect(get(lab, 7, MIB, IPC_CREAT | IPC_EXCL)).toBe(-EEXIST)
    expect(get(lab, 7, 2 * MIB, 0)).toBe(-EINVAL)
    expect(get(lab, IPC_PRIVATE, MIB, 0)).not.toBe(id)
    lab.task.uid = 1000
    expect(get(lab, 7, MIB, 0)).toBe(-EACCES)
    expect(attach(lab, id)).toBe(-EACCES)
  })

  it('is the same memory for all, and outlives its key while it is attached', () => {
    const id = get(lab, 7, MIB, IPC_CREAT)
    const at = attach(lab, id)
    expect(touch(lab.k, lab.task, at, MIB, true)).toBe(256)
    const other = child(lab)
    sysShmRemove(lab.k, lab.task, id)
    expect(get(lab, 7, MIB, 0)).toBe(-ENOENT)
    expect(attach(other, id)).toBeGreaterThan(at - 2 ** 40)
    expect(sysShmdt(lab.k, lab.task, at)).toBe(0)
    expect(sysShmdt(lab.k, lab.task, at)).toBe(-EINVAL)
    expect(touch(lab.k, other.task, at, MIB, false)).toBe(256)
  })

  it('attached to be read is not written', () => {
    const at = attach(lab, get(lab, 7, MIB, IPC_CREAT), SHM_RDONLY)
    expect(touch(lab.k, lab.task, at, MIB, true)).toBe(0)
    expect(touch(lab.k, lab.task, at, MIB, false)).toBe(256)
  })
})

describe('a segment of huge pages', () => {
  it('is promised its pages when it is made, and gives them back when it goes', () => {
    const id = get(lab, 7, 3 * HUGE, IPC_CREAT | SHM_HUGETLB)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 3, surp: 0 })
    const at = attach(lab, id)
    touch(lab.k, lab.task, at, HUGE, true)
    expect(pool(lab)).toEqual({ total: 8, free: 7, rsvd: 2, surp: 0 })
    sysShmRemove(lab.k, lab.task, id)
    expect(pool(lab).free).toBe(7)
    sysShmdt(lab.k, lab.task, at)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })

  it('is refused where the pool is too small', () => {
    expect(get(lab, 7, 9 * HUGE, IPC_CREAT | SHM_HUGETLB)).toBe(-ENOMEM)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })

  it('is for root and the group that hugetlb_shm_group names', () => {
    lab.task.uid = 1000
    lab.task.gid = 1000
    expect(get(lab, 7, HUGE, IPC_CREAT | SHM_HUGETLB)).toBe(-EPERM)
    lab.k.sysctl.hugetlb_shm_group = 1000
    expect(get(lab, 7, HUGE, IPC_CREAT | SHM_HUGETLB)).toBeGreaterThanOrEqual(0)
  })
})
