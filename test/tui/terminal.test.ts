/** The command as a user has it, in a terminal of its own: whatever ends it, the terminal is given back. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IPty, spawn } from '@lydell/node-pty'
import { Terminal as Xterm } from '@xterm/headless'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixturePath } from '../fixtures/load.ts'

const dir = mkdtempSync(join(tmpdir(), 'mmtop-'))
const command = join(dir, 'dist/mmtop.js')
beforeAll(() => {
  execFileSync('node', [new URL('../../src/build.mjs', import.meta.url).pathname, '--quiet', '--out', join(dir, 'dist')])
})
afterAll(() => rmSync(dir, { recursive: true }))

interface Run {
  readonly pty: IPty
  /** Everything written so far. */
  readonly bytes: () => string
  readonly until: (pattern: RegExp) => Promise<void>
  readonly exit: Promise<number>
}

function run(env: Readonly<Record<string, string>> = {}, words: readonly string[] = ['play', fixturePath('zswap-lzo')]): Run {
  const pty = spawn(process.execPath, [command, ...words], {
    cols: 80,
    rows: 24,
    env: { ...inherited, TERM: 'xterm-256color', LANG: 'C.UTF-8', ...env },
  })
  let bytes = ''
  pty.onData(data => {
    bytes += data
  })
  const exit = new Promise<number>(resolve => pty.onExit(({ exitCode, signal }) => resolve(signal ? 1000 + signal : exitCode)))
  const until = async (pattern: RegExp) => {
    for (let waited = 0; !pattern.test(bytes); waited += 20) {
      if (waited > 15_000) throw new Error(`never saw ${pattern} in ${JSON.stringify(bytes.slice(-2000))}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  return { pty, bytes: () => bytes, until, exit }
}

/** What the test runner says about colours is not meant for the terminal here. */
const { NO_COLOR: _, FORCE_COLOR: __, ...inherited } = process.env

/** Node options that run some code shortly after the terminal has been taken. */
function later(code: string): string {
  const hook = `const write=process.stdout.write;process.stdout.write=function(text,...rest){if(String(text).includes('1049h'))setTimeout(()=>{${code}},300);return write.call(this,text,...rest)}`
  return `--import=data:text/javascript,${encodeURIComponent(hook)}`
}

/** The screens are there. */
const FIGURES = /quit[\s\S]*help/

/** What the terminal is like after these bytes. */
async function terminalAfter(bytes: string) {
  const xterm = new Xterm({ cols: 80, rows: 24, allowProposedApi: true })
  await new Promise<void>(resolve => xterm.write(bytes, resolve))
  const { wraparoundMode, bracketedPasteMode } = xterm.modes
  const text = Array.from({ length: 24 }, (_, y) => xterm.buffer.active.getLine(y)?.translateToString(true) ?? '').join('\n')
  return { screen: xterm.buffer.active.type, wraparoundMode, bracketedPasteMode, text }
}

async function expectGivenBack(bytes: string): Promise<string> {
  for (const sequence of ['\x1b[?1049l', '\x1b[?25h', '\x1b[?7h', '\x1b[?2004l']) expect(bytes).toContain(sequence)
  expect(bytes.lastIndexOf('\x1b[?25h')).toBeGreaterThan(bytes.lastIndexOf('\x1b[?25l'))
  const { text, ...modes } = await terminalAfter(bytes)
  expect(modes).toEqual({ screen: 'normal', wraparoundMode: true, bracketedPasteMode: false })
  return text
}

describe.concurrent('the terminal', () => {
  it('is taken: alternate screen, no cursor, no wrapping; and every frame is one write that waits for its end', async () => {
    const { pty, bytes, until, exit } = run()
    await until(FIGURES)
    const { screen, wraparoundMode, text } = await terminalAfter(bytes())
    expect({ screen, wraparoundMode }).toEqual({ screen: 'alternate', wraparoundMode: false })
    expect(bytes()).toContain('\x1b[?25l')
    expect(text).toContain('mmtop zswap-lzo')
    expect(bytes().split('\x1b[?2026h').length).toBe(bytes().split('\x1b[?2026l').length)
    expect(bytes().match(/\x1b\[2J/g)?.length).toBe(1)
    pty.write('q')
    expect(await exit).toBe(0)
    expect(await expectGivenBack(bytes())).toBe('\n'.repeat(23))
  })

  it('shows a machine that runs as fast as it can, and pauses it at once', async () => {
    const { pty, until, exit } = run({}, ['--speed', 'max', 'workloads/tour.workload'])
    await until(FIGURES)
    pty.write(' ')
    await until(/paused/)
    pty.write('q')
    expect(await exit).toBe(0)
  })

  it.each([
    ['ctrl-c', '\x03', 130],
    ['q', 'q', 0],
  ])('is given back on %s', async (_name, key, status) => {
    const { pty, bytes, until, exit } = run()
    await until(FIGURES)
    pty.write(key)
    expect(await exit).toBe(status)
    await expectGivenBack(bytes())
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ])('is given back on %s', async (signal, status) => {
    const { pty, bytes, until, exit } = run()
    await until(FIGURES)
    pty.kill(signal)
    expect(await exit).toBe(status)
    await expectGivenBack(bytes())
  })

  it('is given back when something is thrown, and then it is said what', async () => {
    const { bytes, exit } = run({ NODE_OPTIONS: later('throw new Error("boom")') })
    expect(await exit).toBe(70)
    expect(await expectGivenBack(bytes())).toContain('a bug: Error: boom')
    expect(bytes().indexOf('boom')).toBeGreaterThan(bytes().lastIndexOf('\x1b[?1049l'))
  })

  it('keeps what is printed from the screen until it is given back', async () => {
    const { pty, bytes, until, exit } = run({ NODE_OPTIONS: later('console.log("chatter %d",7)') })
    await until(FIGURES)
    await new Promise(resolve => setTimeout(resolve, 600))
    expect(bytes()).not.toContain('chatter')
    pty.write('q')
    await exit
    expect(await expectGivenBack(bytes())).toContain('chatter 7')
  })

  it('is given back while stopped, and taken again after', async () => {
    const { pty, bytes, until, exit } = run()
    await until(FIGURES)
    pty.write('\x1a')
    // Nobody can stop the leader of a session, so it goes on by itself.
    await until(/\x1b\[\?1049l[\s\S]*\x1b\[\?1049h[\s\S]*\x1b\[\?2026l/)
    pty.write('q')
    expect(await exit).toBe(0)
    await expectGivenBack(bytes())
  })

  it('is cleared once for each new size, and filled anew', async () => {
    const { pty, bytes, until, exit } = run()
    await until(FIGURES)
    const before = bytes().length
    pty.resize(60, 20)
    await until(/\x1b\[2J[\s\S]*\x1b\[2J[\s\S]*\x1b\[20;1H/)
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(
      bytes()
        .slice(before)
        .match(/\x1b\[2J/g)?.length,
    ).toBe(1)
    expect(bytes().slice(before)).not.toContain('\x1b[3J')
    pty.write('q')
    expect(await exit).toBe(0)
  })

  it('that can do nothing gets lines, and nothing that it could not show', async () => {
    const { bytes, exit } = run({ TERM: 'dumb' })
    expect(await exit).toBe(0)
    expect(bytes()).toMatch(/^mmtop zswap-lzo\. Type help for what can be typed\.\r?\n.* overview: 427M of 455M free/s)
    expect(bytes()).not.toContain('\x1b')
  })
})
