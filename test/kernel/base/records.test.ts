import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  recordFirst,
  recordFree,
  recordInsert,
  recordLast,
  recordLists,
  records,
  recordTake,
  recordUnlink,
} from '../../../src/kernel/base/records.ts'

it('records keep their order on a list, and are used again when they were given back', () => {
  const step = fc.record({ take: fc.boolean(), at: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const all = records(3)
      const heads = recordLists(1)
      const model: number[] = []
      for (const { take, at } of steps) {
        if (take || model.length === 0) {
          const id = recordTake(all)
          expect(model).not.toContain(id)
          const behind = Math.min(at, model.length)
          recordInsert(all, heads, 0, 1, id, behind === 0 ? 0 : model[behind - 1])
          model.splice(behind, 0, id)
        } else {
          const [id] = model.splice(at % model.length, 1)
          recordUnlink(all, heads, 0, 1, id)
          recordFree(all, id)
        }
        const listed: number[] = []
        for (let id = recordFirst(heads, 0); id !== 0; id = all.words[id * 3 + 1]) listed.push(id)
        expect(listed).toEqual(model)
        expect(recordLast(heads, 0)).toBe(model.at(-1) ?? 0)
        expect(all.count).toBe(model.length)
      }
      expect(all.used - 1).toBeLessThanOrEqual(200)
    }),
    { numRuns: 50 },
  )
})
