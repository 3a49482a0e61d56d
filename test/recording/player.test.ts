import { beforeEach, describe, expect, it } from 'vitest'
import { playRecording, type WallClock } from '../../src/recording/player.ts'
import type { Recording } from '../../src/recording/recording.ts'
import type { Frame } from '../../src/sample/source.ts'
import { frameOf } from '../fixtures/load.ts'

/** A clock that moves only when told to. */
function testClock(): WallClock & { advance(ms: number): Promise<void> } {
  let now = 1000
  let timers: { at: number; wake: () => void }[] = []
  return {
    now: () => now,
    after: (ms, wake) => {
      const timer = { at: now + ms, wake }
      timers.push(timer)
      return () => {
        timers = timers.filter(each => each !== timer)
      }
    },
    advance: async ms => {
      const end = now + ms
      for (;;) {
        for (let i = 0; i < 4; i++) await Promise.resolve()
        const due = timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
        if (due === undefined) break
        timers = timers.filter(timer => timer !== due)
        now = due.at
        due.wake()
      }
      now = end
    },
  }
}

/** Ten frames, one a second. */
const frames = Array.from({ length: 10 }, (_, i) => frameOf(i * 1e9, { '/n': `${i}` }))
const recording: Recording = {
  format: 'mmtop',
  recorded: 'host',
  title: 't',
  tunables: [],
  notes: [],
  ended: true,
  count: frames.length,
  startNs: 0,
  endNs: 9e9,
  frame: index => frames[index],
  indexAt: ns =>
    Math.max(
      0,
      frames.findLastIndex(frame => frame.ns <= ns),
    ),
  close: () => undefined,
}

describe('playing a recording', () => {
  let clock: ReturnType<typeof testClock>
  let seen: number[]
  let player: ReturnType<typeof playRecording>
  beforeEach(() => {
    clock = testClock()
    seen = []
  })
  /** Asks for frames for ever, as a screen does. */
  const start = (speed = 1) => {
    player = playRecording(recording, clock, speed)
    const loop = (): void => {
      player.next().then((frame: Frame | undefined) => {
        if (frame === undefined) return
        seen.push(frame.ns / 1e9)
        loop()
      })
    }
    loop()
  }

  it('gives the first frame at once and the others when they are due', async () => {
    start()
    await clock.advance(0)
    expect(seen).toEqual([0])
    await clock.advance(2500)
    expect(seen).toEqual([0, 1, 2])
    expect(player.pace()).toEqual({ paused: false, speed: 1, ratio: 1, ended: false })
  })

  it('keeps to the speed, also when it changes midway', async () => {
    start(2)
    await clock.advance(1000)
    expect(seen).toEqual([0, 1, 2])
    await clock.advance(250)
    player.transport.speed(0.5)
    await clock.advance(900)
    expect(seen).toEqual([0, 1, 2])
    await clock.advance(200)
    expect(seen).toEqual([0, 1, 2, 3])
  })

  it('stands still while paused and goes on from there', async () => {
    start()
    await clock.advance(1400)
    player.transport.pause(true)
    await clock.advance(60_000)
    expect(seen).toEqual([0, 1])
    expect(player.pace()).toMatchObject({ paused: true, ratio: 0 })
    player.transport.pause(false)
    await clock.advance(500)
    expect(seen).toEqual([0, 1])
    await clock.advance(200)
    expect(seen).toEqual([0, 1, 2])
  })

  it('steps one sample and stays paused', async () => {
    start()
    await clock.advance(0)
    player.transport.step('sample')
    await clock.advance(5000)
    expect(seen).toEqual([0, 1])
    player.transport.step('ms')
    await clock.advance(5000)
    expect(seen).toEqual([0, 1, 2])
  })

  it('seeks, paused or not, and plays on from there', async () => {
    start()
    await clock.advance(0)
    player.transport.seek?.(6.5e9)
    await clock.advance(1000)
    expect(seen).toEqual([0, 6, 7])
    player.transport.pause(true)
    player.transport.seek?.(2e9)
    await clock.advance(9000)
    expect(seen).toEqual([0, 6, 7, 2])
    expect(player.transport.span).toEqual({ startNs: 0, endNs: 9e9 })
  })

  it('plays all at once at infinite speed, then ends, and can be sought again', async () => {
    player = playRecording(recording, clock, Number.POSITIVE_INFINITY)
    for (let frame = await player.next(); frame !== undefined; frame = await player.next()) seen.push(frame.ns / 1e9)
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(player.pace().ended).toBe(true)
    expect(await player.read('/n')).toBe('9')
    player.transport.seek?.(3e9)
    expect((await player.next())?.ns).toBe(3e9)
    expect(player.pace().ended).toBe(false)
  })

  it('says the real ratio when it is asked too slowly', async () => {
    player = playRecording(recording, clock, 100)
    await player.next()
    await clock.advance(500)
    await player.next()
    expect(player.pace().ratio).toBe(2)
  })

  it('answers a waiting reader when it is closed', async () => {
    player = playRecording(recording, clock)
    await player.next()
    const waiting = player.next()
    await player.close()
    expect(await waiting).toBeUndefined()
  })

  it('hands damage on to whoever asks for the frame', async () => {
    const broken: Recording = {
      ...recording,
      frame: index => {
        if (index === 2) throw new Error('damaged')
        return frames[index]
      },
      indexAt: () => {
        throw new Error('no index')
      },
    }
    player = playRecording(broken, clock, Number.POSITIVE_INFINITY)
    await player.next()
    await player.next()
    await expect(player.next()).rejects.toThrow('damaged')
    player.transport.seek?.(0)
    await expect(player.next()).rejects.toThrow('no index')
  })
})
