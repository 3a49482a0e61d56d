/**
 * numa_memory_policy.rst, sentence by sentence, in its old and its newer version: every rule and every worked example that can be seen from
 * outside, as programs. What cpusets do is in the last part; where the document and Linux 6.1 part, Linux is right and the test says so.
 */
import { describe, expect, it } from 'vitest'
import { told } from './lab.ts'

const PAGES_8K = 8 * 256

describe('Scope of Memory Policies', () => {
  it('System Default Policy: when the system is up and running it is local allocation', () => {
    const { nodes } = told(`spawn A cpu=1
      A mmap R 8M
      A touch R write
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 1: PAGES_8K })
  })

  it('System Default Policy: during boot up it interleaves allocations across all nodes', () => {
    const { counter } = told('sample up')
    expect(counter('/sys/devices/system/node/node0/numastat', 'interleave_hit', 'up')).toBeGreaterThan(100)
    expect(counter('/sys/devices/system/node/node1/numastat', 'interleave_hit', 'up')).toBeGreaterThan(100)
  })

  it('Task/Process Policy: controls all allocations of the task that no more specific scope controls', () => {
    const { nodes } = told(`spawn A cpu=0
      A set_mempolicy bind:1
      A mmap R 8M
      A mmap S 8M
      A mbind S bind:0
      A touch R write
      A touch S write
      A pagemap R
      A pagemap S`)
    expect(nodes('A R')).toEqual({ 1: PAGES_8K })
    expect(nodes('A S')).toEqual({ 0: PAGES_8K })
  })

  it('Task/Process Policy: is inherited across fork, and the parent may change its own without changing the child', () => {
    const { line, nodes } = told(`spawn A cpu=0
      A set_mempolicy bind:1
      fork A B
      A set_mempolicy default
      B get_mempolicy
      B mmap R 8M
      B touch R write
      B pagemap R`)
    expect(line('B get_mempolicy')).toMatchObject({ mode: 'bind', nodes: '0x2' })
    expect(nodes('B R')).toEqual({ 1: PAGES_8K })
  })

  it('Task/Process Policy: applies only to pages allocated after it was installed', () => {
    const { nodes } = told(`spawn A cpu=0
      A mmap R 8M
      A touch R write 0 4M
      A set_mempolicy bind:1
      A touch R write
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 0: 1024, 1: 1024 })
  })

  it('VMA Policy: governs a region; other regions fall back to the task policy, and that to the default', () => {
    const { nodes } = told(`spawn A cpu=0
      A mmap R 8M
      A mbind R bind:1 0 4M
      A touch R write
      A pagemap R 0 4M
      A pagemap R 4M 4M`)
    expect(nodes('A R 0 4M')).toEqual({ 1: 1024 })
    expect(nodes('A R 4M 4M')).toEqual({ 0: 1024 })
  })

  it('VMA Policy: is ignored by a shared file mapping, whose pages follow the task policy', () => {
    const { nodes } = told(`machine nodes=2 mem=96M,96M cpus=1,1 disk=64M
      cmdline transparent_hugepage=never
      file f 4M
      spawn A cpu=0
      A mmap R 4M file=/mnt/f flags=shared
      A mbind R bind:1
      A touch R read
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 0: 1024 })
  })

  it('VMA Policy: of a private file mapping is applied when an anonymous page is allocated at Copy-On-Write', () => {
    const { nodes } = told(`machine nodes=2 mem=96M,96M cpus=1,1 disk=64M
      cmdline transparent_hugepage=never
      file f 4M
      spawn A cpu=0
      A mmap R 4M file=/mnt/f
      A mbind R bind:1
      A touch R read
      A pagemap R
      A touch R write 0 2M
      A pagemap R`)
    expect(nodes('A R', 0)).toEqual({ 0: 1024 })
    expect(nodes('A R', 1)).toEqual({ 0: 512, 1: 512 })
  })

  it('VMA Policy: is inherited across fork', () => {
    const { line, nodes } = told(`spawn A cpu=0
      A mmap R 8M
      A mbind R bind:1
      fork A B
      B get_mempolicy R 0
      B touch R write
      B pagemap R`)
    expect(line('B get_mempolicy R 0')).toMatchObject({ mode: 'bind', nodes: '0x2' })
    expect(nodes('B R')).toEqual({ 1: PAGES_8K })
  })

  it('VMA Policy: on a sub-range splits the area into 2 or 3, each with its own policy', () => {
    const { line } = told(`spawn A cpu=0
      A mmap R 8M
      A mbind R bind:1 2M 2M
      A read numa_maps
      A mbind R bind:0 4M 4M
      A read numa_maps`)
    const areas = (n: number) =>
      (line('A read numa_maps', n).text ?? '')
        .split('\n')
        .filter(each => /^20000\w{7} /.test(each))
        .map(each => each.split(' ')[1])
    expect(areas(0)).toEqual(['default', 'bind:1', 'default'])
    expect(areas(1)).toEqual(['default', 'bind:1', 'bind:0'])
  })

  it('VMA Policy: leaves pages where they are, unless they are asked to move', () => {
    const { nodes } = told(`spawn A cpu=0
      A mmap R 8M
      A touch R write
      A mbind R bind:1
      A pagemap R
      A mbind R bind:1 flags=move
      A pagemap R`)
    expect(nodes('A R', 0)).toEqual({ 0: PAGES_8K })
    expect(nodes('A R', 1)).toEqual({ 1: PAGES_8K })
  })

  it('Shared Policy: applies to the object; all tasks that attach to it share it, whoever allocates', () => {
    const { nodes } = told(`spawn A cpu=0
      A mmap R 8M flags=shared
      fork A B
      A mbind R bind:1
      B touch R write
      B pagemap R`)
    expect(nodes('B R')).toEqual({ 1: PAGES_8K })
  })

  it('Shared Policy: hugetlbfs does not support it: another task does not see what one has installed', () => {
    const { line } = told(`machine nodes=2 mem=96M,96M cpus=1,1
      cmdline transparent_hugepage=never hugepages=8
      spawn A cpu=0
      A mmap R 8M flags=shared,hugetlb
      fork A B
      A mbind R bind:1
      A get_mempolicy R 0
      B get_mempolicy R 0`)
    expect(line('A get_mempolicy R 0').mode).toBe('bind')
    expect(line('B get_mempolicy R 0').mode).toBe('default')
  })

  it('Shared Policy: subsets have policies of their own, and only the installing task has its areas split', () => {
    const { line, nodes } = told(`spawn A cpu=0
      A mmap R 8M flags=shared
      fork A B
      A mbind R bind:1 0 2M
      A mbind R bind:0 2M 2M
      A mbind R interleave:0-1 4M 4M
      B touch R write
      B pagemap R 0 2M
      B pagemap R 2M 2M
      B pagemap R 4M 4M
      A read numa_maps
      B read numa_maps`)
    expect([nodes('B R 0 2M'), nodes('B R 2M 2M'), nodes('B R 4M 4M')]).toEqual([{ 1: 512 }, { 0: 512 }, { 0: 512, 1: 512 }])
    const areas = (who: string) => (line(`${who} read numa_maps`).text ?? '').split('\n').filter(each => /^20000\w{7} /.test(each)).length
    expect([areas('A'), areas('B')]).toEqual([3, 1])
  })
})

describe('Components of Memory Policies', () => {
  it('MPOL_DEFAULT: removes a policy, and falls back to the next most specific scope', () => {
    const { line, nodes } = told(`spawn A cpu=0
      A set_mempolicy bind:1
      A mmap R 8M
      A mbind R bind:0
      A mbind R default
      A get_mempolicy R 0
      A touch R write 0 4M
      A set_mempolicy default
      A touch R write 4M 4M
      A pagemap R`)
    expect(line('A get_mempolicy R 0').mode).toBe('default')
    expect(nodes('A R')).toEqual({ 0: 1024, 1: 1024 })
  })

  it('MPOL_DEFAULT: it is an error for its set of nodes to be non-empty', () => {
    const { line } = told(`spawn A cpu=0
      A set_mempolicy bind:1
      A set_mempolicy default static`)
    expect(line('A set_mempolicy default static').ret).toBe(0)
  })

  it('MPOL_BIND: memory comes from its set, from the closest node with memory free', () => {
    const { nodes } = told(`machine nodes=3 mem=96M,64M,96M cpus=1,1,1 distance=10,15,30,15,10,20,30,20,10
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0 policy=bind:1-2
      A mmap R 80M
      A touch R write 0 8M
      A pagemap R
      A touch R write
      A pagemap R`)
    expect(nodes('A R', 0)).toEqual({ 1: PAGES_8K })
    expect(Object.keys(nodes('A R', 1))).toEqual(['1', '2'])
  })

  it('MPOL_PREFERRED: is attempted from the single node, then from others in order of distance from it', () => {
    const { nodes } = told(`machine nodes=3 mem=160M,64M,96M cpus=1,1,1 distance=10,15,30,15,10,20,30,20,10
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=2 policy=preferred:1
      A mmap R 96M
      A touch R write
      A pagemap R`)
    expect(Object.keys(nodes('A R'))).toEqual(['0', '1'])
  })

  it('MPOL_PREFERRED: with an empty nodemask is local allocation, and then takes neither flag', () => {
    const { line, nodes } = told(`spawn A cpu=1
      A set_mempolicy preferred
      A get_mempolicy
      A mmap R 8M
      A touch R write
      A pagemap R
      A set_mempolicy preferred static
      A set_mempolicy preferred relative
      A set_mempolicy preferred:0 static`)
    expect(line('A get_mempolicy')).toMatchObject({ mode: 'local', nodes: '0x0' })
    expect(nodes('A R')).toEqual({ 1: PAGES_8K })
    expect(line('A set_mempolicy preferred static').err).toBe('EINVAL')
    expect(line('A set_mempolicy preferred relative').err).toBe('EINVAL')
    expect(line('A set_mempolicy preferred:0 static').ret).toBe(0)
  })

  it('MPOL_INTERLEAVED: indexes the nodes of anonymous and shared memory by page offset, in whatever order pages are touched', () => {
    const { nodes } = told(`machine nodes=3 mem=96M,96M,96M cpus=1,1,1
      cmdline transparent_hugepage=never
      spawn A cpu=0
      A mmap R 12M
      A mbind R interleave:0-2
      A touch R write 0 12M stride=12K
      A touch R write
      A pagemap R
      A mmap S 12M flags=shared
      A mbind S interleave:0,2
      A touch S write 4K 12M stride=8K
      A pagemap S`)
    expect(nodes('A R')).toEqual({ 0: 1024, 1: 1024, 2: 1024 })
    expect(Object.keys(nodes('A S'))).toEqual(['2'])
  })

  it('MPOL_INTERLEAVED: falls back along the zonelist of the selected node, and is then no interleave hit', () => {
    const { nodes, counter } = told(`machine nodes=2 mem=64M,160M cpus=1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=1 policy=interleave:0-1
      sample before
      A mmap R 128M
      A touch R write
      A pagemap R
      sample after`)
    const pages = nodes('A R')
    const hits = (node: number) =>
      counter(`/sys/devices/system/node/node${node}/numastat`, 'interleave_hit', 'after') -
      counter(`/sys/devices/system/node/node${node}/numastat`, 'interleave_hit', 'before')
    expect(pages[1]).toBeGreaterThan(pages[0])
    expect(hits(1)).toBeLessThan(pages[1])
  })

  it('MPOL_INTERLEAVED: indexes the nodes of page cache by a counter of the task, in order of allocation', () => {
    const { nodes } = told(`machine nodes=2 mem=96M,96M cpus=1,1 disk=64M
      cmdline transparent_hugepage=never
      file f 4M
      spawn A cpu=0 policy=interleave:0-1
      A readfile /mnt/f
      A mmap R 4M file=/mnt/f flags=shared
      A touch R read
      A pagemap R`)
    const pages = nodes('A R')
    expect(pages[0] + pages[1]).toBe(1024)
    expect(Math.abs(pages[0] - pages[1])).toBeLessThan(64)
  })

  it('MPOL_PREFERRED_MANY: is satisfied from its nodes, and from all others when those are short', () => {
    const { nodes } = told(`machine nodes=3 mem=160M,64M,64M cpus=1,1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0 policy=preferred_many:1-2
      A mmap R 8M
      A touch R write
      A pagemap R
      A mmap S 120M
      A touch S write
      A pagemap S`)
    expect(Object.keys(nodes('A R'))).toEqual(['1'])
    expect(Object.keys(nodes('A S'))).toEqual(['0', '1', '2'])
  })

  it('MPOL_F_STATIC_NODES cannot be combined with MPOL_F_RELATIVE_NODES', () => {
    const { line } = told(`spawn A cpu=0
      A set_mempolicy bind:0 static relative
      A mmap R 4M
      A mbind R bind:0 static relative`)
    expect(line('A set_mempolicy bind:0 static relative').err).toBe('EINVAL')
    expect(line('A mbind R bind:0 static relative').err).toBe('EINVAL')
  })
})

describe('Memory Policy APIs', () => {
  it('set_mempolicy_home_node: updates only areas that have a policy, and is where allocation then begins', () => {
    const { line, nodes } = told(`machine nodes=3 mem=96M,96M,96M cpus=1,1,1 distance=10,15,30,15,10,20,30,20,10
      cmdline transparent_hugepage=never
      spawn A cpu=0
      A mmap R 8M
      A mbind R bind:1-2
      A home_node R 2
      A touch R write
      A pagemap R
      A mmap S 8M
      A home_node S 2
      A mmap T 8M
      A mbind T interleave:0-2
      A home_node T 2
      A home_node R 9`)
    expect(nodes('A R')).toEqual({ 2: PAGES_8K })
    expect([line('A home_node S 2').err, line('A home_node T 2').err, line('A home_node R 9').err]).toEqual([
      'ENOENT',
      'EOPNOTSUPP',
      'EINVAL',
    ])
  })
})

/** A process in a cpuset, whose nodes change. */
const inCpuset = (policy: string, first: string, changes: readonly string[]) =>
  told(`machine nodes=8 mem=64M,64M,64M,64M,64M,64M,64M,64M cpus=1,1,1,1,1,1,1,1
    cmdline transparent_hugepage=never numa_balancing=disable
    cgroup G set cpuset.mems ${first}
    spawn A cpu=0
    cgroup G add A
    A set_mempolicy ${policy}
    A get_mempolicy
    ${changes.map(mems => `cgroup G set cpuset.mems ${mems}\nA mmap R${mems.replaceAll(/\W/g, '')} 3M\nA touch R${mems.replaceAll(/\W/g, '')} write\nA pagemap R${mems.replaceAll(/\W/g, '')}`).join('\n')}`)

const nodesUsed = (run: ReturnType<typeof told>, mems: string) => Object.keys(run.nodes(`A R${mems.replaceAll(/\W/g, '')}`)).map(Number)

describe('Memory Policies and cpusets', () => {
  it('worked example: mems 1-3 and interleave over them; when mems change to 3-5, interleave occurs over 3, 4 and 5', () => {
    expect(nodesUsed(inCpuset('interleave:1-3', '1-3', ['3-5']), '3-5')).toEqual([3, 4, 5])
  })

  it('worked example: the same with STATIC_NODES interleaves over node 3 only', () => {
    expect(nodesUsed(inCpuset('interleave:1-3 static', '1-3', ['3-5']), '3-5')).toEqual([3])
  })

  it('worked example: if no nodes of a STATIC_NODES mask are allowed any more, the default behaviour is used', () => {
    const used = nodesUsed(inCpuset('interleave:1-3 static', '1-3', ['5-6']), '5-6')
    expect(used.every(node => node === 5 || node === 6)).toBe(true)
  })

  it('worked example: nodes 0, 2 and 4 with RELATIVE_NODES are the first, third and fifth of the allowed ones', () => {
    expect(nodesUsed(inCpuset('interleave:0,2,4 relative', '1-5', ['2-6']), '2-6')).toEqual([2, 4, 6])
  })

  it('worked example: mems 2-5, interleave over them with RELATIVE_NODES; mems 3-7 make it 3,5-7; mems 0,2-3,5 make it 0,2-3,5', () => {
    const run = inCpuset('interleave:2-5 relative', '2-5', ['3-7', '0,2-3,5'])
    expect(nodesUsed(run, '3-7')).toEqual([3, 5, 6, 7])
    expect(nodesUsed(run, '0,2-3,5')).toEqual([0, 2, 3, 5])
  })

  it('worked example: without flags 1,3,5 may become 7-9 and, when the original nodes are restored, 1-3', () => {
    const { line } = told(`machine nodes=8 mem=64M,64M,64M,64M,64M,64M,64M,64M cpus=1,1,1,1,1,1,1,1
      cmdline transparent_hugepage=never
      cgroup G set cpuset.mems 1-5
      spawn A cpu=0
      cgroup G add A
      A set_mempolicy bind:1,3,5
      cgroup G set cpuset.mems 5-7
      A get_mempolicy
      cgroup G set cpuset.mems 1-5
      A get_mempolicy`)
    expect(line('A get_mempolicy', 0).nodes).toBe('0xe0')
    expect(line('A get_mempolicy', 1).nodes).toBe('0xe')
  })

  it('worked example: a RELATIVE_NODES mask beyond the allowed nodes wraps around', () => {
    expect(nodesUsed(inCpuset('interleave:5 relative', '0-5', ['0-3']), '0-3')).toEqual([1])
  })

  it('preferred nodes: the document says that they are remapped; Linux 6.1 leaves them as they are', () => {
    const { line } = told(`machine nodes=4 mem=64M,64M,64M,64M cpus=1,1,1,1
      cmdline transparent_hugepage=never
      cgroup G set cpuset.mems 0-1
      spawn A cpu=0
      cgroup G add A
      A set_mempolicy preferred:1
      cgroup G set cpuset.mems 2-3
      A get_mempolicy`)
    expect(line('A get_mempolicy')).toMatchObject({ mode: 'preferred', nodes: '0x2' })
  })

  it('a policy is restricted to the nodes that the cpuset allows, and refused when none of its nodes is', () => {
    const { line, nodes } = told(`machine nodes=4 mem=64M,64M,64M,64M cpus=1,1,1,1
      cmdline transparent_hugepage=never
      cgroup G set cpuset.mems 1-2
      spawn A cpu=0
      cgroup G add A
      A set_mempolicy bind:0-1
      A get_mempolicy
      A mmap R 8M
      A touch R write
      A pagemap R
      A set_mempolicy bind:0,3
      A get_mempolicy allowed`)
    expect(line('A get_mempolicy').nodes).toBe('0x2')
    expect(nodes('A R')).toEqual({ 1: PAGES_8K })
    expect(line('A set_mempolicy bind:0,3').err).toBe('EINVAL')
    expect(line('A get_mempolicy allowed')['mems_allowed']).toBe('0x6')
  })

  it('when policies and cpusets are both applied, the restrictions of the cpuset take priority', () => {
    const { nodes } = told(`machine nodes=4 mem=64M,64M,64M,64M cpus=1,1,1,1
      cmdline transparent_hugepage=never
      cgroup G set cpuset.mems 1-2
      spawn A cpu=0
      cgroup G add A
      A mmap R 8M
      A touch R write
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 1: PAGES_8K })
  })

  it('a policy that prefers nodes of which the cpuset allows none any more falls back to those it allows, which are then a miss', () => {
    const { nodes, counter } = told(`machine nodes=3 mem=96M,96M,96M cpus=1,1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0
      cgroup G set cpuset.mems 0-1
      cgroup G add A
      A set_mempolicy preferred_many:1
      cgroup G set cpuset.mems 2
      sample before
      A mmap R 4M
      A touch R write
      A pagemap R
      sample after`)
    const grown = (node: number, key: string) => {
      const file = `/sys/devices/system/node/node${node}/numastat`
      return counter(file, key, 'after') - counter(file, key, 'before')
    }
    expect(nodes('A R')).toEqual({ 2: 1024 })
    expect(grown(2, 'numa_miss')).toBe(1024)
    expect(grown(0, 'numa_foreign')).toBe(1024)
  })

  it('an object bound to nodes of which the cpuset of a task allows none gives it pages from those it allows', () => {
    const { nodes } = told(`machine nodes=2 mem=96M,96M cpus=1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0
      A mmap S 4M flags=shared
      A mbind S bind:0
      fork A B
      cgroup G set cpuset.mems 1
      cgroup G add B
      B touch S write
      B pagemap S`)
    expect(nodes('B S')).toEqual({ 1: 1024 })
  })

  it('shared memory of tasks in disjoint cpusets: each allocates from its own nodes, local allocation being the only valid policy', () => {
    const { nodes } = told(`machine nodes=4 mem=64M,64M,64M,64M cpus=1,1,1,1
      cmdline transparent_hugepage=never
      cgroup G set cpuset.mems 0
      cgroup H set cpuset.mems 3
      spawn A cpu=0
      A mmap R 8M flags=shared
      fork A B
      cgroup G add A
      cgroup H add B
      B cpu 3
      A touch R write 0 4M
      B touch R write 4M 4M
      A touch R read
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 0: 1024, 3: 1024 })
  })
})
