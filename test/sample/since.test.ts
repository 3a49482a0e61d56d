import { expect, it } from 'vitest'
import { toSample } from '../../src/sample/sample.ts'
import { factSince, noteFacts } from '../../src/sample/since.ts'

const PATH = '/mmtop/pages/frame/77'
const frame = (ns: number, text: string) => toSample({ ns, files: new Map([[PATH, text]]) })

it('says since when a watched page has been as it is, and whether that was seen', () => {
  const first = noteFacts(new Map(), frame(1, 'list inactive_anon\nowner 5'))
  const second = noteFacts(first, frame(2, 'list active_anon\nowner 5'))
  const third = noteFacts(second, frame(3, 'list active_anon\nowner 5'))
  expect(factSince(third, PATH, 'list')).toMatchObject({ ns: 2, changed: true })
  expect(factSince(third, PATH, 'owner')).toMatchObject({ ns: 1, changed: false })
})

it('begins anew for a page that was not watched meanwhile', () => {
  const first = noteFacts(new Map(), frame(1, 'owner 5'))
  const away = noteFacts(first, toSample({ ns: 2, files: new Map() }))
  expect(factSince(noteFacts(away, frame(3, 'owner 5')), PATH, 'owner')).toMatchObject({ ns: 3, changed: false })
})
