import { readFile, truncate, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { openMidasIndex, readEventAt, readPictureAt } from './midas-index.ts'
import { openMidasFile } from './midas-reader.ts'
import { readRunFacts } from './run-facts.ts'
import { fileOf, readAll, sampleRun } from './sample-file.ts'
import { writeSimulatedRun } from './simulator/write-run.ts'
import type { SimulationOptions } from './simulator/simulate-run.ts'

const startMs = Date.UTC(2026, 0, 2, 3, 4, 5)
const small: SimulationOptions = {
  seed: 1,
  number: 12,
  kind: 'data',
  images: 3,
  frame: { width: 128, height: 128 },
  startMs,
}

async function simulated(options: Partial<SimulationOptions> = {}, gzip = false): Promise<string> {
  const { path } = await temporaryDirectory()
  return (await writeSimulatedRun(path, { ...small, ...options }, { gzip })).path
}

test('the facts of a run, the same from a plain and from a gzip file', async () => {
  const facts = await readRunFacts(await simulated())
  expect(facts).toMatchObject({
    number: 12,
    startedMs: startMs,
    endedMs: startMs + 1000,
    complete: true,
    fault: undefined,
    events: 4,
    images: 3,
    cameras: [0],
    frameWidth: 128,
    frameHeight: 128,
    kind: 'data',
    description: 'Simulated data: 55Fe, muons, alphas',
    odbFormat: 'json',
  })
  expect(facts.triggers).toBeGreaterThan(0)
  expect(facts.conditions).toContainEqual({
    path: '/Equipment/Trigger/Statistics/Events sent',
    name: 'Events sent',
    value: 3,
  })
  const compressed = await readRunFacts(await simulated({}, true))
  expect({ ...compressed, sizeBytes: facts.sizeBytes }).toEqual(facts)
  expect(compressed.sizeBytes).toBeLessThan(facts.sizeBytes)
})

test('a pedestal run is one, and has no triggers', async () => {
  expect(await readRunFacts(await simulated({ kind: 'pedestal' }))).toMatchObject({
    kind: 'pedestal',
    images: 3,
    triggers: 0,
    complete: true,
  })
})

test('a run cut short: the facts up to there, and why', async () => {
  const path = await simulated()
  const index = await openMidasIndex(path)
  await truncate(path, index.entries.at(-2)!.byteOffset + 500)
  expect(await readRunFacts(path)).toMatchObject({
    complete: false,
    images: 2,
    endedMs: undefined,
    fault: { code: 'truncated', byteOffset: index.entries.at(-2)!.byteOffset },
  })
  await truncate(path, index.entries.at(-2)!.byteOffset)
  expect(await readRunFacts(path)).toMatchObject({ complete: false, images: 2, fault: { code: 'no-end-of-run' } })
})

test('empty files, files of something else, unreadable dumps', async () => {
  expect(await readRunFacts(await fileOf(new Uint8Array(0)))).toMatchObject({
    number: undefined,
    complete: false,
    fault: { code: 'empty', reason: 'the file is empty' },
  })
  expect(await readRunFacts(await fileOf(gzipSync('')))).toMatchObject({ complete: false, fault: { code: 'empty' } })
  expect(
    await readRunFacts(await fileOf(Buffer.from('%PDF-1.4 something else altogether, long enough'))),
  ).toMatchObject({ events: 0, fault: { code: 'corrupt', byteOffset: 0 } })
  const path = await sampleRun([])
  const bytes = await readFile(path)
  await writeFile(path, Buffer.from(bytes.toString('latin1').replaceAll('{"Runinfo"', '<"Runinfo"'), 'latin1'))
  expect(await readRunFacts(path)).toMatchObject({
    complete: true,
    number: 42,
    startedMs: 1_000_000,
    endedMs: 2_000_000,
    odbFormat: 'xml',
    conditions: [],
  })
  await writeFile(path, Buffer.from(bytes.toString('latin1').replaceAll('{"Runinfo"', '{"Runinfo\n'), 'latin1'))
  expect(await readRunFacts(path)).toMatchObject({ complete: true, odbFormat: 'unreadable' })
})

test('damaged digitizer banks cost neither the facts nor the picture', async () => {
  const path = await simulated({ tracks: [{ kind: 'iron', xPx: 64, yPx: 64 }] })
  const index = await openMidasIndex(path)
  const picture = index.entries[index.pictures[1]!]!
  const header = picture.banks.find((bank) => bank.name === 'DGH0')!
  const bytes = await readFile(path)
  bytes.writeUInt32LE(9, header.byteOffset + 16)
  await writeFile(path, bytes)
  expect(await readRunFacts(path)).toMatchObject({ images: 3, complete: true })
  const read = await readPictureAt(path, 1)
  expect(read.frames).toHaveLength(1)
  expect(read.digitizer).toBeUndefined()
  expect(read.digitizerDamage).toMatch(/DGH0/)
})

test('event k and picture k, from index, plain path and gzip path, are those of the stream', async () => {
  const plain = await simulated({ images: 4 })
  const compressed = await simulated({ images: 4 }, true)
  const { events } = await readAll(plain)
  for (const source of [plain, compressed, await openMidasIndex(plain), await openMidasIndex(compressed)]) {
    for (const position of [0, 3, events.length - 1])
      expect(await readEventAt(source, position)).toEqual(events[position])
    const picture = await readPictureAt(source, 2)
    expect(picture.event.serialNumber).toBe(2)
    expect(picture.frames[0]).toMatchObject({ camera: 0, width: 128, height: 128 })
    expect(picture.digitizer?.boards.map((board) => board.model)).toEqual([1742, 1720])
    await expect(readEventAt(source, 99)).rejects.toMatchObject({ code: 'detector.no_such_event', status: 404 })
    await expect(readPictureAt(source, 4)).rejects.toThrow(/no picture 4: it holds 4, counted from 0/)
  }
})

test('a file that shrank since it was indexed is told', async () => {
  const path = await simulated()
  const index = await openMidasIndex(path)
  await truncate(path, index.entries.at(-1)!.byteOffset - 10)
  await expect(readPictureAt(index, 2)).rejects.toMatchObject({ code: 'detector.unreadable_file' })
})

test('facts are given up on a signal, and a missing file is a Fault', async () => {
  const path = await simulated()
  await expect(readRunFacts(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
  await expect(readRunFacts(`${path}.none`)).rejects.toMatchObject({ code: 'detector.no_such_file' })
  for await (const event of openMidasFile(path)) if (event.kind === 'event') break
})
