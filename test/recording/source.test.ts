import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openRecording } from '../../src/recording/open.ts'
import { playRecording } from '../../src/recording/player.ts'
import { createRecording } from '../../src/recording/writer.ts'
import { openFixture } from '../fixtures/load.ts'
import { describeSource } from '../sample/source_suite.ts'

const dir = mkdtempSync(join(tmpdir(), 'mmtop-'))
afterAll(() => rmSync(dir, { recursive: true }))

describeSource('a raw recording', async () => playRecording(await openFixture('numa-policies'), undefined, Number.POSITIVE_INFINITY))

describeSource('a recording', async () => {
  const raw = await openFixture('numa-policies')
  const recorder = createRecording(join(dir, 'own'), { kind: 'recording', title: raw.title, tunables: raw.tunables })
  for (let i = 0; i < raw.count; i++) recorder.append(raw.frame(i))
  recorder.close()
  return playRecording(await openRecording(join(dir, 'own')), undefined, Number.POSITIVE_INFINITY)
})
