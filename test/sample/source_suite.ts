/**
 * What every Source must keep, whatever is behind it: run on recordings here, on the simulator and (with TEST_HOST=1) on
 * the real machine by their own tests.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { feed, newTracker } from '../../src/sample/model.ts'
import type { Source } from '../../src/sample/source.ts'

/** @param open a source that goes as fast as it can and gives at least three frames */
export function describeSource(name: string, open: () => Promise<Source>): void {
  describe(`${name} as a source`, () => {
    let source: Source | undefined
    const opened = async () => {
      source = await open()
      return source
    }
    afterEach(async () => {
      await source?.close()
    })

    it('says what it is', async () => {
      const { kind, title, tunables } = await opened()
      expect(['simulation', 'recording', 'host']).toContain(kind)
      expect(title).toMatch(/^[^\p{Cc}]+$/u)
      expect(new Set(tunables.map(tunable => tunable.path)).size).toBe(tunables.length)
      for (const { path } of tunables) expect(path).toMatch(/^\/(proc|sys|mmtop)\//)
    })

    it('gives frames whose time only goes forward, each with the files that all screens need', async () => {
      const { next } = await opened()
      let last = -1
      for (let i = 0; i < 3; i++) {
        const frame = await next()
        expect(frame?.ns).toBeGreaterThan(last)
        last = frame?.ns ?? last
        for (const path of ['/proc/vmstat', '/proc/meminfo']) expect(frame?.files.has(path)).toBe(true)
      }
    })

    it('can be followed by a model: figures, rates, totals', async () => {
      const followed = await opened()
      const tracker = newTracker(followed)
      for (let i = 0; i < 3; i++) {
        const frame = await followed.next()
        if (frame !== undefined) feed(tracker, frame, followed.pace())
      }
      expect(tracker.model?.seq).toBe(2)
      expect(tracker.model?.scalars.get('MemTotal')).toBeGreaterThan(0)
      expect(tracker.model?.seconds).toBeGreaterThan(0)
    })

    it('reads a single file, and has none that is not there', async () => {
      const read = await opened()
      const frame = await read.next()
      expect(await read.read('/proc/meminfo')).toMatch(/^MemTotal:/)
      expect(frame?.files.get('/proc/meminfo')).toMatch(/^MemTotal:/)
      expect(await read.read('/proc/no/such/file')).toBeUndefined()
    })

    it('ends when it is closed, also twice, and lets a waiting reader go', async () => {
      const closing = await opened()
      await closing.next()
      closing.transport?.pause(true)
      const waiting = closing.next()
      await closing.close()
      await closing.close()
      expect(await waiting).toBeUndefined()
      expect(await closing.next()).toBeUndefined()
    })

    it('steps while paused, where it has a clock', async () => {
      const stepping = await opened()
      const { transport } = stepping
      if (transport === undefined) return
      const first = await stepping.next()
      transport.pause(true)
      expect(stepping.pace().paused).toBe(true)
      const waiting = stepping.next()
      transport.step('sample')
      expect((await waiting)?.ns).toBeGreaterThan(first?.ns ?? 0)
      expect(stepping.pace().paused).toBe(true)
    })
  })
}
