/** Which nodes policies stand for, as numa_memory_policy.rst describes them, and how they are written. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EINVAL } from '../../../src/kernel/base/errno.ts'
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../../../src/kernel/base/flags.ts'
import type { SharedPolicy } from '../../../src/kernel/base/state_fs.ts'
import type { Mempolicy } from '../../../src/kernel/base/state_shared.ts'
import { asNode } from '../../../src/kernel/base/units.ts'
import { interleaveNode, maskNodes, mpolNew, mpolRebind, nodeMask, setSharedPolicy } from '../../../src/kernel/frames/mempolicy.ts'
import { mpolParseStr, mpolToStr, nodeListText } from '../../../src/kernel/frames/mempolicy_text.ts'
import { bootSmall } from '../machine.ts'

/** A policy that must be one. */
function policy(mode: number, flags: number, nodes: readonly number[], allowed: readonly number[]): Mempolicy {
  const made = mpolNew(mode, flags, nodeMask(nodes), nodeMask(allowed))
  if (typeof made !== 'object') throw new Error(`no policy: ${made}`)
  return made
}

const nodesOf = (mempolicy: Mempolicy | undefined) => maskNodes(mempolicy?.nodes ?? 0)

/** The nodes of an interleave policy made where `before` is allowed, when `after` is. */
const rebound = (flags: number, nodes: readonly number[], before: readonly number[], after: readonly number[]) =>
  nodesOf(mpolRebind(policy(MPOL_INTERLEAVE, flags, nodes, before), nodeMask(after)))

describe('a new policy', () => {
  it('keeps of the nodes asked for those that are allowed', () => {
    expect(nodesOf(policy(MPOL_BIND, 0, [0, 1, 2], [1, 2, 3]))).toEqual([1, 2])
    expect(nodesOf(policy(MPOL_PREFERRED, 0, [2, 3], [0, 1, 2, 3]))).toEqual([2])
  })

  it('counts relative nodes among those that are allowed, and wraps around', () => {
    expect(nodesOf(policy(MPOL_BIND, MPOL_F_RELATIVE_NODES, [0, 2], [3, 4, 5, 6, 7]))).toEqual([3, 5])
    expect(nodesOf(policy(MPOL_BIND, MPOL_F_RELATIVE_NODES, [0, 2, 3], [4, 5]))).toEqual([4, 5])
  })

  it('is refused without a node that is allowed, and the modes without nodes are refused with some', () => {
    const refused = [
      mpolNew(MPOL_BIND, 0, nodeMask([2]), nodeMask([0, 1])),
      mpolNew(MPOL_BIND, 0, 0, nodeMask([0, 1])),
      mpolNew(MPOL_PREFERRED_MANY, 0, 0, nodeMask([0, 1])),
      mpolNew(MPOL_DEFAULT, 0, nodeMask([0]), nodeMask([0, 1])),
      mpolNew(MPOL_LOCAL, 0, nodeMask([0]), nodeMask([0, 1])),
      mpolNew(MPOL_PREFERRED, MPOL_F_STATIC_NODES, 0, nodeMask([0, 1])),
    ]
    expect(refused).toEqual(refused.map(() => -EINVAL))
    expect(mpolNew(MPOL_DEFAULT, 0, 0, nodeMask([0]))).toBeUndefined()
    expect(policy(MPOL_PREFERRED, 0, [], [0]).mode).toBe(MPOL_LOCAL)
  })
})

describe('a policy whose allowed nodes change', () => {
  it('moves along by default: its nodes are mapped to the new ones in order', () => {
    expect(rebound(0, [1, 2], [0, 1, 2], [4, 5, 6])).toEqual([5, 6])
  })

  it('with static nodes means just these, or all while none of them is allowed', () => {
    expect(rebound(MPOL_F_STATIC_NODES, [1, 2], [1, 2, 3], [2, 3])).toEqual([2])
    expect(rebound(MPOL_F_STATIC_NODES, [1, 2], [1, 2, 3], [3, 4])).toEqual([3, 4])
  })

  it('with relative nodes counts anew', () => {
    expect(rebound(MPOL_F_RELATIVE_NODES, [0, 2], [0, 1, 2, 3], [3, 4, 5, 6, 7])).toEqual([3, 5])
    expect(rebound(MPOL_F_RELATIVE_NODES, [0, 2, 3, 5], [0, 1, 2, 3, 4, 5], [3, 4, 5, 6])).toEqual([3, 4, 5, 6])
  })
})

describe('interleaving', () => {
  it('takes the nodes in turn', () => {
    const both = policy(MPOL_INTERLEAVE, 0, [0, 2], [0, 1, 2])
    expect([0, 1, 2, 3].map(n => interleaveNode(both, n, asNode(1)))).toEqual([0, 2, 0, 2])
  })

  it('sees only the low half of a position', () => {
    const three = policy(MPOL_INTERLEAVE, 0, [0, 1, 2], [0, 1, 2])
    expect(interleaveNode(three, 2 ** 32 + 1, asNode(0))).toBe(interleaveNode(three, 1, asNode(0)))
  })
})

describe('policies of parts of an object', () => {
  it('replace one another where they overlap', () => {
    const bind = policy(MPOL_BIND, 0, [0], [0])
    const span = fc.record({ start: fc.nat(20), length: fc.integer({ min: 1, max: 8 }), set: fc.boolean() })
    fc.assert(
      fc.property(fc.array(span, { maxLength: 12 }), spans => {
        const policies: SharedPolicy[] = []
        const expected = new Array<boolean>(30).fill(false)
        for (const { start, length, set } of spans) {
          setSharedPolicy(policies, start, start + length, set ? bind : undefined)
          expected.fill(set, start, start + length)
        }
        expect(expected.map((_, i) => policies.some(range => range.start <= i && i < range.end))).toEqual(expected)
        expect(policies.every((range, i) => i === 0 || policies[i - 1].end <= range.start)).toBe(true)
      }),
    )
  })
})

describe('the text of a policy', () => {
  it('lists runs of nodes', () => {
    expect(['0', '0-2,5', '1,3'].map((_, i) => nodeListText(nodeMask([[0], [0, 1, 2, 5], [1, 3]][i])))).toEqual(['0', '0-2,5', '1,3'])
  })

  it('names mode, flags and nodes as numa_maps does', () => {
    const all = [0, 1, 2, 3]
    expect(mpolToStr(undefined)).toBe('default')
    expect(mpolToStr(policy(MPOL_LOCAL, 0, [], all))).toBe('local')
    expect(mpolToStr(policy(MPOL_PREFERRED, 0, [1], all))).toBe('prefer:1')
    expect(mpolToStr(policy(MPOL_PREFERRED_MANY, 0, [1, 3], all))).toBe('prefer (many):1,3')
    expect(mpolToStr(policy(MPOL_INTERLEAVE, MPOL_F_STATIC_NODES, [0, 1, 2], all))).toBe('interleave=static:0-2')
    expect(mpolToStr(policy(MPOL_BIND, MPOL_F_RELATIVE_NODES, [0, 1], all))).toBe('bind=relative:0-1')
  })

  it('is read back from the option of a mount', () => {
    const k = bootSmall([96, 96])
    const shown = (text: string) => {
      const read = mpolParseStr(k, text)
      return read === 'invalid' ? read : mpolToStr(read)
    }
    const same = ['default', 'local', 'prefer:1', 'bind:0-1', 'interleave=static:0', 'bind=relative:1']
    expect(same.map(shown)).toEqual(same)
    expect(shown('interleave')).toBe('interleave:0-1')
    expect(shown('prefer')).toBe('local')
    const wrong = ['bind', 'bind:2', 'prefer:0-1', 'local:0', 'default:0', 'interleave=sticky:0', 'nearest', 'bind:1-0', 'bind:x']
    expect(wrong.map(shown)).toEqual(wrong.map(() => 'invalid'))
  })
})
