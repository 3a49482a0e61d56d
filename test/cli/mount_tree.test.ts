/** Real programs over a simulated machine. Those that are not installed are left out, and said so. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bindLine, openTree } from '../../src/cli/mount_tree.ts'
import { serve } from '../../src/cli/serve.ts'
import { feed, type Model, newTracker } from '../../src/sample/model.ts'
import { openDirect } from '../../src/sim/direct.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const root = mkdtempSync(join(tmpdir(), 'mmtop-tree-'))
afterAll(() => rmSync(root, { recursive: true }))

const WORKLOAD = `machine nodes=2 mem=512M,512M cpus=2,2
spawn A cpu=0
A mmap heap 64M
A touch heap write
write /proc/sys/vm/nr_hugepages 8
sleep 100000
`
const namespaces = spawnSync('unshare', ['--mount', 'true']).status === 0
const has = (program: string): boolean => {
  const there = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
  if (!there || !namespaces) console.warn(`${program}: left out, ${there ? 'mount namespaces are not allowed' : 'not installed'}`)
  return there && namespaces
}

describe('a tree of files', () => {
  const openMachine = () => openDirect(parseWorkload(WORKLOAD, 'tree.workload'), {}, { intervalNs: 1e9 })
  const source = openMachine()
  let model: Model | undefined
  const figure = (key: string): number => model?.scalars.get(key) ?? Number.NaN
  const over = (command: string): string => {
    const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', bindLine(join(root, 'tree'), command)], {
      encoding: 'utf8',
    })
    expect({ status, stderr: stderr.replace(/^Token .*\n/gm, '') }).toEqual({ status: 0, stderr: '' })
    return stdout
  }

  beforeAll(async () => {
    const tracker = newTracker(source)
    const next = source.next
    const frames = {
      next: async () => {
        const frame = await next()
        if (frame !== undefined) model = feed(tracker, frame, source.pace())
        return frame
      },
    }
    const watched = openTree({ ...source, ...frames }, join(root, 'tree'))
    await watched.step()
    await watched.step()
  })
  afterAll(() => source.close())

  it('has the files of the machine, and takes what is written into knobs', async () => {
    const [own, machine] = [join(root, 'own'), openMachine()]
    const tree = openTree(machine, own)
    await tree.step()
    const file = join(own, 'proc/sys/vm/swappiness')
    const inode = statSync(file).ino
    const write = async (text: string) => {
      await new Promise(resolve => setTimeout(resolve, 10))
      writeFileSync(file, text)
      await tree.takeWrites()
      return readFileSync(file, 'utf8')
    }
    expect(await write('10')).toBe('10\n')
    expect(await machine.read('/proc/sys/vm/swappiness')).toBe('10\n')
    expect(await write('999')).toBe('10\n')
    await tree.step()
    expect(statSync(file).ino).toBe(inode)
    expect(existsSync(join(own, 'proc/meminfo'))).toBe(true)
  })

  it('is never made where something else is', () => {
    const other = mkdtempSync(join(tmpdir(), 'mmtop-other-'))
    writeFileSync(join(other, 'mine'), '')
    expect(() => openTree(source, other)).toThrow(/there is something in this directory already/)
    rmSync(other, { recursive: true })
  })

  it.skipIf(!has('free'))('is what free reads', () => {
    const [, , total, , free] = /^(Mem:) +(\d+) +(\d+) +(\d+)/m.exec(over('free -b')) ?? []
    expect([Number(total), Number(free)]).toEqual([figure('MemTotal'), figure('MemFree')])
  })

  it.skipIf(!has('vmstat'))('is what vmstat reads', () => {
    const text = over('vmstat -s')
    expect(text).toMatch(new RegExp(`^ *${figure('MemTotal') / 1024} K total memory$`, 'm'))
    expect(text).toMatch(new RegExp(`^ *${figure('MemFree') / 1024} K free memory$`, 'm'))
    expect(text).toMatch(new RegExp(`^ *${figure('pswpout')} pages swapped out$`, 'm'))
    expect(over('vmstat')).toMatch(new RegExp(` ${figure('MemFree') / 1024} `))
  })

  it.skipIf(!has('slabtop'))('is what slabtop reads', () => {
    const slabs = model?.sample.slabs() ?? []
    const objects = slabs.reduce((sum, slab) => sum + slab.objects, 0)
    expect(over('slabtop -o')).toMatch(new RegExp(`Active / Total Objects .*: \\d+ / ${objects} `))
  })

  it.skipIf(!has('numastat'))('is what numastat reads', () => {
    const nodes = model?.sample.nodes() ?? []
    const row = (name: string) => new RegExp(`^${name} +(\\d+) +(\\d+)$`, 'm').exec(over('numastat'))?.slice(1).map(Number)
    expect(row('numa_hit')).toEqual(nodes.map(node => node.numastat.get('numa_hit')))
    const [first, second] = /^MemFree +([\d.]+) +([\d.]+)/m.exec(over('numastat -m'))?.slice(1).map(Number) ?? []
    const free = nodes.map(node => Math.round(((node.meminfo.bytes.get('MemFree') ?? 0) / 2 ** 20) * 100) / 100)
    expect([first, second]).toEqual(free)
  })

  it.skipIf(!has('prometheus-node-exporter'))('is what node_exporter reads, under the names that serve gives', async () => {
    const collectors = ['meminfo', 'meminfo_numa', 'vmstat', 'zoneinfo', 'slabinfo', 'buddyinfo'].map(name => `--collector.${name}`)
    const words = [
      `--path.procfs=${root}/tree/proc`,
      `--path.sysfs=${root}/tree/sys`,
      '--web.listen-address=127.0.0.1:19178',
      '--collector.disable-defaults',
    ]
    const exporter = spawn('prometheus-node-exporter', [...words, ...collectors, '--collector.vmstat.fields=.*'], { stdio: 'ignore' })
    try {
      const theirs = await metricsFrom('http://127.0.0.1:19178/metrics')
      const frames = { ...source, next: once(model) }
      const { url, close } = await serve(frames, 0)
      const ours = await metricsFrom(url)
      await close()
      const compared = [...ours].filter(([name]) =>
        /^node_(vmstat_|memory_\w+_bytes|memory_numa_Mem|buddyinfo|zoneinfo_(min|low|high)|slabinfo_objects)/.test(name),
      )
      expect(compared.length).toBeGreaterThan(200)
      expect(
        compared
          .filter(([name, value]) => theirs.get(name) !== value)
          .map(([name, value]) => `${name}: ${value}, theirs ${theirs.get(name)}`),
      ).toEqual([])
    } finally {
      exporter.kill()
    }
  })
})

/** The frame of a model, and then nothing more until it is closed. */
function once(model: Model | undefined) {
  let given = false
  return async () => {
    if (given) return new Promise<undefined>(resolve => setTimeout(() => resolve(undefined), 1000))
    given = true
    return model?.sample.frame
  }
}

/** "name{labels}" -> value, labels in the order of the alphabet; tries until something answers. */
async function metricsFrom(url: string): Promise<Map<string, number>> {
  for (let tries = 0; ; tries++) {
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok === true) return new Map([...parsed(await response.text())])
    if (tries > 50) throw new Error(`${url} does not answer`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

function* parsed(text: string): Generator<[string, number]> {
  for (const line of text.split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match === null) continue
    const labels = [...(match[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(each => each[0]).sort()
    yield [`${match[1]}{${labels.join(',')}}`, Number(match[3])]
  }
}
