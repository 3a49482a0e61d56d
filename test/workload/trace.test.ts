/** Traces of real programs, read and made into workloads. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/user_error.ts'
import { parseWorkload } from '../../src/workload/parse.ts'
import { readPerf } from '../../src/workload/trace_perf.ts'
import { readStrace } from '../../src/workload/trace_strace.ts'
import { traceWorkload } from '../../src/workload/trace_workload.ts'

const PERF = ` a 10/10 1.000000: PERF_RECORD_COMM exec: a:10/10
 a 10/10 1.000001: PERF_RECORD_MMAP2 10/10: [0x7ffc00000000(0x21000) @ 0x7ffffffde000 00:00 0 0]: rw-p [stack]
 a 10/10 1.000002: PERF_RECORD_MMAP2 10/10: [0x400000(0x3000) @ 0 fe:00 261033 0]: r-xp /usr/bin/a
 a 10/10 1.000003: syscalls:sys_exit_execve: 0x0 0
 a 10/10 1.000004: page-faults: 400040
 a 10/10 1.000005: page-faults: 7ffc0001ffb0
 a 10/10 1.000006: syscalls:sys_enter_brk: brk: 0x00000000 0
 a 10/10 1.000007: syscalls:sys_exit_brk: 0x600000 0
 a 10/10 1.000008: syscalls:sys_enter_brk: brk: 0x00621000 0
 a 10/10 1.000009: PERF_RECORD_MMAP2 10/10: [0x600000(0x21000) @ 0x600000 00:00 0 0]: rw-p //anon
 a 10/10 1.000010: syscalls:sys_exit_brk: 0x621000 0
 a 10/10 1.000011: page-faults: 600010
 a 10/10 1.000012: page-faults: 601010
 a 10/10 1.000013: page-faults: 601018
 a 10/10 1.000020: syscalls:sys_enter_vfork: 0
 a 10/10 1.000021: PERF_RECORD_FORK(11:11):(10:10)
 a 11/11 1.000022: page-faults: 602000
 b 11/11 1.000030: PERF_RECORD_COMM exec: b:11/11
 b 11/11 1.000040: PERF_RECORD_EXIT(11:11):(10:10)
 a 10/10 1.000041: syscalls:sys_exit_vfork: 0xb 0
 a 10/10 1.002000: syscalls:sys_enter_munmap: addr: 0x00400000, len: 0x00003000 0
 a 10/10 1.002001: syscalls:sys_exit_munmap: 0x0 0
`

const STRACE = `10 1.000000 execve("/usr/bin/a", ["a"], 0x7ffd /* 9 vars */) = 0
10 1.000001 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
10 1.000002 mmap(0x7f0000100000, 5000, PROT_READ, MAP_PRIVATE|MAP_FIXED, 3</usr/lib/libc.so.6>, 0x1000) = 0x7f0000100000
10 1.000003 vfork( <unfinished ...>
11 1.000004 execve("/bin/b", ["b"], 0x7ffd /* 9 vars */) = 0
10 1.000005 <... vfork resumed>) = 11
10 1.000006 mprotect(0x7f0000000000, 4096, PROT_READ) = 0
10 1.000007 munmap(0x1, 4096) = -1 EINVAL (Invalid argument)
11 1.000008 +++ exited with 0 +++
10 1.000009 exit_group(0) = ?
`

const texts = (lines: readonly { readonly text: string }[]) => lines.map(({ text }) => text)

describe('a trace of perf', () => {
  it('becomes mappings at the same addresses, and an access for each fault', () => {
    const { lines } = traceWorkload(readPerf(PERF, 'a.txt'), 'a')
    expect(texts(lines)).toEqual([
      'title a',
      'machine mem=4G cpus=2 disk=65M',
      'cmdline transparent_hugepage=madvise',
      'file f0-a 12K',
      'spawn cache',
      'cache readfile /mnt/f0-a',
      'exit cache',
      'spawn p10 cpu=any',
      'p10 exec a',
      'p10 mmap 0x7ffbff821000 8192K prot=rw flags=private,fixed,noreserve',
      'p10 madvise 0x7ffc00020000 populate_write 0 4K',
      'p10 mmap 0x400000 12K prot=rx flags=private,fixed file=/mnt/f0-a fileoff=0K notrunc',
      'p10 touch 0x400000 read 0 4K',
      'p10 touch 0x7ffc0001f000 write 0 4K',
      'p10 mmap 0x600000 132K prot=rw flags=private,fixed',
      'p10 touch 0x600000 write 0 4K',
      'p10 touch 0x601000 read 0 4K',
      'p10 touch 0x601000 write 0 4K',
      'p10 touch 0x602000 write 0 4K',
      'spawn p11 cpu=any',
      'p11 exec b',
      'exit p11',
      'sleep 2001us',
      'p10 munmap 0x400000 0 12K',
    ])
    expect(() => parseWorkload(texts(lines).join('\n'), 'a')).not.toThrow()
  })

  it('says nothing of a heap whose begin it has not seen, and takes lengths in whole pages', () => {
    const text = ` a 10/10 1.000000: syscalls:sys_enter_clone: clone_flags: 0x01200011 0
 a 10/10 1.000001: PERF_RECORD_FORK(11:11):(10:10)
 a 11/11 1.000002: syscalls:sys_enter_brk: brk: 0x00621000 0
 a 11/11 1.000003: syscalls:sys_exit_brk: 0x621000 0
 a 11/11 1.000004: syscalls:sys_enter_munmap: addr: 0x00400000, len: 0x00001001 0
 a 11/11 1.000005: syscalls:sys_exit_munmap: 0x0 0
`
    expect(texts(traceWorkload(readPerf(text, 'a.txt'), 'a').lines).slice(3)).toEqual(['spawn p11 cpu=any', 'p11 munmap 0x400000 0 8K'])
  })

  it('is refused with the line that is none', () => {
    expect(() => readPerf(`${PERF}what is this\n`, 'a.txt')).toThrow(UserError)
    expect(() => readPerf(`${PERF}what is this\n`, 'a.txt')).toThrow(/perf script/)
  })

  it('is read or refused, whatever is put in', () => {
    const pieces = fc.array(fc.oneof(fc.constantFrom(...PERF.split('\n')), fc.string()), { maxLength: 30 })
    fc.assert(
      fc.property(pieces, rows => {
        try {
          const { lines } = traceWorkload(readPerf(rows.join('\n'), 'a.txt'), 'a')
          parseWorkload(texts(lines).join('\n'), 'a')
        } catch (error) {
          expect(error).toBeInstanceOf(UserError)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('holds all its faults', () => {
    const text = gunzipSync(readFileSync(new URL('../traces/gcc-compile.perf.txt.gz', import.meta.url))).toString()
    const { lines } = traceWorkload(readPerf(text, 'gcc'), 'gcc')
    expect(lines.reduce((sum, { faults }) => sum + faults, 0)).toBe(text.split(' page-faults: ').length - 1)
  })
})

describe('a trace of strace', () => {
  it('becomes mappings, with processes in the order in which they began', () => {
    const { lines, notes } = traceWorkload(readStrace(STRACE, 'a.txt'), 'a')
    expect(texts(lines).slice(4)).toEqual([
      'spawn cache',
      'cache readfile /mnt/f0-libc.so.6',
      'exit cache',
      'spawn p10 cpu=any',
      'p10 exec a',
      'p10 mmap 0x7f0000000000 8K prot=rw flags=private,fixed',
      'p10 mmap 0x7f0000100000 8K prot=r flags=private,fixed file=/mnt/f0-libc.so.6 fileoff=4K notrunc',
      'spawn p11 cpu=any',
      'p11 exec b',
      'p10 mprotect 0x7f0000000000 ro 0 4K',
      'exit p11',
    ])
    expect(notes.join()).toContain('no page faults')
    expect(() => parseWorkload(texts(lines).join('\n'), 'a')).not.toThrow()
  })

  it('knows where the heap of a forked process ends', () => {
    const text = `10 1.000000 brk(NULL) = 0x600000
10 1.000001 brk(0x621000) = 0x621000
10 1.000002 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 11
11 1.000003 brk(0x642000) = 0x642000
11 1.000004 madvise(0x600000, 4096, MADV_DONTNEED) = 0
11 1.000005 madvise(0x600000, 4096, MADV_DODUMP) = 0
`
    const { lines, notes } = traceWorkload(readStrace(text, 'a.txt'), 'a')
    expect(texts(lines).slice(3)).toEqual([
      'spawn p10 cpu=any',
      'p10 mmap 0x600000 132K prot=rw flags=private,fixed',
      'fork p10 p11',
      'p11 mmap 0x621000 132K prot=rw flags=private,fixed',
      'p11 madvise 0x600000 dontneed 0 4K',
    ])
    expect(notes.join()).toContain('MADV_DODUMP')
  })

  it('is refused with the line that is none', () => {
    expect(() => readStrace('hello world', 'a.txt')).toThrow(/strace/)
  })
})
