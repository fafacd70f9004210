import { execFile } from 'node:child_process'
import { cp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { isDeepStrictEqual, promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openRunFile } from './byte-source.ts'
import { stampOf } from './file-stamp.ts'
import { loadIndex, saveIndex } from './index-file.ts'
import type { MidasEvent } from './midas-event.ts'
import { openMidasIndex, readEventAt, readPictureAt } from './midas-index.ts'
import { createMidasWriter } from './midas-writer.ts'
import { fewEvents, fileOf, readAll, sampleRun } from './sample-file.ts'
import { gzipped, pictureRun } from './sample-frames.ts'

const run = async (program: string, ...argv: string[]) =>
  (await promisify(execFile)(program, argv, { encoding: 'buffer', maxBuffer: 1 << 30 })).stdout

/** Large arrays compared element by element take seconds. */
function same(one: MidasEvent, other: MidasEvent): boolean {
  const { data, ...fields } = one
  const { data: otherData, ...otherFields } = other
  return isDeepStrictEqual(fields, otherFields) && Buffer.compare(data, otherData) === 0
}

async function savedIndex(path: string, at = `${path}.index`) {
  const handle = await openRunFile(path)
  const stamp = await stampOf(handle).finally(() => handle.close())
  await saveIndex(at, await openMidasIndex(path, { inflate: true }), stamp)
  return at
}

describe('a run compressed by gzip', () => {
  test('each event comes from the saved index, from at most one event before it', async () => {
    const plain = await pictureRun({ pictures: 5, side: 1000 })
    const path = await gzipped(plain)
    const { events, outcome } = await readAll(plain)
    const at = await savedIndex(path)
    const index = (await loadIndex(at, path))!
    expect(index.outcome).toMatchObject({ complete: true, fault: undefined, events: outcome.events, number: 42 })
    expect(index.pictures).toHaveLength(5)
    for (const position of [...events.keys()].toReversed())
      expect(same(await readEventAt(index, position), events[position]!)).toBe(true)
    const { seek } = index
    if (seek?.kind !== 'points') throw new Error('no points')
    for (const entry of index.entries) {
      const before = seek.points.findLast((point) => point.uncompressed <= entry.byteOffset)
      const [previous] = index.entries.filter((one) => one.byteOffset <= entry.byteOffset).slice(-2)
      expect((before?.uncompressed ?? 0) + 257).toBeGreaterThanOrEqual(previous!.byteOffset)
    }
    expect((await stat(at)).size).toBeLessThan(64 * 1024 + (await stat(path)).size / 100 + 100 * events.length)
  })

  test('windows take at most a hundredth of the file and 64 KiB, however small the events are', async () => {
    const path = await gzipped(await pictureRun({ pictures: 300, side: 90 }), 1)
    const index = await openMidasIndex(path)
    if (index.seek?.kind !== 'points') throw new Error('no points')
    const taken = index.seek.points.reduce((sum, point) => sum + point.windowSize, 0)
    expect(taken).toBeLessThanOrEqual(64 * 1024 + (await stat(path)).size / 100)
    for (const position of [0, 1, 150, 299])
      expect((await readPictureAt(index, position)).event.serialNumber).toBe(position)
  })

  test('an index of another state of the file, another version or damaged is none', async () => {
    const path = await gzipped(await pictureRun({ pictures: 3, side: 300 }))
    const at = await savedIndex(path)
    expect(await loadIndex(at, path)).toBeDefined()
    const bytes = await readFile(path)
    const { mtime } = await stat(path)
    // As long and as old, but other bytes.
    await writeFile(path, Buffer.from(bytes).fill(7, bytes.length - 20, bytes.length - 10))
    await utimes(path, mtime, mtime)
    expect(await loadIndex(at, path)).toBeUndefined()
    await writeFile(path, bytes)
    expect(await loadIndex(at, path)).toBeUndefined()
    expect(await loadIndex(await savedIndex(path), path)).toBeDefined()
    expect(await loadIndex(`${at}.gone`, path)).toBeUndefined()
    const index = await readFile(at)
    await writeFile(at, index.with(8, 2))
    expect(await loadIndex(at, path)).toBeUndefined()
  })

  test('a replaced middle is told, never shown', async () => {
    const path = await gzipped(await pictureRun({ pictures: 6, side: 800, seed: 1 }), 1)
    const other = await readFile(await gzipped(await pictureRun({ pictures: 6, side: 800, seed: 2 }), 1))
    const index = await openMidasIndex(path)
    const bytes = await readFile(path)
    other.copy(bytes, bytes.length / 2, bytes.length / 2, bytes.length - 20_000)
    await writeFile(path, bytes)
    await expect(readPictureAt(index, 4)).rejects.toMatchObject({ code: 'detector.unreadable_file' })
    expect((await readPictureAt(index, 1)).event.serialNumber).toBe(1)
  })

  test('an index with any bytes changed or cut is none, or reads what is there or says so', async () => {
    const path = await gzipped(await pictureRun({ pictures: 4, side: 800 }), 1)
    const at = await savedIndex(path)
    const bytes = await readFile(at)
    const whole = await readAll(path)
    const change = fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255), cut: fc.option(fc.nat(bytes.length)) })
    await fc.assert(
      fc.asyncProperty(change, async ({ at: where, to, cut }) => {
        await writeFile(at, bytes.with(where, to).subarray(0, cut ?? bytes.length))
        const index = await loadIndex(at, path)
        if (!index) return
        for (const position of [2, 4]) {
          const read = await readEventAt(index, position).catch((error: { code?: string }) => error.code)
          if (typeof read === 'object') expect(same(read, whole.events[position]!)).toBe(true)
          else expect(read).toBe('detector.unreadable_file')
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('a run of event members', () => {
  test('gunzip, zcat and python read it as the plain file', async () => {
    const folder = await sampleRun()
    const plain = await readFile(folder)
    const path = await sampleRun(fewEvents, { gzip: true })
    expect(Buffer.compare(await run('zcat', path), plain)).toBe(0)
    await run('gzip', '-t', path)
    const script = 'import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())'
    expect(Buffer.compare(await run('python3', '-c', script, path), plain)).toBe(0)
    expect(Buffer.compare(gunzipSync(await readFile(path)), plain)).toBe(0)
    await cp(path, `${path}.copy.gz`)
    await run('gunzip', `${path}.copy.gz`)
    expect(Buffer.compare(await readFile(`${path}.copy`), plain)).toBe(0)
  })

  test('its index is found by hopping and says what inflating says', async () => {
    const path = await pictureRun({ pictures: 5, side: 500, gzip: true })
    const { events } = await readAll(path)
    const hopped = await openMidasIndex(path)
    expect(hopped.seek?.kind).toBe('members')
    const inflated = await openMidasIndex(path, { inflate: true })
    expect({ ...hopped, outcome: undefined }).toEqual({ ...inflated, outcome: undefined })
    expect({ ...hopped.outcome }).toEqual({ ...inflated.outcome })
    for (const position of [...events.keys()].toReversed())
      expect(await readEventAt(hopped, position)).toEqual(events[position])
    const again = (await loadIndex(await savedIndex(path), path))!
    expect(await readEventAt(again, 3)).toEqual(events[3])
    expect(await readPictureAt(path, 4)).toEqual(await readPictureAt(hopped, 4))
  })

  test('an event with a wrong checksum is neither delivered nor shown', async () => {
    const path = await pictureRun({ pictures: 5, side: 500, gzip: true })
    const whole = await readAll(path)
    const hopped = await openMidasIndex(path)
    const bytes = await readFile(path)
    if (hopped.seek?.kind !== 'members') throw new Error('no members')
    const [from, to] = [hopped.seek.offsets[3]!, hopped.seek.offsets[4]!]
    for (const at of [to - 8, Math.round((from + to) / 2)]) {
      await writeFile(path, bytes.with(at, bytes[at]! ^ 1))
      const { events, outcome } = await readAll(path)
      expect(events).toEqual(whole.events.slice(0, 3))
      expect(outcome.fault).toMatchObject({ code: 'bad-gzip' })
      expect(outcome.fault!.compressedOffset).toBeGreaterThan(from)
      await expect(readEventAt(hopped, 3)).rejects.toMatchObject({ code: 'detector.unreadable_file' })
      expect(await readEventAt(hopped, 4)).toEqual(whole.events[4])
      expect((await openMidasIndex(path, { inflate: true })).entries).toHaveLength(3)
    }
  })

  test('heads that lie are not believed', async () => {
    const path = await sampleRun(fewEvents, { gzip: true })
    const whole = await readAll(path)
    const bytes = await readFile(path)
    for (let at = 16; at < 54; at++) {
      const { events, outcome } = await readAll(await fileOf(bytes.with(at, bytes[at]! ^ 0x55), 'run.mid.gz'))
      expect(events).toEqual(whole.events)
      expect(outcome.complete).toBe(true)
    }
  })

  test('read ahead by several threads it is the same run', async () => {
    const path = await pictureRun({ pictures: 7, side: 300, gzip: true })
    const whole = await readAll(path)
    for (const ahead of [2, 4]) expect(await readAll(path, { ahead })).toEqual(whole)
  })

  test('the same run at the same level gives the same bytes', async () => {
    const one = await readFile(await pictureRun({ pictures: 3, side: 200, gzip: true }))
    const two = await readFile(await pictureRun({ pictures: 3, side: 200, gzip: true }))
    expect(Buffer.compare(one, two)).toBe(0)
  })

  test('a file with both kinds of members is read, and indexed by inflating', async () => {
    const path = await sampleRun(fewEvents, { gzip: true })
    const plain = await gzipped(await sampleRun())
    const both = await fileOf(Buffer.concat([await readFile(path), await readFile(plain)]), 'both.mid.gz')
    const { events, outcome } = await readAll(both)
    expect(events).toHaveLength(10)
    const index = await openMidasIndex(both)
    expect(index.seek?.kind).toBe('points')
    expect(index.entries).toHaveLength(10)
    expect(index.outcome).toEqual({ ...outcome })
    for (const position of [0, 4, 5, 9]) expect(await readEventAt(index, position)).toEqual(events[position])
  })

  test('an existing file is refused', async () => {
    const path = await sampleRun(fewEvents, { gzip: true })
    await expect(createMidasWriter(path, { gzip: true })).rejects.toMatchObject({ code: 'detector.already_there' })
    await rm(path)
  })
})
