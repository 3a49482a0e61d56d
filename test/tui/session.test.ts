import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openRecording } from '../../src/recording/open.ts'
import { playRecording } from '../../src/recording/player.ts'
import { createRecording } from '../../src/recording/writer.ts'
import { UserError } from '../../src/user_error.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { ENABLED, fakeSource, SWAPPINESS, settled } from './fake_source.ts'
import { DOWN, ENTER, ESC, LEFT, RIGHT, running, sample, sit, UP } from './sitting.ts'

/** The row of the status in which messages stand. */
const messageOf = (lines: readonly string[]) => lines[2].trim()

describe('panels', () => {
  it('are chosen by their keys, by Tab and back again', async () => {
    const { type, session, text } = await running(2)
    await type('2')
    expect(text()).toContain('per second')
    await type('4')
    expect(text()).toContain('khugepaged')
    const seen: string[] = []
    for (const _ of VIEWS) {
      await type('\t')
      seen.push(
        session
          .screen()
          .body.map(row => row.map(({ text: each }) => each).join(''))
          .join('\n'),
      )
    }
    expect(new Set(seen).size).toBe(VIEWS.length)
    await type('\x1b[Z')
    expect(text()).toContain('all memory')
  })

  it('say that there is nothing yet before the first sample, and take keys', async () => {
    const source = fakeSource()
    const { type, text } = sit(source)
    await type('2t4e/ :')
    expect(text()).toContain('waiting for the first sample')
    expect(text()).toContain('fake.workload')
  })

  it('watch the files that they want', async () => {
    const { source, type } = await running(2)
    await type('0')
    expect(source.asked.at(-1)).toMatch(/^watch [1-9]/)
    const before = source.asked.length
    await source.give(await sample(3))
    expect(source.asked.length).toBe(before)
  })

  it('read what they want themselves while the machine stands still', async () => {
    const { source, type, text } = await running(2)
    source.knobs.set('/proc/86/smaps', '200000000000-200000800000 rw-p 00000000 00:00 0\nSize: 8192 kB\nRss: 4096 kB\nVmFlags: rd wr\n')
    const pids = /^ +(\d+) /m.exec(text())
    expect(pids).not.toBeNull()
    await type('0 ')
    await type(`${DOWN}${ENTER}`)
    await settled(60)
    expect(text()).toContain('areas')
  })
})

describe('lists', () => {
  it('are narrowed while the filter is typed; Enter keeps it, Esc does not', async () => {
    const { type, text, session } = await running(3)
    await type('2/pgf')
    expect(session.screen().panel?.list?.ids).toEqual(['pgfault'])
    await type(ESC)
    expect(session.screen().panel?.list?.ids.length).toBeGreaterThan(2)
    await type(`/pgf${ENTER}`)
    expect(session.screen().panel?.list?.ids).toEqual(['pgfault'])
    expect(text()).toContain('/pgf')
    await type(ESC)
    expect(session.screen().panel?.list?.ids.length).toBeGreaterThan(2)
  })

  it('say what is wrong with a filter', async () => {
    const { type, lines } = await running(3)
    await type('2/valu > 3')
    expect(lines().at(-1)).toContain('did you mean "value"?')
  })

  it('are sorted by the column that is chosen, either way', async () => {
    const { type, session } = await running(3)
    await type('2s')
    expect(
      session
        .screen()
        .body.flat()
        .map(({ text }) => text)
        .join(' '),
    ).toContain('Sort by which column?')
    const keys = session.screen().panel?.list?.sortKeys ?? []
    for (let i = 0; i < keys.indexOf('value'); i++) await type(DOWN)
    await type(ENTER)
    expect(session.screen().panel?.list?.sort).toEqual({ key: 'value', descending: true })
    expect(session.screen().panel?.list?.ids[0]).toBe('nr_free_pages')
    await type('I')
    expect(session.screen().panel?.list?.ids[0]).toBe('thp_fault_alloc')
    await type('>')
    expect(session.screen().panel?.list?.sort?.key).toBe(keys[keys.indexOf('value') + 1])
    await type('<<')
    expect(session.screen().panel?.list?.sort?.key).toBe(keys[keys.indexOf('value') - 1])
  })

  it('keep the selection on its row when rows change places', async () => {
    const { source, type, session } = await running(3)
    await type('2s')
    const keys = session.screen().panel?.list?.sortKeys ?? []
    for (let i = 0; i < keys.indexOf('value'); i++) await type(DOWN)
    await type(`${ENTER}${DOWN}${DOWN}`)
    const selected = () => session.screen().panel?.list?.ids[session.screen().panel?.list?.selected ?? -1]
    expect(selected()).toBe('pgfault')
    await source.give(frameOf(9e9, { '/proc/vmstat': 'pgfault 900000\nthp_fault_alloc 1\nnr_free_pages 7\n' }))
    await settled(60)
    expect(session.screen().panel?.list?.ids[0]).toBe('pgfault')
    expect(selected()).toBe('pgfault')
  })

  it('open a process and come back to it', async () => {
    const { type, text, session } = await running(2)
    await type(`0${DOWN}${DOWN}`)
    const id = session.screen().panel?.list?.ids[1]
    await type(ENTER)
    expect(text()).toContain(`(${id})`)
    await type(ESC)
    expect(session.screen().panel?.list?.selected).toBe(1)
  })
})

describe('knobs', () => {
  it('are turned in place by the arrows, and put back by u', async () => {
    const { source, type, lines, session } = await running(2)
    await type(`t${UP}`)
    expect(session.screen().panel?.list?.ids).toEqual([SWAPPINESS, ENABLED])
    await type(RIGHT)
    await type(RIGHT)
    expect(source.knobs.get(SWAPPINESS)).toBe('62\n')
    expect(messageOf(lines())).toBe('vm/swappiness: 61 to 62, u puts it back')
    await type(LEFT)
    expect(source.knobs.get(SWAPPINESS)).toBe('61\n')
    await type('u')
    await type('u')
    await type('u')
    expect(source.knobs.get(SWAPPINESS)).toBe('60\n')
    await type('u')
    expect(messageOf(lines())).toBe('no knob was turned')
    await type('U')
    expect(source.knobs.get(SWAPPINESS)).toBe('61\n')
  })

  it('show their new value at once, though no sample has come', async () => {
    const { type, text } = await running(2)
    await type(`t${DOWN}${RIGHT}`)
    await settled(60)
    expect(text()).toMatch(/thp\/enabled +never \*/)
  })

  it('are turned on the panel that shows what they do', async () => {
    const { source, type, session } = await running(2)
    await type('4t')
    expect(session.screen().figure?.about).toBe(ENABLED)
    await type(LEFT)
    expect(source.knobs.get(ENABLED)).toBe('[always] madvise never\n')
    await type('t')
    const { list } = session.screen().panel ?? {}
    expect(list?.ids[list.selected]).toBe(ENABLED)
  })

  it('take any value that is typed, with Tab for words; a refusal is shown with its meaning and can be seen until the next key', async () => {
    const { source, type, lines } = await running(2)
    await type(`t${ENTER}`)
    expect(lines().at(-1)).toMatch(/^vm\/swappiness: 60/)
    await type(`\x15500${ENTER}`)
    expect(lines().at(-1)).toMatch(/^vm\/swappiness: 500 .*takes 0\.\.200/)
    expect(source.asked.filter(each => each.startsWith('write'))).toEqual([])
    await type(`\x15199${ENTER}`)
    expect(messageOf(lines())).toBe('! vm/swappiness = 199: EINVAL (invalid argument)')
    expect(source.knobs.get(SWAPPINESS)).toBe('60\n')
    await type(`${DOWN}${ENTER}\x15al\t${ENTER}`)
    expect(source.knobs.get(ENABLED)).toBe('[always] madvise never\n')
    await type('u')
    expect(source.knobs.get(ENABLED)).toBe('always [madvise] never\n')
  })

  it('cannot be turned where nothing can be written', async () => {
    const { write: _, ...source } = fakeSource()
    const { type, lines } = sit(source)
    await source.give(await sample(1))
    await type(`t${RIGHT}`)
    expect(messageOf(lines())).toBe('! nothing can be changed here: this is no machine that runs')
    expect(source.asked.filter(each => each.startsWith('write'))).toEqual([])
  })
})

describe('time', () => {
  it('is paused, stepped and paced', async () => {
    const { source, type } = await running(2)
    await type(' ')
    await type('.')
    await type(',.,.')
    await type('++-=')
    expect(source.asked.filter(each => !each.startsWith('watch'))).toEqual([
      ...['pause true', 'step sample', 'step op', 'step ms'],
      ...['speed 2', 'speed 5', 'speed 2', 'speed 1'],
    ])
  })

  it('is walked back in history while samples go on arriving', async () => {
    const { source, type, lines, session } = await running(5)
    await type('[[')
    expect(lines()[0]).toContain('2 samples back')
    expect(lines()[0]).toContain('00:00:03.000')
    await source.give(await sample(5))
    await settled(60)
    expect(lines()[0]).toContain('3 samples back')
    expect(lines()[0]).toContain('00:00:03.000')
    await type('{')
    expect(lines()[0]).toContain('00:00:01.000')
    expect(messageOf(lines())).toBe('no older sample is kept')
    await type(']')
    expect(lines()[0]).toContain('00:00:02.000')
    await type(ESC)
    expect(lines()[0]).toContain('00:00:06.000')
    expect(
      session
        .screen()
        .status.flat()
        .some(({ text }) => text.includes('back')),
    ).toBe(false)
  })

  it('goes on to the next event, or until space', async () => {
    const { source, type, lines } = await running(2)
    await type('n')
    expect(source.asked.slice(-2)).toEqual(['speed Infinity', 'pause false'])
    await source.give(await sample(3))
    expect(source.pace().speed).toBe(Number.POSITIVE_INFINITY)
    await source.give({ ns: 9e9, files: new Map([...(await sample(4)).files, ['/mmtop/events', '8500000000 oom killed db\n']]) })
    expect(source.pace()).toMatchObject({ paused: true, speed: 1 })
    expect(messageOf(lines())).toBe('00:00:08.500 oom killed db')
    await type('n')
    await type(' ')
    expect(source.pace()).toMatchObject({ paused: true, speed: 1 })
    expect(lines()[0]).toContain('paused')
  })

  it('returns from history when it goes on, and says that nothing more happened', async () => {
    const { source, type, lines } = await running(4)
    await type('[')
    expect(lines()[0]).toContain('1 sample back')
    await type('n')
    expect(lines()[0]).not.toContain('back')
    await source.give(await sample(5))
    source.end()
    await settled(60)
    expect(messageOf(lines())).toBe('the end: nothing more happened')
  })

  it('says when the workload is over, and stays', async () => {
    const { source, type, lines, ended } = await running(3)
    source.end()
    await settled(60)
    expect(messageOf(lines())).toBe('the workload is over: q quits')
    expect(lines()[0]).toContain('ended')
    await type('[')
    expect(lines()[0]).toContain('1 sample back')
    await type('q')
    expect(await ended).toBe(0)
  })

  it('can be frozen on the screen where there is no clock to stop', async () => {
    const { transport: _, ...source } = fakeSource()
    const { type, lines } = sit(source)
    await source.give(await sample(1))
    await type(' ')
    await source.give(await sample(2))
    await settled(60)
    expect(lines()[0]).toContain('1 sample back')
    await type(' ')
    expect(lines()[0]).toContain('00:00:03.000')
  })
})

describe('playback', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mmtop-'))
  const file = join(directory, 'long.mmtop')

  async function played(speed: number) {
    const recorder = createRecording(file, { kind: 'simulation', title: 'long', tunables: [] })
    for (let i = 0; i < 300; i++) {
      const events = i === 150 ? [['/mmtop/events', `${i * 1e9} oom killed db\n`] as const] : []
      recorder.append({
        ns: i * 1e9,
        files: new Map([['/proc/vmstat', `pgfault ${i * 100}\n`], ['/proc/meminfo', 'MemTotal: 1000 kB\nMemFree: 500 kB\n'], ...events]),
      })
    }
    recorder.close()
    const source = playRecording(await openRecording(file), undefined, speed)
    source.transport.pause(true)
    const sat = sit(source)
    await settled(60)
    return { source, ...sat }
  }

  it('jumps to times, shares and clocks, with charts and rates of what was before', async () => {
    const { type, lines, source, ended } = await played(1)
    await type(`J2m${ENTER}`)
    await settled(120)
    expect(lines()[0]).toContain('00:02:00.000')
    expect(source.pace()).toMatchObject({ paused: true, speed: 1 })
    await type('2')
    expect(lines().join('\n')).toMatch(/pgfault +12 000 +100 /)
    await type(`J50%${ENTER}`)
    await settled(120)
    expect(lines()[0]).toContain('00:02:29')
    await type(`J-00:10${ENTER}`)
    expect(lines().at(-1)).toContain('write 90s, +10s')
    await type(`\x15-10s${ENTER}`)
    await settled(120)
    expect(lines()[0]).toContain('00:02:19.000')
    await type('q')
    await ended
  })

  it('finds events both ways, and says at the end that it is over', async () => {
    const { type, lines, ended } = await played(1)
    await type('n')
    await settled(200)
    expect(lines()[0]).toContain('00:02:30.000')
    expect(lines()[0]).toContain('paused')
    await type(`J4m${ENTER}`)
    await settled(150)
    await type('N')
    await settled(150)
    expect(lines()[0]).toContain('00:02:30.000')
    await type(`J100%${ENTER}`)
    await settled(150)
    expect(lines()[0]).toContain('00:04:59.000')
    await type(' ')
    await settled(60)
    expect(messageOf(lines())).toBe('the recording is over: J jumps, q quits')
    await type(`J0s${ENTER}`)
    await settled(60)
    expect(lines()[0]).toContain('00:00:00.000')
    await type('q')
    await ended
  })

  it('keeps keys alive at any speed', async () => {
    const { type, source, ended } = await played(Number.POSITIVE_INFINITY)
    source.transport.pause(false)
    const before = performance.now()
    await type('q')
    await ended
    expect(performance.now() - before).toBeLessThan(1000)
    rmSync(directory, { recursive: true })
  })
})

describe('lines', () => {
  it('are executed, answered with their errno and its meaning, and remembered', async () => {
    const { source, type, lines } = await running(2)
    await type(`:A madvise heap hugepage${ENTER}`)
    expect(messageOf(lines())).toBe(': A madvise heap hugepage: 2 ms')
    await type(`:frob${ENTER}`)
    expect(messageOf(lines())).toBe('! : frob: not built yet, ENOSYS (not implemented)')
    await type(`:${UP}${UP}${ENTER}`)
    expect(source.asked.filter(each => each.startsWith('run'))).toEqual([
      'run A madvise heap hugepage',
      'run frob',
      'run A madvise heap hugepage',
    ])
  })

  it('are completed by the source, paths by its knobs', async () => {
    const { type, lines } = await running(2)
    await type(':A ma\t')
    expect(lines().at(-1)).toMatch(/^: A ma .*madvise map/)
    await type('d\t')
    expect(lines().at(-1)).toMatch(/^: A madvise /)
    await type('\x15write /proc/s\t')
    expect(lines().at(-1)).toMatch(/^: write \/proc\/sys\/vm\/swappiness /)
  })

  it('never bring control characters to the screen', async () => {
    const { type, text } = await running(2)
    await type(':\x1b[200~a\x1b]0;title\x07b\x1b[201~')
    expect(text()).toContain(': a?]0;title?b')
  })
})

describe('recording', () => {
  it('keeps every sample from the one that is shown on, and ends in order', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mmtop-'))
    const file = join(directory, 'run.mmtop')
    const { source, type, lines, text } = await running(2, undefined, path => createRecording(path, source))
    await type('r')
    expect(lines().at(-1)).toContain('record into: fake.mmtop')
    await type(`\x15${file}${ENTER}`)
    expect(text()).toContain('rec ')
    await source.give(await sample(3))
    await type('r')
    expect(text()).not.toContain('● rec')
    const recording = await openRecording(file)
    expect({ count: recording.count, ended: recording.ended, start: recording.startNs }).toEqual({ count: 2, ended: true, start: 2e9 })
    rmSync(directory, { recursive: true })
  })

  it('says why it cannot be', async () => {
    const refuse = () => {
      throw new UserError('there is such a file already', { file: 'x.mmtop' })
    }
    const { type, lines } = await running(2, undefined, refuse)
    await type(`rx${ENTER}`)
    expect(messageOf(lines())).toBe('! x.mmtop: there is such a file already')
  })
})

describe('explanations', () => {
  it('say of any figure what it is, where it is read and who makes it', async () => {
    const { type, text, session } = await running(3)
    await type(`2${DOWN}e`)
    expect(session.screen().figure?.about).toBe('pgfault')
    expect(text()).toContain('/proc/vmstat pgfault')
    expect(text()).toContain('pgfault: 2 000, 1.00k/s')
    const { row = 0 } = session.screen().figure ?? {}
    await type(DOWN)
    expect(session.screen().figure?.row).toBe(row + 1)
    await type(ESC)
    expect(text()).not.toContain('made by')
  })
})

describe('help', () => {
  it('lists every panel and goes back to where it was called', async () => {
    const { type, text, session } = await running(2, { width: 100, height: 140 })
    await type('4?')
    for (const { answers } of VIEWS) expect(text()).toContain(answers)
    await type(ESC)
    expect(
      session
        .screen()
        .body.flat()
        .some(({ text: each }) => each.includes('khugepaged')),
    ).toBe(true)
  })
})

describe('what is broken', () => {
  it('ends the session with the error, a damaged recording only with a word about it', async () => {
    const source = { ...fakeSource(), next: () => Promise.reject(new Error('a bug')) }
    await expect(sit(source).ended).rejects.toThrow('a bug')
    const damaged = { ...fakeSource(), next: () => Promise.reject(new UserError('line 7 is damaged', { file: 'x' })) }
    const { lines } = sit(damaged)
    await settled(60)
    expect(lines().join('\n')).toContain('x: line 7 is damaged')
  })
})
