import { expect, it } from 'vitest'
import { createEventSlots } from './event-slots.ts'

const large = 1_000_000

it('lends memory of the size asked for, the same again', async () => {
  const slots = createEventSlots(2)
  const first = (await slots.take(large))!
  expect(first.length).toBe(large)
  const second = (await slots.take(large))!
  expect(second.buffer).not.toBe(first.buffer)
  slots.giveBack(first)
  const again = (await slots.take(large - 7))!
  expect([again.buffer, again.length]).toEqual([first.buffer, large - 7])
  // A larger event gets larger memory in its place.
  slots.giveBack(second)
  const larger = (await slots.take(9 * large))!
  expect(larger.length).toBe(9 * large)
  expect(slots.slotOf(second)).toBeUndefined()
  expect(slots.slotOf(larger)?.memory).toBe(larger.buffer)
})

it('lends none for small events and passes over what is not its own', async () => {
  const slots = createEventSlots(1)
  expect(await slots.take(1000)).toBeUndefined()
  slots.giveBack(new Uint8Array(10))
  expect(slots.slotOf(new Uint8Array(10))).toBeUndefined()
})

it('waits until the last user has given back', async () => {
  const slots = createEventSlots(1)
  const event = (await slots.take(large))!
  // Two cameras of one event, and its reader.
  slots.keep(event.subarray(0, 100))
  slots.keep(event.subarray(100))
  let given = false
  const next = slots.take(large).then((bytes) => {
    given = true
    return bytes
  })
  for (const user of [event, event.subarray(100)]) slots.giveBack(user)
  await Promise.resolve()
  expect(given).toBe(false)
  slots.giveBack(event.subarray(0, 100))
  expect((await next)?.buffer).toBe(event.buffer)
})

it('refuses those who wait and those who come when nothing will become free', async () => {
  const slots = createEventSlots(1)
  await slots.take(large)
  const waiting = slots.take(large)
  slots.refuse(new Error('a thread ended'))
  await expect(waiting).rejects.toThrow('a thread ended')
  await expect(slots.take(large)).rejects.toThrow('a thread ended')
})
