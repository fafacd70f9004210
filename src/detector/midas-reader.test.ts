import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { decodeBanks, encodeBanks } from './midas-bank.ts'
import { encodeEventHeader } from './midas-event.ts'
import { openMidasIndex } from './midas-index.ts'
import { openMidasFile } from './midas-reader.ts'
import type { MidasOutcome } from './midas-reader.ts'
import { bank, fewEvents, fileOf, readAll, sampleRun } from './sample-file.ts'
import type { SampleEvent } from './sample-file.ts'

const anyBank = fc.record({
  name: fc.stringMatching(/^[A-Z0-9]{4}$/),
  type: fc.integer({ min: 1, max: 18 }),
  data: fc.uint8Array({ maxLength: 70 }),
})
const anyEvent: fc.Arbitrary<SampleEvent> = fc.record({
  id: fc.integer({ min: 1, max: 0x3fff }),
  format: fc.constantFrom('16-bit', '32-bit', '32-bit-aligned'),
  banks: fc.array(anyBank, { maxLength: 5 }),
})

const plainBanks = (banks: { name: string; type: number; data: Uint8Array }[]) =>
  banks.map(({ name, type, data }) => ({ name, type, data: [...data] }))

/** Without the position of the read ahead. */
const understood = (outcome: MidasOutcome) => ({ ...outcome, consumedBytes: undefined })

describe('round trips', () => {
  test('what is written is read again, plain and gzip, in all three bank forms', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { maxLength: 8 }), fc.boolean(), async (written, gzip) => {
        const { events, outcome } = await readAll(await sampleRun(written, { gzip }))
        expect(outcome).toMatchObject({
          complete: true,
          fault: undefined,
          events: written.length,
          number: 42,
          compressed: gzip,
        })
        expect(events.map((event) => event.kind)).toEqual(['begin-of-run', ...written.map(() => 'event'), 'end-of-run'])
        for (const [i, event] of written.entries()) {
          const read = events[i + 1]!
          const decoded = decodeBanks(read.data)
          expect(decoded.damage).toBeUndefined()
          expect(decoded.format).toBe(event.format)
          expect(plainBanks(decoded.banks)).toEqual(plainBanks(event.banks))
          expect(read).toMatchObject({ id: event.id, serialNumber: i, timestampSeconds: 1000 + i })
        }
      }),
      { numRuns: 40 },
    )
  })

  test('the index of a file says the same as its stream', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { maxLength: 8 }), fc.boolean(), async (written, gzip) => {
        const path = await sampleRun(written, { gzip })
        const { events, outcome } = await readAll(path)
        const index = await openMidasIndex(path)
        expect(understood(index.outcome)).toEqual(understood(outcome))
        expect(
          index.entries.map((entry) => [entry.id, entry.byteOffset, entry.dataSizeBytes, entry.serialNumber]),
        ).toEqual(events.map((event) => [event.id, event.byteOffset, event.data.length, event.serialNumber]))
      }),
      { numRuns: 20 },
    )
  })

  test('several gzip members, cut anywhere, are one file', async () => {
    const plain = await readFile(await sampleRun())
    const whole = await readAll(await fileOf(plain))
    for (let cut = 0; cut <= plain.length; cut += 7) {
      const members = Buffer.concat([gzipSync(plain.subarray(0, cut)), gzipSync(plain.subarray(cut))])
      const { events, outcome } = await readAll(await fileOf(members, 'run00043.mid.gz'))
      expect(outcome.fault).toBeUndefined()
      expect(events).toEqual(whole.events)
    }
  })

  test('an event may be longer than its banks', async () => {
    const { pieces, sizeBytes } = encodeBanks([bank('ABCD', 1, 1, 2, 3)])
    const body = Buffer.concat([...pieces, Buffer.alloc(24, 0xff)])
    const header = encodeEventHeader({
      id: 1,
      triggerMask: 0,
      serialNumber: 0,
      timestampSeconds: 0,
      dataSizeBytes: sizeBytes + 24,
    })
    const { events } = await readAll(await fileOf(Buffer.concat([header, body])))
    expect(plainBanks(decodeBanks(events[0]!.data).banks)).toEqual([{ name: 'ABCD', type: 1, data: [1, 2, 3] }])
  })
})

describe('damage', () => {
  test('cut at any byte: everything before is delivered, and the reason is told', async () => {
    const bytes = await readFile(await sampleRun())
    const whole = await readAll(await fileOf(bytes))
    for (let length = 0; length < bytes.length; length++) {
      const path = await fileOf(bytes.subarray(0, length))
      const { events, outcome } = await readAll(path)
      const kept = whole.events.filter((event) => event.byteOffset + 16 + event.data.length <= length)
      expect(events).toEqual(kept)
      expect(outcome.complete).toBe(false)
      expect(outcome.fault?.reason).toMatch(/./)
      expect(outcome.fault?.code).toBe(
        length === 0 ? 'empty' : outcome.bytesRead === length ? 'no-end-of-run' : 'truncated',
      )
      expect(understood((await openMidasIndex(path)).outcome)).toEqual(understood(outcome))
    }
  })

  test('a gzip file cut at any byte never throws and gives a beginning of the run', async () => {
    const bytes = await readFile(await sampleRun(fewEvents, { gzip: true }))
    const whole = await readAll(await fileOf(bytes, 'whole.mid.gz'))
    let atEnds = 0
    for (let length = 2; length < bytes.length; length++) {
      const { events, outcome } = await readAll(await fileOf(bytes.subarray(0, length), 'cut.mid.gz'))
      expect(events).toEqual(whole.events.slice(0, events.length))
      expect(outcome.complete).toBe(false)
      if (outcome.fault?.code === 'no-end-of-run') atEnds++
      else expect(outcome.fault).toMatchObject({ code: 'truncated', compressedOffset: expect.any(Number) })
    }
    // Cut between two members it is a crashed run.
    expect(atEnds).toBe(whole.events.length - 1)
  })

  test('any flipped bytes end in a result, and stream and index agree', async () => {
    const plain = await readFile(await sampleRun())
    const flips = fc.array(fc.tuple(fc.nat(plain.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bytes = Buffer.from(plain)
        for (const [at, mask] of changes) bytes[at] = bytes[at]! ^ mask
        const path = await fileOf(bytes)
        const { outcome } = await readAll(path)
        expect(understood((await openMidasIndex(path)).outcome)).toEqual(understood(outcome))
        expect(outcome.complete).toBe(outcome.fault === undefined || outcome.fault.code === 'trailing-data')
      }),
      { numRuns: 300 },
    )
  })

  test('any flipped bytes of a gzip file end in a result', async () => {
    const compressed = await readFile(await sampleRun(fewEvents, { gzip: true }))
    const flips = fc.array(fc.tuple(fc.nat(compressed.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bytes = Buffer.from(compressed)
        for (const [at, mask] of changes) bytes[at] = bytes[at]! ^ mask
        const { outcome } = await readAll(await fileOf(bytes, 'flipped.mid.gz'))
        expect(outcome.complete || outcome.fault !== undefined).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  test('random bytes are not a run', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const { outcome } = await readAll(await fileOf(bytes))
        expect(outcome.complete).toBe(false)
        expect(outcome.fault).toBeDefined()
      }),
      { numRuns: 100 },
    )
  })

  test('an event with a damaged bank head does not cost the events after it', async () => {
    const path = await sampleRun()
    const { events } = await readAll(path)
    const bytes = await readFile(path)
    bytes[events[2]!.byteOffset + 20] = 0x77
    await writeFile(path, bytes)
    const { events: again, outcome } = await readAll(path)
    expect(again).toHaveLength(events.length)
    expect(again[2]!.damage).toMatch(/bank flags 0x77/)
    expect(outcome).toMatchObject({
      complete: false,
      damagedEvents: 1,
      fault: { code: 'damaged-event', byteOffset: events[2]!.byteOffset },
    })
    expect(understood((await openMidasIndex(path)).outcome)).toEqual(understood(outcome))
  })

  test('a wrong event size ends the reading at that event, not in the pixels', async () => {
    const path = await sampleRun()
    const { events } = await readAll(path)
    const bytes = await readFile(path)
    bytes.writeUInt32LE(events[1]!.data.length - 4, events[1]!.byteOffset + 12)
    await writeFile(path, bytes)
    const { events: again, outcome } = await readAll(path)
    expect(again).toEqual(events.slice(0, 1))
    expect(outcome.fault).toMatchObject({ code: 'corrupt', byteOffset: events[1]!.byteOffset })
  })

  test('an event that claims gigabytes is damage, in both forms', async () => {
    const start = (await readFile(await sampleRun([]))).subarray(0, 16 + 36)
    const { bytesRead } = (await readAll(await fileOf(start))).outcome
    const begin = start.subarray(0, bytesRead)
    const claim = encodeEventHeader({
      id: 1,
      triggerMask: 0,
      serialNumber: 0,
      timestampSeconds: 0,
      dataSizeBytes: 0xfffffff0,
    })
    const bytes = Buffer.concat([begin, claim, Buffer.alloc(100)])
    for (const path of [await fileOf(bytes), await fileOf(gzipSync(bytes), 'claim.mid.gz')]) {
      const { events, outcome } = await readAll(path)
      expect(events).toHaveLength(begin.length > 0 ? 1 : 0)
      expect(outcome.fault).toMatchObject({ code: 'corrupt', byteOffset: begin.length })
    }
  })

  test('a gzip bomb stops at the limit of one event', async () => {
    const header = encodeEventHeader({
      id: 1,
      triggerMask: 0,
      serialNumber: 0,
      timestampSeconds: 0,
      dataSizeBytes: 50_000_000,
    })
    const path = await fileOf(gzipSync(Buffer.concat([header, Buffer.alloc(50_000_000)])), 'bomb.mid.gz')
    const { events, outcome } = await readAll(path, { maxEventBytes: 1_000_000 })
    expect(events).toEqual([])
    expect(outcome.fault?.reason).toBe('an event claims 50000000 bytes, more than the limit of 1000000')
    expect(outcome.consumedBytes).toBeLessThanOrEqual(64 * 1024)
  })

  test('what follows the end of run is reported and does no harm', async () => {
    const bytes = await readFile(await sampleRun())
    const garbage = Buffer.from('not an event, whatever it is, of more than 24 bytes')
    const whole = await readAll(await fileOf(bytes))
    for (const path of [
      await fileOf(Buffer.concat([bytes, garbage])),
      await fileOf(Buffer.concat([bytes, garbage.subarray(0, 5)])),
      await fileOf(Buffer.concat([gzipSync(bytes), garbage]), 'run00043.mid.gz'),
    ]) {
      const { events, outcome } = await readAll(path)
      expect(events).toEqual(whole.events)
      expect(outcome).toMatchObject({ complete: true, fault: { code: 'trailing-data', byteOffset: bytes.length } })
    }
  })

  test('a file without begin of run is read, and said to have none', async () => {
    const path = await sampleRun()
    const { events } = await readAll(path)
    const { outcome } = await readAll(await fileOf((await readFile(path)).subarray(events[1]!.byteOffset)))
    expect(outcome).toMatchObject({ complete: false, events: 3, fault: { code: 'no-begin-of-run', byteOffset: 0 } })
  })
})

describe('files that change or are not there', () => {
  const large: SampleEvent[] = Array.from({ length: 20 }, () => ({
    id: 1,
    format: '32-bit',
    banks: [{ name: 'CAM0', type: 4, data: new Uint8Array(100_000) }],
  }))

  test.each([
    [
      'shrinks',
      (path: string, size: number) => truncate(path, size - 500_000),
      /shrank from \d+ to \d+ bytes while it was read/,
    ],
    ['grows', (path: string) => appendFile(path, new Uint8Array(1000)), /grew from \d+ to \d+ bytes while it was read/],
  ])('a file that %s while read is reported', async (_, change, reason) => {
    const path = await sampleRun(large)
    const reader = openMidasFile(path)
    let events = 0
    for await (const event of reader)
      if (event.kind === 'event' && ++events === 3) await change(path, (await stat(path)).size)
    expect(events).toBeGreaterThanOrEqual(14)
    expect(reader.outcome).toMatchObject({ complete: false, fault: { code: 'changed-while-read' } })
    expect(reader.outcome.fault?.reason).toMatch(reason)
  })

  test('no such file, a folder: a Fault that says so', async () => {
    const { path } = await temporaryDirectory()
    await expect(readAll(`${path}/run00001.mid`)).rejects.toMatchObject({ code: 'detector.no_such_file', status: 404 })
    await expect(readAll(path)).rejects.toMatchObject({ code: 'detector.unreadable_file' })
  })

  test('a signal stops the reading', async () => {
    const path = await sampleRun(large)
    const controller = new AbortController()
    let events = 0
    const reading = async (): Promise<void> => {
      for await (const _ of openMidasFile(path, { signal: controller.signal })) if (++events === 2) controller.abort()
    }
    await expect(reading()).rejects.toMatchObject({ name: 'AbortError' })
    expect(events).toBe(2)
  })
})
