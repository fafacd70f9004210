import { expect, test } from 'vitest'
import { splitReferences } from './references.ts'

test('run references in notes are found, times and addresses are not', () => {
  const found = (text: string) => splitReferences(text).flatMap((part) => part.reference ?? [])
  expect(found('Compare sim:77 with lngs:42901.')).toEqual(['sim:77', 'lngs:42901'])
  expect(found('at 12:30 on http://host:8410/x and s3://a:1')).toEqual([])
  expect(splitReferences('see sim:2!')).toEqual([
    { text: 'see ' },
    { text: 'sim:2', reference: 'sim:2' },
    { text: '!' },
  ])
})
