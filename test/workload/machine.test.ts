import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/user_error.ts'
import { machineOf, parseMachineArgument } from '../../src/workload/machine.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

const machine = (header: string, argument = '') => machineOf(parseWorkload(header, 'w'), { machine: parseMachineArgument(argument) })

function errorOf(header: string, argument = ''): string {
  try {
    machine(header, argument)
  } catch (error) {
    if (error instanceof UserError) return error.oneLine
    throw error
  }
  return 'no error'
}

describe('a machine', () => {
  it('has a node of 512M with two CPUs and no disk unless told', () => {
    expect(machine('')).toEqual({
      nodes: [{ memBytes: 512 * MIB, cpus: 2 }],
      distance: [[10]],
      lowmemBytes: undefined,
      swapBytes: 0,
      swapon: true,
      diskBytes: 0,
      modules: [],
      files: [],
      cmdline: [
        ['console', 'ttyS0'],
        ['quiet', undefined],
        ['panic', '-1'],
        ['rootfstype', 'ramfs'],
        ['norandmaps', undefined],
        ['nokaslr', undefined],
        ['nowatchdog', undefined],
        ['random.trust_cpu', 'on'],
        ['raid', 'noautodetect'],
      ],
      cmdlineText: 'console=ttyS0 quiet panic=-1 rootfstype=ramfs norandmaps nokaslr nowatchdog random.trust_cpu=on raid=noautodetect',
      seed: 1,
    })
  })

  it('is what its header says', () => {
    const header = [
      'machine nodes=3 mem=1G,512M,320M cpus=2,1,0 distance=10,15,30,15,10,20,30,20,10 swap=512M swapon=no',
      'machine disk=1G lowmem=1G modules=zram,zsmalloc',
      'cmdline hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=32',
      'cmdline zswap.enabled=1',
      'file a 4M',
      'seed 9',
    ].join('\n')
    expect(machine(header)).toMatchObject({
      nodes: [
        { memBytes: GIB, cpus: 2 },
        { memBytes: 512 * MIB, cpus: 1 },
        { memBytes: 320 * MIB, cpus: 0 },
      ],
      distance: [
        [10, 15, 30],
        [15, 10, 20],
        [30, 20, 10],
      ],
      lowmemBytes: GIB,
      swapBytes: 512 * MIB,
      swapon: false,
      diskBytes: GIB,
      modules: ['zram', 'zsmalloc'],
      files: [{ path: '/mnt/a', bytes: 4 * MIB }],
      seed: 9,
    })
    expect(machine(header).cmdline.slice(9)).toEqual([
      ['hugepagesz', '1G'],
      ['hugepages', '2'],
      ['hugepagesz', '2M'],
      ['hugepages', '32'],
      ['zswap.enabled', '1'],
    ])
    expect(machine(header).cmdlineText).toMatch(/ hugepages=32 zswap\.enabled=1$/)
  })

  it('has distances of 10 and 20 unless told', () => {
    expect(machine('machine nodes=2').distance).toEqual([
      [10, 20],
      [20, 10],
    ])
  })

  it('takes single keys from the command line, and the seed', () => {
    const header = 'machine nodes=1 mem=1G swap=1G\nseed 3'
    expect(machine(header, 'nodes=2 mem=4G,4G')).toMatchObject({ nodes: [{ memBytes: 4 * GIB }, { memBytes: 4 * GIB }], swapBytes: GIB })
    expect(machine(header, 'swap=0')).toMatchObject({ swapBytes: 0 })
    expect(machineOf(parseWorkload(header, 'w'), { seed: 5 }).seed).toBe(5)
    expect(machine(header).seed).toBe(3)
  })

  it('may have up to 8 nodes and 4 TiB', () => {
    expect(machine('machine nodes=8 mem=' + Array(8).fill('512G').join()).nodes).toHaveLength(8)
  })
})

describe('a machine that cannot exist', () => {
  it.each([
    ['machine nodes=0', 'w:1:15: a machine has 1 to 8 nodes, not "0"'],
    ['machine nodes=9', 'w:1:15: a machine has 1 to 8 nodes, not "9"'],
    ['machine nodes=two', 'w:1:15: "two" is not a number'],
    ['machine nods=2', 'w:1:9: unknown machine key "nods": did you mean "nodes"?'],
    ['machine nodes', 'w:1:9: nodes= needs a value'],
    ['machine nodes=', 'w:1:9: nodes= needs a value'],
    ['machine nodes=2 mem=1G', 'w:1:21: mem lists 1 value for 2 nodes'],
    ['machine mem=1G,1G', 'w:1:13: mem lists 2 values for 1 node'],
    ['machine nodes=2 cpus=1,2,3', 'w:1:22: cpus lists 3 values for 2 nodes'],
    ['machine mem=0', 'w:1:13: a node has from 64M to 4096G of memory, not "0"'],
    ['machine nodes=2 mem=1G,99999G', 'w:1:24: a node has from 64M to 4096G of memory, not "99999G"'],
    ['machine mem=64M', 'w:1:13: a machine needs at least 128M of memory'],
    ['machine mem=513M,', 'w:1:18: "" is not a size (such as 4096, 64K, 2M, 1G, 0x1000)'],
    ['machine mem=1048577K', 'w:1:13: "1048577K": memory comes in whole megabytes'],
    ['machine nodes=2 mem=4096G,64M', 'w:1:21: a machine has at most 4096G of memory'],
    ['machine cpus=0', 'w:1:14: a machine needs a CPU'],
    ['machine nodes=2 cpus=0,0', 'w:1:22: a machine needs a CPU'],
    ['machine cpus=1025', 'w:1:14: "1025" is not between 0 and 1024'],
    ['machine cpus=-1', 'w:1:14: "-1" is not a number'],
    ['machine nodes=2 bandwidth=20G', 'w:1:27: bandwidth lists 1 value for 2 nodes'],
    ['machine bandwidth=5M', 'w:1:19: memory moves from 1G to 4096G a second, not "5M"'],
    ['machine nodes=2 distance=10,20,20', 'w:1:26: distance lists 3 values; 2 nodes need 4'],
    ['machine nodes=2 distance=10,20,21,10', 'w:1:26: the distance from node 0 to node 1 is 20, but 21 on the way back'],
    ['machine nodes=2 distance=11,20,20,10', 'w:1:26: the distance from node 0 to node 0 is 10, not 11'],
    ['machine nodes=2 distance=10,10,10,10', 'w:1:26: the distance from node 0 to node 1 is 10: it must be from 11 to 254'],
    ['machine nodes=2 distance=10,255,255,10', 'w:1:26: the distance from node 0 to node 1 is 255: it must be from 11 to 254'],
    ['machine swap=4K', 'w:1:14: a disk has from 1M to 65536G, not "4K"'],
    ['machine lowmem=8G', 'w:1:16: memory below 4 GiB is from 128M to 4G, not "8G"'],
    ['machine swapon=maybe', 'w:1:16: unknown value "maybe": it is one of yes no'],
    ['machine modules=z/../ram', 'w:1:17: "z/../ram" is no module\'s name'],
    ['sync\nfile f 4M', 'w:2:6: the file "f" needs a disk: disk=SIZE on the machine line'],
    ['machine disk=8M\nfile f 4M\nfile g 5M', 'w:3:6: the disk is too small for the file "g"'],
  ])('%j', (header, message) => {
    expect(errorOf(header)).toBe(message)
  })

  it('is refused on the command line, with the place there', () => {
    expect(errorOf('', 'nodes=2 mem=1G')).toBe('--machine:1:13: mem lists 1 value for 2 nodes')
    expect(errorOf('machine mem=1G', 'nodes=2')).toBe('w:1:13: mem lists 1 value for 2 nodes')
    expect(errorOf('', 'nodes=9')).toBe('--machine:1:7: a machine has 1 to 8 nodes, not "9"')
  })
})
