/** What the lines of a workload do to the machine, and what is recorded of them. */
import { describe, expect, it } from 'vitest'
import { ZS } from '../../src/kernel/base/counters.ts'
import { verify } from '../../src/kernel/verify.ts'
import type { Run, RunRecord } from '../../src/workload/interpreter.ts'
import { runText, testPorts } from './run.ts'

const MIB = 2 ** 20

describe('mapping', () => {
  it('puts regions 2 MiB apart from a fixed address on, aligned as asked', () => {
    const { op } = runText(`spawn A
A mmap a 3M
A mmap b 4K
A mmap c 4K align=4K
A mmap d 4K align=8M
A mmap e 4K at=b+1M
A mmap f 4K
`)
    const addr = (name: string, rest: string) => op(`A mmap ${name} ${rest}`).fields['addr']
    expect(addr('a', '3M')).toBe('0x200000000000')
    expect(addr('b', '4K')).toBe('0x200000600000')
    expect(addr('c', '4K align=4K')).toBe('0x200000a01000')
    expect(addr('d', '4K align=8M')).toBe('0x200001000000')
    expect(addr('e', '4K at=b+1M')).toBe('0x200000700000')
    expect(addr('f', '4K')).toBe('0x200001400000')
  })

  it('leaves the address to the kernel with align=none, and the pointer where it was', () => {
    const { op } = runText('spawn A\nA mmap a 4K align=none\nA mmap b 4K\n')
    expect(op('A mmap a 4K align=none').fields['addr']).toMatch(/^0x7fff/)
    expect(op('A mmap b 4K').fields['addr']).toBe('0x200000000000')
  })

  it('refuses a name that is taken, a place beside a region that is not there, and a 29th region', () => {
    const many = Array.from({ length: 29 }, (_, i) => `A mmap r${i} 4K`).join('\n')
    const { op } = runText(`spawn A\n${many}\nA munmap r0\nA mmap r0 4K at=none+1M\nA mmap r1 8K\n`)
    expect(op('A mmap r27 4K').ret).toBe(0)
    expect(op('A mmap r28 4K').err).toBe('ENOSPC')
    expect(op('A mmap r0 4K at=none+1M').err).toBe('EINVAL')
    expect(op('A mmap r1 8K').err).toBe('EEXIST')
  })

  it('keeps the name after a part is unmapped, and frees it with the whole', () => {
    const { op } = runText('spawn A\nA mmap a 4M\nA munmap a 1M 1M\nA touch a write\nA munmap a\nA munmap a 0 4K\n')
    expect(op('A munmap a 1M 1M').ret).toBe(0)
    expect(op('A touch a write')).toMatchObject({ ret: 256, fields: { signal: 'SIGSEGV', si_code: 1, fault_off: MIB } })
    expect(op('A munmap a 0 4K').err).toBe('EINVAL')
  })

  it('applies a ranged op to each piece and counts the pieces', () => {
    const { op } = runText(
      'spawn A\nA mmap a 1M\nA touch a write\nA munmap a stride=64K span=8K\nA touch a read 8K 56K\nA touch a read 64K\n',
    )
    expect(op('A munmap a stride=64K span=8K').ret).toBe(16)
    expect(op('A touch a read 8K 56K')).toMatchObject({ ret: 14, fields: { minflt: 0 } })
    expect(op('A touch a read 64K').fields['signal']).toBe('SIGSEGV')
  })
})

describe('touching', () => {
  it('makes an access a stride and counts the faults of new pages', () => {
    const { op } = runText('spawn A\nA mmap a 1M\nA touch a write 0 64K\nA touch a read 0 128K\nA touch a write stride=1K\n')
    expect(op('A touch a write 0 64K')).toMatchObject({ ret: 16, fields: { minflt: 16, majflt: 0 } })
    expect(op('A touch a read 0 128K')).toMatchObject({ ret: 32, fields: { minflt: 16 } })
    expect(op('A touch a write stride=1K')).toMatchObject({ ret: 1024, fields: { minflt: 240 } })
  })

  it('ends at a write that is not allowed, and says where', () => {
    const { op } = runText('spawn A\nA mmap a 64K prot=r\nA touch a write 8K\nexpect signal SIGSEGV\n')
    expect(op('A touch a write 8K')).toMatchObject({ ret: 0, fields: { signal: 'SIGSEGV', si_code: 2, fault_off: 8192 } })
    expect(op('expect signal SIGSEGV').ret).toBe(0)
  })

  it('makes passes, also over nothing', () => {
    const { op } = runText('spawn A\nA mmap a 64K\nA touch a write repeat=3\nA touch a read repeat=0\nA touch a read 64K for=5\n')
    expect(op('A touch a write repeat=3')).toMatchObject({ ret: 48, fields: { minflt: 16 } })
    expect(op('A touch a read repeat=0').ret).toBe(0)
    const { ret, fields } = op('A touch a read 64K for=5')
    expect(ret).toBe(0)
    expect(fields['elapsed_ns']).toBeGreaterThanOrEqual(5e6)
  })

  it('touches as often in a time when a neighbour looks on as when it is alone', () => {
    const alone = runText('spawn A\nA mmap a 1M\nA touch a read for=50\n').op('A touch a read for=50')
    const watched = runText('spawn A cpu=1\nA mmap a 1M\nbg A touch a read for=50\nloop 40\nsleep 1\nend\njoin A\n').op('join A')
    expect(alone.ret % 256).toBe(0)
    expect(Math.abs(alone.ret - watched.ret) / alone.ret).toBeLessThan(0.01)
  })

  it('knows again what it wrote, and what others wrote', () => {
    const { op } = runText(`spawn A
A mmap a 64K
A mmap b 64K
A touch a write content=unique
A check a content=unique
A check a content=page
A touch b write 0 32K content=page
A check b content=page
A touch b write 4K 4K
A check b
fork A B
B check a content=unique
`)
    expect(op('A check a content=unique').fields).toMatchObject({ match: 16, differ: 0, zero: 0 })
    expect(op('A check a content=page').fields).toMatchObject({ match: 0, differ: 16 })
    expect(op('A check b content=page').fields).toMatchObject({ match: 8, differ: 8, zero: 8 })
    expect(op('A check b').fields).toMatchObject({ match: 0, differ: 0, zero: 8 })
    expect(op('B check a content=unique').fields).toMatchObject({ match: 0, differ: 16 })
  })
})

describe('rates, patterns, counts', () => {
  const timed = (line: string) => {
    const { ret, fields } = runText(`spawn A\nA mmap a 4M\nA touch a write\nA touch a read ${line}\n`).op(`A touch a read ${line}`)
    return { ret, ms: Number(fields['elapsed_ns']) / 1e6 }
  }

  it('goes over LEN bytes in LEN / RATE', () => {
    const { ret, ms } = timed('rate=40M/s')
    expect(ret).toBe(1024)
    expect(ms).toBeGreaterThan(99)
    expect(ms).toBeLessThan(101)
  })

  it('ends after a count, or after a time, whichever comes first', () => {
    expect(timed('count=1500').ret).toBe(1500)
    expect(timed('rate=4096p/s for=100').ret).toBeGreaterThan(405)
    expect(timed('rate=4096p/s for=100').ret).toBeLessThan(415)
    expect(timed('rate=4096p/s for=100 count=7').ret).toBe(7)
  })

  it('sleeps between accesses that are far apart, so that others have the CPU', () => {
    const { op, ms } = runText(
      'spawn A\nspawn B\nA mmap a 4M\nB mmap b 64M\nbg A touch a write rate=100p/s count=10\nB touch b write\njoin A\n',
    )
    expect(op('B touch b write').fields['elapsed_ns']).toBeLessThan(20e6)
    expect(ms).toBeGreaterThan(89)
    expect(ms).toBeLessThan(95)
  })

  it('draws the same slots for the same seed, others for another', () => {
    const draw = (seed: number) => {
      const { run } = runText(`seed ${seed}\nspawn A\nA mmap a 4M\nA touch a write pattern=zipf count=100\n`)
      return run.k.event.join()
    }
    expect(draw(1)).toBe(draw(1))
    expect(new Set([1, 2, 3, 4, 5].map(draw)).size).toBeGreaterThan(1)
  })
})

describe('processes', () => {
  it('runs side by side on different CPUs, and in turns on one', () => {
    const text = (cpu: number) =>
      `spawn A\nspawn B cpu=${cpu}\nA mmap a 32M\nB mmap b 32M\nbg A touch a write\nbg B touch b write\njoin A\njoin B\n`
    const [together, alone] = [runText(text(1)), runText('spawn A\nA mmap a 32M\nA touch a write\n')]
    const apart = runText(text(0))
    expect(together.ms).toBeLessThan(alone.ms * 1.3)
    expect(apart.ms).toBeGreaterThan(alone.ms * 1.8)
    const ends = ['join A', 'join B'].map(line => apart.op(line)).map(({ fields }) => Number(fields['elapsed_ns']))
    expect(Math.abs(ends[0] - ends[1]) / ends[0]).toBeLessThan(0.2)
  })

  it.each([
    ['populates', '', 'mmap big 160M flags=populate'],
    ['fills a memory file', 'A mmap m 160M memfd\n', 'fallocate m alloc'],
    ['truncates one', 'A mmap m 160M memfd flags=shared,populate\n', 'ftruncate m 4K'],
  ])('who %s does not keep others on his CPU waiting, nor a look at the machine', (_name, before, call) => {
    const free: number[] = []
    const after = ({ k }: Run) => free.push(k.zones.reduce((sum, zone) => sum + zone.stat[ZS.nr_free_pages], 0))
    const text = `spawn A\nspawn B\n${before}B mmap b 1M\nbg A ${call}\nsleep 1\nB touch b write\nsleep 1\njoin A\n`
    const { op } = runText(text, { after })
    const whole = Number(op('join A').fields['elapsed_ns'])
    const others = Number(op('B touch b write').fields['elapsed_ns'])
    expect(op('join A').ret).not.toBe(-1)
    expect(whole).toBeGreaterThan(4e6)
    expect(others).toBeLessThan(whole / 2)
    expect(new Set(free.slice(-5)).size).toBeGreaterThan(2)
  })

  it('says EBUSY to a process at work, and gives its result to join, once', () => {
    const { op } = runText('spawn A\nA mmap a 64M\nbg A touch a write\nA touch a read\nfork A B\njoin A\nexpect ret eq 16384\njoin A\n', {
      after: () => undefined,
    })
    expect(op('A touch a read').err).toBe('EBUSY')
    expect(op('fork A B').err).toBe('EBUSY')
    expect(op('expect ret eq 16384').ret).toBe(0)
    expect(op('join A').err).toBe('ESRCH')
  })

  it('gives up waiting, and leaves the process at work', () => {
    const { op } = runText('spawn A\nA mmap a 64M\nA touch a write timeout=1\nA munmap a\njoin A timeout=1\nsleep 100\njoin A\n')
    expect(op('A touch a write timeout=1')).toMatchObject({ err: 'ETIMEDOUT', fields: { busy: true } })
    expect(op('A munmap a').err).toBe('EBUSY')
    expect(op('join A timeout=1').err).toBe('ETIMEDOUT')
    expect(op('join A').ret).toBe(16384)
  })

  it('forks regions, and what is written then is each one’s own', () => {
    const { op } = runText(
      'spawn A\nA mmap a 64K\nA touch a write content=page\nfork A B\nB touch a write content=zero\nA check a content=page\nB munmap a\nA touch a read\n',
    )
    expect(op('A check a content=page').fields['match']).toBe(16)
    expect(op('A touch a read').ret).toBe(16)
  })

  it('knows no process that has ended, none twice, and no 25th', () => {
    const many = Array.from({ length: 25 }, (_, i) => `spawn w${i}`).join('\n')
    const { op } = runText(`${many}\nexit w0\nw0 munmap x\nkill w0\nspawn w1\nfork w1 w2\nfork w9 w2\nfork w99 w0\n`)
    expect(op('spawn w23').ret).toBeGreaterThan(0)
    expect(op('spawn w24').err).toBe('EAGAIN')
    for (const line of ['w0 munmap x', 'kill w0', 'fork w99 w0']) expect(op(line).err).toBe('ESRCH')
    for (const line of ['spawn w1', 'fork w9 w2']) expect(op(line).err).toBe('EEXIST')
  })

  it('leaves no page behind when all have ended', () => {
    const { run } = runText(
      'spawn A\nspawn B\nfork A C\nA mmap a 8M\nA touch a write\nfork A D\nD touch a write\nkill A\nexit B\nexit C\nexit D\n',
    )
    expect(verify(run.k)).toEqual([])
    expect(run.k.tasks.size).toBe(1)
    expect(run.threads.length).toBe(2)
  })

  it('ends at once when it is killed, and after its op when it is told to exit', () => {
    const killed = runText('spawn A cpu=1\nA mmap a 64M\nbg A touch a write\nkill A\n')
    const left = runText('spawn A cpu=1\nA mmap a 64M\nbg A touch a write\nexit A\n')
    expect(left.ms).toBeGreaterThan(killed.ms + 5)
    expect(killed.deaths).toEqual([])
  })

  it('records deaths by another’s hand: of the op waited for, of what was joined, of a bystander', () => {
    const { op, deaths } = runText(`spawn A
spawn B cpu=1
spawn C cpu=2
A mmap a 1M
B mmap b 64M
bg B touch b write
write /kill $A
write /kill $B
sleep 1
A touch a write
bg C write /kill $C
join C
`)
    expect(deaths.map(({ worker, death }) => ({ worker, death }))).toEqual([
      { worker: 'A', death: { signal: 'SIGKILL' } },
      { worker: 'B', death: { signal: 'SIGKILL' } },
    ])
    expect(deaths[1].during?.text).toBe('bg B touch b write')
    expect(deaths[1].during?.progress).toBeGreaterThan(0)
    expect(op('A touch a write').err).toBe('ESRCH')
    expect(op('join C').err).toBe('ESRCH')
  })

  it('goes where it is sent, and nowhere else', () => {
    const { op } = runText('spawn A cpu=9\nA cpu 2\nA cpu 7\nA cpu any\n')
    expect(op('spawn A cpu=9').err).toBe('EINVAL')
    expect(op('A cpu 2').ret).toBe(0)
    expect(op('A cpu 7').err).toBe('EINVAL')
  })
})

describe('blocks and loops', () => {
  it('does the lines of a block one after the other, beside the lines after it', () => {
    const { records, op } = runText(`spawn A
A mmap a 64K
bg A
  loop 2
    touch a write
    expect minflt eq 16
    sleep 10
  end
end
sleep 5
join A
`)
    const texts = records.flatMap(record => ('statement' in record ? [`${record.statement.text} = ${record.ret}`] : []))
    expect(texts.slice(2)).toEqual([
      'bg A = 0',
      'A touch a write = 16',
      'expect minflt eq 16 = 0',
      'sleep 5 = 0',
      'A sleep 10 = 0',
      'A touch a write = 16',
      'expect minflt eq 16 = -1',
      'A sleep 10 = 0',
      'join A = 0',
    ])
    expect(op('A touch a write').worker).toBe('A')
  })

  it('drops the rest of a block when its process is to exit', () => {
    const { records, ms } = runText('spawn A\nA mmap a 64K\nbg A\nloop\ntouch a write\nsleep 10\nend\nend\nsleep 25\nexit A\n')
    expect(records.filter(record => 'statement' in record && record.statement.text === 'A touch a write')).toHaveLength(3)
    expect(ms).toBeLessThan(32)
  })

  it('puts the pid of a process where its name stands', () => {
    const files = new Map([['/x', '0\n']])
    const { op } = runText('write /x $A\nspawn A\nwrite /x $A\nexpect /x gt 1\n', { ports: testPorts(files) })
    expect(op('expect /x gt 1').ret).toBe(0)
  })
})

describe('waiting and expecting', () => {
  it('looks at a file every 20 ms until it says what is wanted', () => {
    const { op } = runText('wait /tick ge 5\nwait /tick ge +3\nwait /tick lt 0 timeout=100\nwait /nothing ge 0\n')
    expect(op('wait /tick ge 5')).toMatchObject({ ret: 0, fields: { start: 1, value: 5 } })
    expect(op('wait /tick ge +3').fields).toMatchObject({ start: 6, value: 9 })
    expect(op('wait /tick lt 0 timeout=100')).toMatchObject({ err: 'ETIMEDOUT' })
    expect(op('wait /nothing ge 0').err).toBe('ENOENT')
  })

  it('takes the number after a key, and none after a longer word', () => {
    const files = new Map([['/v', 'pgfault_x 1\npgfault 7\nMemFree:   33 kB\n']])
    const { op } = runText('expect /v:pgfault eq 7\nexpect /v:MemFree eq 33\nexpect /v:none ge 0\nexpect /w ge 0\n', {
      ports: testPorts(files),
    })
    expect(
      ['expect /v:pgfault eq 7', 'expect /v:MemFree eq 33', 'expect /v:none ge 0', 'expect /w ge 0'].map(line => op(line).ret),
    ).toEqual([0, 0, -1, -1])
  })

  it('counts +N from line 1, or from the last mark', () => {
    const { op } = runText('expect /x ge +0\nwrite /x 5\nexpect /x ge +5\nmark\nexpect /x ge +1\nwrite /x 6\nexpect /x eq +1\n', {
      ports: testPorts(new Map([['/x', '0\n']])),
    })
    expect(['expect /x ge +5', 'expect /x ge +1', 'expect /x eq +1'].map(line => op(line).ret)).toEqual([0, -1, 0])
  })

  it('asks for errors and results of the op before', () => {
    const { op } = runText(
      'spawn A\nA munmap x\nexpect err EINVAL\nexpect err none\nexpect ret lt 0\nA mmap a 64K\nexpect err none\nexpect signal none\nexpect match eq 0\n',
    )
    expect(op('expect err EINVAL').ret).toBe(0)
    expect(op('expect ret lt 0').ret).toBe(0)
    expect(op('expect err none').ret).toBe(0)
    expect(op('expect signal none').ret).toBe(0)
    expect(op('expect match eq 0').ret).toBe(-1)
  })
})

describe('time', () => {
  const BUSY = `spawn A
spawn B cpu=any
A mmap a 16M
B mmap b 16M
bg A
  loop 20
    touch a write pattern=zipf rate=200M/s for=3
    sleep 1
    madvise a dontneed
  end
end
bg B touch b write repeat=9
fork A C
sleep 20
fork B D
join B
join A
kill A
exit B
`
  const summary = (records: readonly RunRecord[]) => JSON.stringify(records)

  it('is the same in every run, and however the run is cut', () => {
    const whole = runText(BUSY)
    expect(summary(runText(BUSY).records)).toBe(summary(whole.records))
    for (const cutNs of [17, 1e5, 3.3e6]) {
      const cut = runText(BUSY, cutNs === 17 ? { cutNs: 1e4 } : { cutNs })
      expect(summary(cut.records)).toBe(summary(whole.records))
    }
  })

  it('keeps the machine sound after every line', () => {
    runText(BUSY, { after: run => expect(verify(run.k)).toEqual([]) })
  })

  it('never stands still: a loop of the shortest op comes to an end', () => {
    const { ms } = runText('spawn A\nbg A\nloop\nmunlockall\nend\nend\nsleep 2\n')
    expect(ms).toBeGreaterThan(2)
  })
})
