import { beforeAll, describe, expect, it } from 'vitest'
import { feed, type Model, newTracker } from '../../src/sample/model.ts'
import { flagsForPath, parseAreaMaps, parsePageMap, parsePageTypes } from '../../src/sample/parse/pages.ts'
import { parseWorkingSet } from '../../src/sample/parse/working_set.ts'
import type { Frame, Source } from '../../src/sample/source.ts'
import { openDirect } from '../../src/sim/direct.ts'
import { drawPanel } from '../../src/view/chart_text.ts'
import { pageTypesLines } from '../../src/view/page_tools.ts'
import { DEFAULT_UI, type Panel, type PanelUi, plain } from '../../src/view/panel.ts'
import { TABLES } from '../../src/view/tables.ts'
import { VIEWS } from '../../src/view/views.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const GUESTS = `machine mem=512M cpus=2
cmdline transparent_hugepage=never
write /sys/kernel/mm/ksm/pages_to_scan 20000
write /mmtop/working_set 500
spawn A
A mmap ram 8M
A touch ram write content=page
A madvise ram mergeable
spawn B
B mmap ram 8M
B touch ram write content=page
B madvise ram mergeable
write /sys/kernel/mm/ksm/run 1
sleep 3s
B touch ram read 0 2M
sleep 600
`

interface Machine {
  readonly source: Source
  readonly frames: readonly Frame[]
}

/** A simulation that came to its end, and its frames. */
async function runToEnd(text: string): Promise<Machine> {
  const source = openDirect(parseWorkload(text, 'test'), {}, { intervalNs: 5e8 })
  const frames: Frame[] = []
  for (let frame = await source.next(); frame !== undefined; frame = await source.next()) frames.push(frame)
  return { source, frames }
}

/** The model of its last frame, with these files too. */
async function modelOf({ source, frames }: Machine, paths: readonly string[]): Promise<Model> {
  const last = frames[frames.length - 1]
  const more = await Promise.all(paths.map(async path => [path, await source.read(path)] as const))
  const files = new Map([...last.files, ...more.flatMap(([path, text]) => (text === undefined ? [] : [[path, text] as const]))])
  const tracker = newTracker(source)
  const models = [...frames.slice(0, -1), { ...last, files }].map(frame => feed(tracker, frame, source.pace()))
  return models[models.length - 1]
}

const viewOf = (name: string) => VIEWS.find(view => view.name === name)?.panel ?? VIEWS[0].panel
const SIZE = { width: 110, height: 34 }
const uiOf = (ui: Partial<PanelUi>): PanelUi => ({ ...DEFAULT_UI, ...ui })

let guests: Machine
beforeAll(async () => {
  guests = await runToEnd(GUESTS)
})

async function shown(name: string, ui: Partial<PanelUi> = {}, machine = guests): Promise<{ panel: Panel; text: string; model: Model }> {
  const wanted = viewOf(name)(await modelOf(machine, []), uiOf(ui), SIZE).wants
  const model = await modelOf(machine, wanted)
  const panel = viewOf(name)(model, uiOf(ui), SIZE)
  const rows = drawPanel(panel, false).map(row => plain(row).trimEnd())
  return { panel, model, text: rows.join('\n') }
}

describe('the panel of KSM', () => {
  it('says what is saved, the two ratios, and who has merged pages', async () => {
    const { text } = await shown('ksm')
    expect(text).toMatch(/8\.00M saved, 50% of the 16\.0M that it knows/)
    expect(text).toMatch(/sharing:shared +1\.0/)
    expect(text).toMatch(/unshared:sharing +0\.0/)
    expect(text).toMatch(/A +2\.05k +2\.05k +100%/)
    expect(text).toMatch(/run .*1/)
  })
})

describe('the panel of physical memory', () => {
  it('draws all of it in cells, with a sign for what is in each', async () => {
    const { text, panel } = await shown('pages')
    expect(text).toMatch(/page frames 0 to 131\d+: 512M in/i)
    expect(text).toMatch(/x merged \(KSM\)/)
    expect(panel.list?.ids[0]).toMatch(/^0-\d+$/)
  })

  it('comes closer with each row that is opened, down to one page and its story', async () => {
    const { panel, model } = await shown('pages')
    const inner = await shown('pages', { open: panel.list?.ids[20] ?? '' })
    expect(inner.panel.list?.ids.length).toBeGreaterThan(5)
    const merged = [...model.sample.frame.files.values()]
      .flatMap(text => parsePageMap(text)?.cells ?? [])
      .find(cell => cell.kinds.has('ksm'))
    const [start, end] = [merged?.start ?? 0, merged?.end ?? 0]
    const list = await shown('pages', { open: `${start}-${end}` })
    expect(list.panel.list?.ids).toHaveLength(end - start)
    const one = [...list.model.sample.frame.files.values()]
      .flatMap(text => parsePageMap(text)?.cells ?? [])
      .find(cell => cell.kinds.has('ksm') && cell.end - cell.start === 1)?.start
    const story = await shown('pages', { open: `${Number(one)}-${Number(one) + 1}` })
    expect(story.text).toMatch(/kind +ksm/)
    expect(story.text).toMatch(/mapcount +2/)
    expect(story.text.match(/^mapped /gm)).toHaveLength(2)
  })

  it('shows owners, nodes or largest free blocks instead, by the sort column', async () => {
    for (const mode of ['owner', 'node', 'order'])
      expect((await shown('pages', { sort: { key: mode, descending: false } })).text).toContain(`by ${mode}`)
  })

  it('gives frames by kind to the headless formats', async () => {
    const { model } = await shown('pages')
    const table = TABLES.pages(model)
    const of = (kind: string) => table.rows.find(([first]) => first === kind)?.[1]
    expect(of('ksm')).toBe(2048)
    expect(table.rows.reduce((sum, [, frames]) => sum + Number(frames), 0)).toBeGreaterThan(131000)
  })
})

describe('the panel of working sets', () => {
  it('tells pages that were used from those that were not for many rounds', async () => {
    const { text } = await shown('workingset')
    expect(text).toMatch(/were used in the last round of 500 ms/)
    expect(text).toMatch(/A \d+ +\S+ +of 8\.\d+M/)
  })

  it('says how it is switched on', async () => {
    expect((await shown('workingset', {}, await runToEnd('machine mem=256M\nsleep 100\n'))).text).toMatch(
      /The estimator is off: ":write \/mmtop\/working_set 1000"/,
    )
  })
})

describe('a process, opened', () => {
  it('has lines over one another for its pages: present, soft-dirty, idle, merged', async () => {
    const pid = (await shown('processes')).model.sample.tasks().find(task => task.named?.name === 'B')?.pid ?? 0
    const { text } = await shown('processes', { open: String(pid) })
    expect(text).toMatch(/pages of the area at 200000000000/)
    expect(text).toMatch(/^present +2\.05k █+$/m)
    expect(text).toMatch(/^ksm +2\.05k █+$/m)
    expect(text).toMatch(/^idle +\S+ .*█/m)
  })
})

describe('pages as the page-types tool counts them', () => {
  it('are all of memory by flags, and shared out among processes', async () => {
    const model = await modelOf(guests, ['/mmtop/pages/types/all/-', '/mmtop/pages/types/all/KSM,!DIRTY'])
    const text = model.sample.frame.files.get('/mmtop/pages/types/all/-') ?? ''
    const types = parsePageTypes(text)
    expect(types.pages).toBe(types.flags.reduce((sum, { pages }) => sum + pages, 0))
    const [a, b] = types.owners.filter(({ kind }) => kind === 'task').slice(-2)
    expect([a.pages * 4096 - a.pssBytes, b.pages * 4096 - b.pssBytes].map(bytes => Math.floor(bytes / 2 ** 22))).toEqual([1, 1])
    const lines = pageTypesLines(types).join('\n')
    expect(lines).toMatch(/0x[0-9a-f]{16} +2048 +8 .*mmap,anonymous,swapbacked,ksm/)
    expect(parsePageTypes(model.sample.frame.files.get('/mmtop/pages/types/all/KSM,!DIRTY') ?? '').pages).toBe(0)
  })

  it('take flags by the names of the kernel and of the tool', () => {
    expect(flagsForPath(['anon,lru', '!active'])).toBe('ANON,LRU,!ACTIVE')
    expect(flagsForPath(['anonymous', '~idle_page'])).toBe('ANON,!IDLE')
    expect(flagsForPath([])).toBe('-')
    expect(flagsForPath(['anno'])).toBe('?anno')
  })
})

describe('texts about pages that make no sense', () => {
  it('are read as far as they do', () => {
    expect(parsePageMap('nonsense\n')).toBeUndefined()
    expect(parseAreaMaps('c 5 present=1\narea x y\n\x1b[2J\n')).toHaveLength(1)
    expect(parseWorkingSet('interval x\ntask 1 a 2\n')).toEqual({ intervalMs: 0, rounds: 0, tasks: [], cgroups: [] })
    expect(parsePageTypes('')).toMatchObject({ pages: 0, flags: [] })
  })
})
