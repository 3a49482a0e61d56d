import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRecording } from '../../src/recording/writer.ts'
import { fixturePath } from '../fixtures/load.ts'

const dir = mkdtempSync(join(tmpdir(), 'mmtop-'))
const command = join(dir, 'dist/mmtop.js')
const recording = fixturePath('zswap-lzo')
afterAll(() => rmSync(dir, { recursive: true }))
beforeAll(() => {
  execFileSync('node', [new URL('../../src/build.mjs', import.meta.url).pathname, '--quiet', '--out', join(dir, 'dist')])
}, 60_000)

function run(...words: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync('node', [command, ...words], { encoding: 'utf8', env: { ...process.env, LANG: 'C' } })
  return { status, out: stdout, err: stderr }
}

describe('the command', () => {
  it('explains itself', () => {
    const { status, out, err } = run('--help')
    expect({ status, err }).toEqual({ status: 0, err: '' })
    for (const name of ['play', 'record', 'snapshot', 'cat', 'check', 'tunables', 'explain'])
      expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'))
    expect(run('snapshot', '--help').out).toMatch(/--expect <expectation>/)
    expect(run('--version').out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('answers wrong words in one line, with status 2 and nothing on stdout', () => {
    const wrong: [string[], RegExp][] = [
      [['--bogus'], /unknown option '--bogus'/],
      [['snapsho'], /no command "snapsho", did you mean "snapshot"\?/],
      [['snapshot', '--formt', 'csv', recording], /unknown option '--formt' \(Did you mean --format\?\)/],
      [['snapshot', '--format', 'xml', recording], /Allowed choices are text, csv, json, openmetrics/],
      [['snapshot', '--at', 'soon', recording], /--at: "soon" is no time/],
      [['snapshot', '--view', 'thpp', recording], /no view "thpp", did you mean "thp"\?/],
      [['snapshot', '--count', '0', recording], /--count: "0" is no count/],
      [['snapshot', '--expect', 'pgfalt > 1', recording], /did you mean "pgfault"\?/],
      [['snapshot', '--set', 'swappiness', recording], /--set: "swappiness" is no setting/],
      [['cat', recording, '/proc/vmstatt'], /no file "\/proc\/vmstatt", did you mean "\/proc\/vmstat"\?/],
      [['cat', recording], /missing required argument 'path'/],
      [['record', recording], /required option '-o, --output <file>' not specified/],
      [['check', join(dir, 'nothing')], /no such file/],
      [['check', dir], /is a directory/],
      [['import', 'perf', dir, '-o', join(dir, 'x')], /cannot be read: EISDIR/],
      [['import', 'perf', join(dir, 'nothing'), '-o', join(dir, 'x')], /cannot be read: ENOENT/],
      [['record', 'host', '-n', '1', '-o', join(dir, 'no/where')], /no\/where: cannot be written: ENOENT/],
      [['record', 'host', '-n', '1', '--raw', '-o', join(dir, 'no/where')], /no\/where: cannot be written: ENOENT/],
      [['slab', recording, '--plot', 'totals', '-o', join(dir, 'no/where.svg')], /no\/where.svg: cannot be written: ENOENT/],
      [['slab', recording, '--plot', 'totals', '-o', join(dir, 'x.gif')], /a plot is written as .svg or .png/],
      [['mount-tree', '/etc', recording], /there is something in this directory already/],
      [['mount-tree', '/proc/nowhere', recording], /cannot be written: ENOENT/],
      [['serve', '--port', '99999'], /--port: "99999" is no port/],
      [['snapshot', '/etc'], /is a directory/],
      [['snapshot', recording, '--fields', 'nonsense'], /has no column "nonsense"/],
      [['snapshot', recording, '--view', 'vmstat', '--filter', '/(/'], /--filter: not a regular expression/],
      [['tunables', '/(/', '--of', recording], /--filter: not a regular expression/],
      [['pages', recording, 'nosuch'], /of simulated machines only/],
      [['--plain', '--config', dir, recording], /cannot be read: EISDIR/],
    ]
    for (const [words, message] of wrong) {
      const { status, out, err } = run(...words)
      expect({ words, status, out, lines: err.trimEnd().split('\n').length }).toEqual({ words, status: 2, out: '', lines: 1 })
      expect(err).toMatch(message)
    }
  })

  it('says when another program has the port, and ends', async () => {
    const { createServer } = await import('node:net')
    const other = createServer()
    await new Promise<void>(done => void other.listen(0, '127.0.0.1', done))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? String(address.port) : ''
    const { status, err } = run('serve', '--port', port, recording)
    other.close()
    expect({ status, err }).toEqual({ status: 2, err: expect.stringMatching(/^mmtop: port \d+: EADDRINUSE.*\n$/) })
  })

  it('refuses files that are no good, with the place', () => {
    const file = join(dir, 'bad')
    for (const [content, message] of [
      [Buffer.alloc(0), /the file is empty/],
      [Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), /compressed data/],
      [Buffer.from('{"event":"header"'), /bad:1: not a recording/],
      [readFileSync(recording).subarray(0, 6000), /bad:\d+: the file is cut/],
    ] as const) {
      writeFileSync(file, content)
      const { status, out, err } = run('snapshot', file)
      expect({ status, out }).toEqual({ status: 2, out: '' })
      expect(err).toMatch(message)
    }
  })

  it('prints a snapshot, the same bytes in any locale, time zone and speed', () => {
    const text = run('snapshot', recording, '--at', '2.7s', '--view', 'memory').out
    expect(text).toMatch(/^mmtop zswap-lzo .*00:00:02\.679/)
    const elsewhere = spawnSync('node', [command, 'snapshot', recording, '--at', '2.7s', '--view', 'memory', '--speed', '100'], {
      encoding: 'utf8',
      env: { ...process.env, LANG: 'de_DE.UTF-8', TZ: 'Asia/Tokyo' },
    })
    expect(elsewhere.stdout).toBe(text)
    expect(run(recording).out).toBe(run('snapshot', recording).out)
  })

  it('judges expectations by its exit status alone', () => {
    expect(run('snapshot', recording, '--expect', 'zswpout >= 1K', '--expect', '/proc/vmstat:pswpout >= +16K')).toEqual({
      status: 0,
      out: '',
      err: '',
    })
    const { status, out, err } = run('snapshot', recording, '--expect', 'oom_kill >= 1')
    expect({ status, out, err }).toEqual({ status: 1, out: '', err: 'mmtop: expected oom_kill >= 1: oom_kill is 0\n' })
  })

  it('gives series as CSV and JSON', () => {
    const csv = run('snapshot', recording, '--every', '1s', '--format', 'csv', '--view', 'vmstat').out.trimEnd().split('\r\n')
    expect(csv[0]).toMatch(/^time_ns,nr_free_pages,/)
    expect(csv.length).toBe(5)
    const json = run('snapshot', recording, '--count', '3', '--format', 'json').out.trimEnd().split('\n')
    expect(json.map(line => JSON.parse(line).time_ns)).toEqual([3880381, 187440837, 606950324].map(() => expect.any(Number)))
    expect(run('snapshot', recording, '--format', 'openmetrics').out).toMatch(/# EOF\n$/)
    expect(run('-b', '-n', '2', recording).out.match(/^mmtop zswap-lzo/gm)?.length).toBe(2)
  })

  it('prints a file exactly, and the knobs', () => {
    expect(run('cat', recording, '/proc/swaps', '--at', '0').out).toBe(
      'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda                                partition\t524284\t\t0\t\t-2\n',
    )
    const { out } = run('tunables', 'swappiness', '--of', recording)
    expect(out).toMatch(/^knob .*\nvm\/swappiness +60 /)
  })

  it('explains a figure by name', () => {
    expect(run('explain', 'thp_split_pmd').out).toBe(
      'thp_split_pmd: Huge entries split into a table of small ones; the page stays whole\n  unit    count, growing since boot\n' +
        '  source  /proc/vmstat thp_split_pmd\n  kernel  mm/huge_memory.c __split_huge_pmd_locked\n',
    )
    expect(run('explain', 'pss_bytes').out).toMatch(/each shared page divided by its users/)
    expect(run('explain', 'thp_split_pmds')).toEqual({
      status: 2,
      out: '',
      err: 'mmtop: no figure "thp_split_pmds", did you mean "thp_split_pmd"?\n',
    })
  })

  it('finds a moment in a long recording with its rates and totals', () => {
    const file = join(dir, 'long.mmtop')
    const recorder = createRecording(file, { kind: 'simulation', title: 'long', tunables: [] })
    for (let i = 0; i < 500; i++)
      recorder.append({ ns: i * 1e9, files: new Map([['/proc/vmstat', `pgfault ${i * i}\nnr_free_pages ${500 - i}\n`]]) })
    recorder.close()
    const [head, row] = run('snapshot', file, '--at', '300.5s', '--view', 'vmstat', '--format', 'csv').out.split('\r\n')
    expect(`${head}\n${row}`).toBe(`time_ns,pgfault,pgfault_per_second,nr_free_pages\n300000000000,90000,${300 ** 2 - 299 ** 2},200`)
    expect(run('snapshot', file, '--at', '300.5s', '--expect', 'pgfault >= +90000', '--expect', 'nr_free_pages <= +-300').status).toBe(0)
    expect(run('snapshot', file, '--at', '1h', '--expect', 'nr_free_pages == 1').err).toBe('mmtop: the source ended at 00:08:19.000\n')
    const every = run('snapshot', file, '--at', '10s', '--every', '100s', '--count', '3', '--format', 'csv', '--view', 'vmstat')
      .out.trimEnd()
      .split('\r\n')
      .slice(1)
    expect(every.map(line => line.split(',')[0])).toEqual(['10000000000', '110000000000', '210000000000'])
  })

  it('turns a raw recording into its own format, which tells the same', () => {
    const own = join(dir, 'own.mmtop')
    expect(run('record', recording, '-o', own)).toEqual({ status: 0, out: '', err: '' })
    expect(run('check', own).out).toMatch(/: recording, 10 samples from 00:00:00\.003 to 00:00:02\.798, at most \d+ files each\n$/)
    expect(run('snapshot', own, '--format', 'json', '--at', '2.7s').out.replace('"own.mmtop"', '"zswap-lzo"')).toBe(
      run('snapshot', recording, '--format', 'json', '--at', '2.7s').out,
    )
  })

  it('plays a recording that was cut, and says so', () => {
    const own = join(dir, 'whole.mmtop')
    const cut = join(dir, 'cut.mmtop')
    run('record', recording, '-o', own)
    copyFileSync(own, cut)
    writeFileSync(cut, readFileSync(own).subarray(0, readFileSync(own).length - 400))
    expect(run('snapshot', cut, '--view', 'thp').err).toMatch(/not ended in order/)
    expect(run('snapshot', cut, '--view', 'thp').status).toBe(0)
    expect(run('check', cut)).toMatchObject({ status: 2, out: '' })
    expect(run('check', cut).err).toMatch(/the end is missing: recording, \d samples .* can be played/)
  })

  it('prints rows as vmstat does, some columns of some rows, and what differs between two', () => {
    const rows = run('vmstat', recording, '--fields', 'pgfault,MemFree', '0.1', '3').out.trimEnd().split('\n')
    expect(rows[0]).toBe('    time pgfault/s MemFree')
    expect(rows.length).toBe(4)
    expect(run('vmstat', recording, '1', '2', '3').err).toMatch(/vmstat takes a target, a delay in seconds and a count/)
    const top = run('snapshot', recording, '--view', 'zones', '--fields', 'zone,free_pages', '--sort', 'free_pages', '--top', '1')
    expect(top.out).toMatch(/^zone +free_pages\n\w+ +\d+\n$/)
    expect(run('snapshot', recording, '--format', 'csv', '--view', 'zones', '--fields', 'zon').err).toMatch(/did you mean "zone"/)
    const other = fixturePath('thp-fault-always')
    expect(run('diff', recording, other, '--filter', 'pgfault', '--top', '1').out).toMatch(
      /^a: .*\nb: .*\nname +a +b +difference +ratio\n\S*pgfault_per_second /,
    )
    expect(run('diff', recording, recording).out).toMatch(/no difference\n$/)
  })

  it('watches the machine that it runs on', () => {
    const { status, out, err } = run('snapshot', 'host', '--delay', '0.05', '--view', 'memory')
    expect({ status, err }).toEqual({ status: 0, err: '' })
    expect(out).toMatch(/ live /)
    for (const [words, file] of [
      [[], 'host.mmtop'],
      [['--raw'], 'host.ndjson'],
    ] as const) {
      expect(run('record', 'host', ...words, '-d', '0.05', '-n', '3', '-o', join(dir, file))).toEqual({ status: 0, out: '', err: '' })
      expect(run('check', join(dir, file)).out).toMatch(/recording, 3 samples/)
      expect(run('snapshot', join(dir, file), '--expect', 'MemTotal > 0').status).toBe(0)
    }
    expect(run('snapshot', 'host', '--seed', '1').err).toMatch(/--seed is for simulated machines, not for the host/)
  })

  it('ends quietly when its reader goes away', async () => {
    const child = spawn(
      'sh',
      ['-c', `node ${command} -b ${recording} ${recording} 2>&1; node ${command} -b ${recording} | head -1; echo "$?"`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let out = ''
    child.stdout.on('data', chunk => {
      out += String(chunk)
    })
    const errors: string[] = []
    child.stderr.on('data', chunk => errors.push(String(chunk)))
    await new Promise(resolve => child.on('close', resolve))
    expect(out).toMatch(/too many arguments.*\nmmtop zswap-lzo[^\n]*\n0\n$/is)
    expect(errors).toEqual([])
  })
})
