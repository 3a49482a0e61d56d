import { describe, expect, it } from 'vitest'
import { EV, NS } from '../../../src/kernel/base/counters.ts'
import { run } from './lab.ts'

describe('reclaim for a group', () => {
  it('meets few dirty pages a second time: the flusher writes them while it goes on', () => {
    const many = 'write /proc/sys/vm/dirty_ratio 80\nwrite /proc/sys/vm/dirty_background_ratio 70\n'
    const { k } = run(
      `${many}spawn A\ncgroup G add A\nA mmap m 30M file=/mnt/f flags=shared\nA touch m read 10M 20M\nA touch m write 0 10M\ncgroup G set memory.reclaim 24M`,
    )
    expect(k.nodes[0].stat[NS.nr_vmscan_immediate_reclaim]).toBeLessThan(100)
    expect(k.event[EV.pgscan_file]).toBeLessThan(20_000)
  })
})
