import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EINVAL, ERANGE } from '../../../src/kernel/base/errno.ts'
import { parseList } from '../../../src/kernel/calls/cpuset.ts'
import { listText } from '../../../src/procfs/format.ts'
import { file, type Outcome, run } from './lab.ts'

const MACHINE = 'machine nodes=2 mem=80M,80M cpus=2,1 disk=64M\ncmdline transparent_hugepage=never numa_balancing=disable\nfile f 32M\n'
const nodesOf = ({ op }: Outcome, line: string) => op(line).fields['nodes']

describe('cpuset.mems', () => {
  it('moves the pages of its tasks, before the write is over', () => {
    const outcome = run('spawn A cpu=0\nA mmap r 8M\nA touch r write\ncgroup G add A\ncgroup G set cpuset.mems 1\nA pagemap r', MACHINE)
    expect(nodesOf(outcome, 'A pagemap r')).toEqual({ 1: 2048 })
  })

  it('moves the pages of a task that comes to it', () => {
    const outcome = run('cgroup G set cpuset.mems 1\nspawn A cpu=0\nA mmap r 8M\nA touch r write\ncgroup G add A\nA pagemap r', MACHINE)
    expect(nodesOf(outcome, 'A pagemap r')).toEqual({ 1: 2048 })
  })

  it('rebinds policies: plain ones move along, static ones insist as far as they may', () => {
    const text = ['A', 'S'].map(name => `${name} get_mempolicy`).join('\n')
    const outcome = run(
      `cgroup G set cpuset.mems 0\nspawn A policy=bind:0\nspawn S policy=bind:1 static\ncgroup G add A\ncgroup G add S\ncgroup G set cpuset.mems 1\n${text}\nA set_mempolicy bind:0`,
      MACHINE,
    )
    expect(outcome.op('A get_mempolicy').fields['nodes']).toBe('0x2')
    expect(outcome.op('S get_mempolicy').fields['nodes']).toBe('0x2')
    expect(outcome.err('A set_mempolicy bind:0')).toBe('EINVAL')
  })

  it('is what the parent has where nothing is left of what was asked for', () => {
    const { k } = run('cgroup G set cpuset.mems 1\ncgroup G set cgroup.subtree_control +cpuset\ncgroup G/c set cpuset.mems 0', MACHINE)
    expect(file(k, 'G/c/cpuset.mems')).toBe('0')
    expect(file(k, 'G/c/cpuset.mems.effective')).toBe('1')
  })

  it('keeps an allocation away from other nodes, to the death of who has nothing else', () => {
    const { err } = run(
      'cgroup G set cpuset.mems 1\nspawn X cpu=0\nX mmap r 16M\nX touch r write\nspawn A cpu=2\ncgroup G add A\nA mmap r 96M flags=noreserve\nA touch r write\nX touch r read',
      MACHINE,
    )
    expect([err('A touch r write'), err('X touch r read')]).toEqual(['ESRCH', ''])
  })
})

describe('cpuset.cpus', () => {
  it('that has all CPUs leaves tasks where they ran, near their memory', () => {
    const outcome = run(
      ['A', 'B', 'C', 'D'].map((name, i) => `spawn ${name} cpu=${name === 'C' ? 2 : 0}\ncgroup G${i} add ${name}`).join('\n') +
        '\nD mmap q 8M\nD touch q write\nC mmap r 8M\nC touch r write\nC pagemap r',
      MACHINE,
    )
    expect(outcome.op('C pagemap r').fields['nodes']).toEqual({ 1: 2048 })
  })

  it('is where its tasks may run, whatever they ask for', () => {
    const { err, k } = run(
      'cgroup G set cpuset.cpus 2\nspawn A cpu=0\ncgroup G add A\nA cpu 0\nA cpu 0-2\ncgroup G set cpuset.cpus 0-1\nspawn B cpu=2',
      MACHINE,
    )
    expect([err('A cpu 0'), err('A cpu 0-2')]).toEqual(['EINVAL', ''])
    const tasks = [...k.tasks.values()].map(({ cpusAllowed }) => cpusAllowed)
    expect(tasks.slice(-2)).toEqual([[0, 1], [2]])
  })

  it('of a partition is nobody else’s', () => {
    const { k } = run(
      'cgroup G set cpuset.cpus 1-2\ncgroup H set cpuset.cpus 1\ncgroup G set cpuset.cpus.partition root\ncgroup H set cpuset.cpus 0',
      MACHINE,
    )
    expect(file(k, 'G/cpuset.cpus.partition')).toBe('root')
    expect(file(k, 'cpuset.cpus.effective')).toBe('0')
    const shared = run('cgroup G set cpuset.cpus 1-2\ncgroup H set cpuset.cpus 1\ncgroup G set cpuset.cpus.partition root', MACHINE)
    expect(file(shared.k, 'G/cpuset.cpus.partition')).toBe('root invalid (Cpu list in cpuset.cpus not exclusive)')
  })
})

describe('a list of numbers', () => {
  it('reads back what it was written from', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(63)), numbers => {
        const sorted = [...numbers].sort((a, b) => a - b)
        expect(parseList(listText(sorted), 64)).toEqual(sorted)
      }),
    )
  })

  it.each<[string, number | number[]]>([
    ['0-1:1/2', [0]],
    ['0,,1', [0, 1]],
    ['5-0', -EINVAL],
    ['x', -EINVAL],
    ['-1', -EINVAL],
    ['0-9', -ERANGE],
    ['all', [0, 1, 2]],
    ['N', [2]],
  ])('%s', (text, found) => {
    expect(parseList(text, 3)).toEqual(found)
  })
})
