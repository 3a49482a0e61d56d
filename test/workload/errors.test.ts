import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/user_error.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

function errorOf(text: string): string {
  try {
    parseWorkload(text, 'w')
  } catch (error) {
    if (error instanceof UserError) return error.oneLine
    throw error
  }
  return 'no error'
}

const ERRORS: readonly (readonly [text: string, message: string])[] = [
  // words that are none
  ['sync\nspwan A', 'w:2:1: unknown op "spwan": did you mean "spawn"?'],
  ['spawn A\nA tuoch R read', 'w:2:3: unknown op "tuoch": did you mean "touch"?'],
  ['A tuoch R read', 'w:1:3: unknown op "tuoch": did you mean "touch"?'],
  ['A frobnicate R', 'w:1:1: neither "A" nor "frobnicate" is an op'],
  ['frobnicate', 'w:1:1: unknown op "frobnicate"'],
  ['touch R read', 'w:1:1: "touch" is an op of a process: say which (A touch ...)'],
  ['spawn A\nA', 'w:2:2: an op of A is missing'],
  ['bg', 'w:1:3: bg: the name of a process is missing (bg A op ...)'],
  ['bg A tuoch R', 'w:1:6: unknown op "tuoch": did you mean "touch"?'],
  ['spawn write', 'w:1:7: a process cannot be called "write": that is a word of the language'],
  ['spawn 4K', 'w:1:7: "4K" is no name: a letter, then letters, digits, _ - .'],
  ['spawn abcdefghijklmnop', 'w:1:7: "abcdefghijklmnop" is longer than the 15 characters of a name'],
  ['A touch R wirte', 'w:1:11: unknown access "wirte": did you mean "write"?'],
  ['A madvise R hugpage', 'w:1:13: unknown advice "hugpage": did you mean "hugepage"?'],
  ['A mmap R 4M flags=shared,lockd', 'w:1:26: unknown mmap flag "lockd": did you mean "locked"?'],
  ['A mbind R bnid:0', 'w:1:11: unknown policy "bnid": did you mean "bind"?'],
  ['A touch R write content=cmop:3', 'w:1:25: unknown content "cmop": did you mean "comp"?'],
  ['A touch R write pattern=zpif', 'w:1:25: unknown pattern "zpif": did you mean "zipf"?'],
  ['A touch R read strid=4K', 'w:1:16: unknown word of touch "strid=": did you mean "stride="?'],
  ['A mlock R onfalt', 'w:1:11: unknown word of mlock "onfalt": did you mean "onfault"?'],
  ['wait /x gt3 4', 'w:1:9: unknown comparison "gt3": did you mean "gt"?'],
  ['cgroup G sett x y', 'w:1:10: unknown word of cgroup "sett": did you mean "set"?'],
  ['sync\nexpect err EINVALL', 'w:2:12: unknown errno "EINVALL": did you mean "EINVAL"?'],
  ['sync\nexpect rte ge 1', 'w:2:8: unknown path or result "rte": did you mean "ret"?'],
  ['thp', 'w:1:1: unknown op "thp"'],
  // words that are missing or too many
  ['A touch R', 'w:1:10: touch: read|write is missing (touch R read|write [off len] ...)'],
  ['A touch', 'w:1:8: touch: R is missing (touch R read|write [off len] ...)'],
  ['A mmap R flags=shared', 'w:1:10: mmap: SIZE is missing (mmap R SIZE ...)'],
  ['fork A   # who?', 'w:1:7: fork: B is missing (fork A B)'],
  ['write /proc/sys/vm/swappiness', 'w:1:30: write: VALUE is missing (write PATH VALUE...)'],
  ['cgroup G', 'w:1:9: cgroup: set|add|read|remove is missing (cgroup G set FILE VALUE...)'],
  ['sync now', 'w:1:6: sync: "now" is one word too many (sync)'],
  ['A touch R read 0 4K 8K', 'w:1:21: touch: "8K" is one word too many (touch R read|write [off len] ...)'],
  ['A touch R read stride=4K 0 4K', 'w:1:26: touch: "0" is one word too many (touch R read|write [off len] ...)'],
  ['A touch R read stride=4K stride=8K', 'w:1:26: touch: stride= is given twice'],
  ['A touch R read stride=', 'w:1:23: touch: stride= needs a value'],
  ['A munmap R span=4K', 'w:1:17: munmap: span= goes with stride='],
  ['A mmap R 2M file=/f secret', 'w:1:21: mmap: file, memfd, secret and shm exclude each other'],
  ['A mmap R 2M align=4K at=0x1000', 'w:1:25: mmap: align and at exclude each other'],
  ['A touch R read for=1s repeat=2', 'w:1:20: touch: repeat and for exclude each other'],
  ['A get_mempolicy node', 'w:1:17: get_mempolicy: node goes with a region'],
  ['A get_mempolicy R allowed', 'w:1:19: get_mempolicy: allowed stands alone'],
  ['spawn A static', 'w:1:9: spawn: static goes with policy='],
  ['bg A msync R timeout=5', 'w:1:22: timeout= is for ops that are waited for: give it to join'],
  // values that are none
  ['A mmap R 4X', 'w:1:10: "4X" is not a size (such as 4096, 64K, 2M, 1G, 0x1000)'],
  ['A mmap R 1.5G', 'w:1:10: "1.5G" is not a size (such as 4096, 64K, 2M, 1G, 0x1000)'],
  ['A mmap R 2T', 'w:1:10: "2T" is not a size (such as 4096, 64K, 2M, 1G, 0x1000): write 2048G'],
  ['A mmap R 010', 'w:1:10: "010" is not a size (such as 4096, 64K, 2M, 1G, 0x1000)'],
  ['A mmap R 99999999999999999', 'w:1:10: "99999999999999999" is too large'],
  ['A mmap R 0x10000000000000000', 'w:1:10: "0x10000000000000000" is too large'],
  ['A touch R read stride=0', 'w:1:23: must be more than 0'],
  ['A mmap R 4M align=3M', 'w:1:19: "3M" is not a power of two'],
  ['A mmap R 4M at=S', 'w:1:16: "S" is no place: an address (0x200000000000) or REGION+OFFSET'],
  ['A mmap R 4M prot=rq', 'w:1:18: "rq" is no protection: none, or letters out of rwx'],
  ['A mmap R 4M file=mnt', 'w:1:18: "mnt" is no path: it begins with /'],
  ['sleep 2K', 'w:1:7: "2K" is not a time (200 is milliseconds; or 500us, 1.5s, 10min, 2h)'],
  ['sleep 1.5', 'w:1:7: "1.5" is not a time (200 is milliseconds; or 500us, 1.5s, 10min, 2h)'],
  ['sleep 99999999h', 'w:1:7: "99999999h" is too long'],
  ['A touch R read rate=1000/s', 'w:1:21: "1000/s" is not a rate (50M/s is bytes a second, 1000p/s is pages of 4 KiB a second)'],
  ['A touch R read pattern=hot:10', 'w:1:24: hot needs two percentages: hot:10/90 sends 90 % of the accesses to 10 % of the range'],
  ['A touch R read pattern=hot:0/90', 'w:1:28: "0" is not between 1 and 99'],
  ['A touch R read pattern=zipf:x', 'w:1:29: "x" is no exponent for zipf (more than 0, at most 10; 0.99 is usual)'],
  ['A touch R write content=comp:101', 'w:1:30: "101" is not between 0 and 100'],
  ['A touch R write content=const', 'w:1:25: const needs a number: const:7'],
  ['A touch R write content=zero:1', 'w:1:30: zero takes no argument'],
  ['A set_mempolicy bind:0,x', 'w:1:24: "x" is no list of nodes (such as 0,2 or 0-2)'],
  ['A set_mempolicy bind:2-1', 'w:1:22: "2-1": the range runs backwards'],
  ['A set_mempolicy bind:64', 'w:1:22: "64": nodes are numbered 0 to 63'],
  ['A read ../1/maps', 'w:1:8: "../1/maps" is no name: it does not begin with / and holds no ..'],
  ['wait /proc/vmstat: ge 1', 'w:1:6: "/proc/vmstat:": a key follows the colon'],
  ['wait /x ge 1K', 'w:1:12: "1K" is not a whole number'],
  // blocks
  ['bg A\nmsync R', 'w:1:1: this "bg" has no "end"'],
  ['sync\n  loop 3\nsync', 'w:2:3: this "loop" has no "end"'],
  ['end', 'w:1:1: nothing is open here that "end" could close'],
  ['loop 3\nend', 'w:1:1: this block is empty'],
  ['loop\nsync\nend\nsync', 'w:4:1: nothing can follow the loop of line 1: it has no count and never ends'],
  ['loop 2\nloop\nsync\nend\nend', 'w:2:1: a loop within a loop needs a count'],
  ['loop\nexpect /x ge 1\nmark\nend', 'w:1:1: nothing in this loop takes time: it would never come to an end'],
  ['loop 0\nsync\nend', 'w:1:6: "0" is not between 1 and 1000000000'],
  ['loop $A\nsync\nend', 'w:1:6: loop: "$A" is one word too many (loop [N])'],
  ['bg A\nA touch R read\nend', 'w:2:1: a block\'s lines are ops of A: leave "A" out'],
  ['bg A\nsample x\nend', 'w:2:1: "sample" has no place in a block of A: only its own ops, sleep, loop and expect'],
  ['bg A\nfile f 4K\nend', 'w:2:1: "file" has no place in a block'],
  ['bg A\ntuoch R read\nend', 'w:2:1: unknown op "tuoch": did you mean "touch"?'],
  ['bg A\nmsync R timeout=1s\nend', 'w:2:17: timeout= is for ops that are waited for: give it to join'],
  ['expect ret ge 1', 'w:1:1: expect: there is no op before this line that could have a result'],
  ['sync\nbg A\nexpect err none\nend', 'w:3:1: expect: there is no op before this line that could have failed'],
  ['loop 2\n'.repeat(17) + 'sync\n' + 'end\n'.repeat(17), 'w:17:1: more than 16 blocks within each other'],
  // headers
  ['title a\ntitle b', 'w:2:1: the title is given twice'],
  ['seed 1\nseed 2', 'w:2:1: the seed is given twice'],
  ['seed 4G', 'w:1:6: "4G" is not between 0 and 4294967295'],
  ['machine disk=1M\nfile f 1K\nfile /mnt/f 1K', 'w:3:6: the file "f" is given twice'],
  ['machine disk=1M\nfile ../f 1K', 'w:2:6: "../f" is no name: it does not begin with / and holds no ..'],
  [`cmdline ${'x'.repeat(2049)}`, "w:1:1: the kernel's command line is longer than 2048 characters"],
  // what is no text
  ['sync\n\0\0\0', 'w:2:1: the character U+0000 has no place in a text: is this a workload?'],
  ['sync \x1b[31m', 'w:1:6: the character U+001B has no place in a text: is this a workload?'],
  ['a\rb', 'w:1:2: the character U+000D has no place in a text: is this a workload?'],
  ['PK\ufffd\ufffd', 'w:1:3: the character U+FFFD has no place in a text: is this a workload?'],
  ['x'.repeat(5000), 'w:1:4097: the line is longer than 4096 characters'],
  ['\n'.repeat(1_000_001), 'w:1000001: more than 1000000 lines'],
  ['#'.repeat(70 << 20), 'w: larger than 64 MiB: too large for a workload'],
]

describe('an error names file, line, column, and the nearest right word', () => {
  it.each(ERRORS.map(([text, message]) => [message, text]))('%s', (message, text) => {
    expect(errorOf(text)).toBe(message)
  })

  it('shows no character of the text that a terminal would obey, and not all of a long word', () => {
    expect(errorOf(`sample x\u202e\nA ${'tuoch'.repeat(50)} R`)).toBe(`w:2:1: neither "A" nor "${'tuoch'.repeat(8)}..." is an op`)
    expect(errorOf(`A touch R ${'w'.repeat(300)}`)).toContain(`unknown access "${'w'.repeat(40)}..."`)
    expect(errorOf('A touch R wri\u202ete')).toContain('unknown access "wri?te"')
  })
})
