import { expect, it } from 'vitest'
import { readAhead } from './read-ahead.ts'

/** Counts what is asked for and says when it was ended. */
function source(items: number, failAt = Infinity) {
  const seen = { asked: 0, ended: false }
  async function* give() {
    try {
      for (let item = 0; item < items; item++) {
        seen.asked++
        if (item === failAt) throw new Error('torn')
        yield item
      }
    } finally {
      seen.ended = true
    }
  }
  return { seen, give }
}

it('gives all items in order and asks for one more than was taken', async () => {
  const { seen, give } = source(4)
  const taken: number[] = []
  for await (const item of readAhead(give())) {
    taken.push(item)
    expect(seen.asked).toBe(Math.min(4, item + 2))
  }
  expect(taken).toEqual([0, 1, 2, 3])
  expect(seen.ended).toBe(true)
})

it('ends the source when the work stops early', async () => {
  const { seen, give } = source(10)
  for await (const item of readAhead(give())) if (item === 2) break
  expect(seen).toEqual({ asked: 4, ended: true })
})

it('fails when its turn has come, not before', async () => {
  const { seen, give } = source(10, 3)
  const taken: number[] = []
  await expect(async () => {
    for await (const item of readAhead(give())) taken.push(item)
  }).rejects.toThrow('torn')
  expect(taken).toEqual([0, 1, 2])
  expect(seen.ended).toBe(true)
})
