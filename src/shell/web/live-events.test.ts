import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventReader, roomsTouchedBy } from './live-events.ts'

const stream =
  ': hello\n\nid: 1:7\nevent: logbook.run-opened\ndata: {"a":1}\n\nevent: storage.object-created\ndata: first\ndata: second\n\n: keep-alive\n\n'

describe('live events', () => {
  test('comments are silent, ids and names are read, data lines are joined', () => {
    expect(createEventReader()(stream)).toEqual([
      { event: 'logbook.run-opened', data: '{"a":1}', id: '1:7' },
      { event: 'storage.object-created', data: 'first\nsecond', id: undefined },
    ])
  })
  test('whatever the pieces it arrives in', () => {
    const whole = createEventReader()(stream)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 8 }), (cuts) => {
        const read = createEventReader()
        const places = [0, ...cuts.toSorted((a, b) => a - b), stream.length]
        const events = places.slice(1).flatMap((end, index) => read(stream.slice(places[index], end)))
        expect(events).toEqual(whole)
      }),
    )
  })
  test('a fact makes stale only the rooms that follow its kind', () => {
    const slots = [
      { room: 'logbook', routes: [], follows: ['logbook.', 'ingest.'] },
      { room: 'compute', routes: [], follows: ['compute.'] },
    ]
    expect(roomsTouchedBy('logbook.run-closed', slots)).toEqual(['logbook'])
    expect(roomsTouchedBy('identity.role-set', slots)).toEqual([])
  })
})
