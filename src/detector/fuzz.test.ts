/**
 * Whatever bytes a run file holds, reading it ends, in words, in bounded memory, and stream and index say the same. `CYGNET_LONG=detector` tries 20,000
 * files in place of a few hundred; `CYGNET_FUZZ_SEED` and
 * `CYGNET_FUZZ_CASES` repeat a part of them.
 */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { encodeEventHeader } from './midas-event.ts'
import type { MidasEvent } from './midas-event.ts'
import { openMidasIndex, readEventAt } from './midas-index.ts'
import type { MidasOutcome } from './midas-reader.ts'
import { readRunFacts } from './run-facts.ts'
import { fewEvents, fileOf, readAll, sampleRun } from './sample-file.ts'
import { pictureRun } from './sample-frames.ts'

const cases = Number(process.env.CYGNET_FUZZ_CASES ?? (process.env.CYGNET_LONG === 'detector' ? 20_000 : 240))
const firstSeed = Number(process.env.CYGNET_FUZZ_SEED ?? 1)

/** Files as they come: plain, one gzip member, several cut anywhere, event members; small and with pictures. */
let bases: Buffer[]
beforeAll(async () => {
  const plains = [await readFile(await sampleRun()), await readFile(await pictureRun({ pictures: 4, side: 48 }))]
  const members = [
    await readFile(await sampleRun(fewEvents, { gzip: true })),
    await readFile(await pictureRun({ pictures: 4, side: 48, gzip: true })),
  ]
  bases = [
    ...plains,
    ...members,
    ...plains.map((plain) => gzipSync(plain)),
    ...plains.map((plain) => gzipSync(plain, { level: 0 })),
    ...plains.map((plain) => Buffer.concat([gzipSync(plain.subarray(0, 900)), gzipSync(plain.subarray(900))])),
    ...plains.map((plain) => gzipSync(Buffer.concat([plain.subarray(0, 300), Buffer.alloc(1_000_000)]))),
  ]
})

type Random = (below: number) => number
function randomOf(seed: number): Random {
  let state = Math.imul(seed, 2654435761) >>> 0
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const mutations: ((bytes: Buffer, random: Random) => Buffer)[] = [
  (bytes, random) => {
    const at = random(bytes.length)
    return bytes.fill(bytes[at]! ^ (1 << random(8)), at, at + 1)
  },
  (bytes, random) => bytes.fill(random(256), random(bytes.length), random(bytes.length)),
  (bytes, random) => bytes.subarray(0, random(bytes.length)),
  (bytes, random) => {
    const [from, to] = [random(bytes.length), random(bytes.length)].toSorted((a, b) => a - b)
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
  },
  (bytes, random) => {
    const at = random(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(200))])
  },
  (bytes, random) => {
    const head = encodeEventHeader({
      id: random(0x10000),
      triggerMask: random(3) ? 0x494d : 0,
      serialNumber: 1,
      timestampSeconds: 1,
      dataSizeBytes: random(2) ? random(2 ** 32) : random(100_000),
    })
    const at = random(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), head, bytes.subarray(at + (random(2) ? 16 : 0))])
  },
  (bytes, random) => Buffer.concat([bytes, Buffer.from(Array.from({ length: random(60) }, () => random(256)))]),
  (bytes) => Buffer.concat([bytes, gzipSync(Buffer.alloc(300_000))]),
  (bytes, random) => {
    // Words where sizes stand: at the head of members, of events, of stored blocks.
    const at = random(Math.min(bytes.length, 80))
    if (at + 4 > bytes.length) return bytes
    bytes.writeUInt32LE([0, 1, 0xffff, 0x7fffffff, 0xffffffff][random(5)]!, at)
    return bytes
  },
]

const understood = (outcome: MidasOutcome) => ({ ...outcome, consumedBytes: undefined })
const summary = ({ id, byteOffset, data, damage }: MidasEvent) => [id, byteOffset, data.length, damage]

test(`${cases} damaged files`, async () => {
  const { path: folder } = await temporaryDirectory()
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = randomOf(seed)
    let bytes: Buffer = Buffer.from(bases[random(bases.length)]!)
    for (let n = 1 + random(3); n > 0 && bytes.length > 0; n--)
      bytes = mutations[random(mutations.length)]!(bytes, random)
    const path = join(folder, `${seed % 8}.mid`)
    await writeFile(path, bytes)
    try {
      await examine(path, bytes.length)
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause })
    }
  }
}, 3_600_000)

async function examine(path: string, sizeBytes: number): Promise<void> {
  const { events, outcome } = await readAll(path)
  expect(outcome.complete).toBe(
    outcome.fault === undefined ? outcome.complete : outcome.fault.code === 'trailing-data' && outcome.complete,
  )
  expect(outcome.complete || outcome.fault !== undefined).toBe(true)
  expect(outcome.consumedBytes).toBeLessThanOrEqual(sizeBytes)
  const { fault } = outcome
  if (fault) {
    expect(fault.reason).toMatch(/[a-z]{3}/)
    expect(fault.byteOffset).toBeGreaterThanOrEqual(0)
    if (fault.code === 'bad-gzip') expect(fault.compressedOffset).toBeLessThanOrEqual(sizeBytes)
  }
  const index = await openMidasIndex(path, { inflate: true })
  expect(understood(index.outcome)).toEqual(understood(outcome))
  expect(index.entries.map((entry) => [entry.id, entry.byteOffset, entry.dataSizeBytes, entry.damage])).toEqual(
    events.map(summary),
  )
  for (const position of new Set([0, events.length >> 1, events.length - 1])) {
    const event = events[position]
    if (event) expect(await readEventAt(index, position)).toEqual(event)
  }
  // What is hopped over is not looked at: it may promise more than there is, and says so when it is read.
  const hopped = await openMidasIndex(path)
  expect(hopped.entries.slice(0, events.length).map((entry) => [entry.id, entry.byteOffset])).toEqual(
    events.slice(0, hopped.entries.length).map((event) => [event.id, event.byteOffset]),
  )
  if (hopped.entries.length > events.length) {
    expect(hopped.seek?.kind).toBe('members')
    await expect(readEventAt(hopped, events.length)).rejects.toMatchObject({ code: 'detector.unreadable_file' })
  }
  const facts = await readRunFacts(path)
  expect(facts).toMatchObject({ events: outcome.events, complete: outcome.complete })
  expect(facts.fault).toEqual(outcome.fault)
}

test('a bomb of a gigabyte, as one event, and one of countless events, take little memory', async () => {
  const claim = encodeEventHeader({
    id: 1,
    triggerMask: 0,
    serialNumber: 0,
    timestampSeconds: 0,
    dataSizeBytes: 2 ** 28,
  })
  const tiny = Buffer.alloc(24)
  tiny.set(encodeEventHeader({ id: 1, triggerMask: 0, serialNumber: 0, timestampSeconds: 0, dataSizeBytes: 8 }))
  tiny.writeUInt32LE(0x11, 20)
  const bombs = [
    Buffer.concat([gzipSync(claim), ...Array<Buffer>(16).fill(gzipSync(Buffer.alloc(1 << 26)))]),
    Buffer.concat(Array<Buffer>(3).fill(gzipSync(Buffer.alloc(24 * 100_000, tiny)))),
  ]
  const script = join(import.meta.dirname, 'sample-reading.ts')
  for (const [i, bomb] of bombs.entries()) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, await fileOf(bomb, 'bomb.mid.gz')])
    const { fault, peakMb } = JSON.parse(stdout) as { fault: string; peakMb: number }
    expect(fault).toMatch(i === 0 ? /corrupt|truncated|bad-gzip|damaged|no-begin/ : /no-begin-of-run/)
    // Less than the bomb; how far below depends on how often a busy machine collects garbage.
    expect(peakMb).toBeLessThan(900)
  }
})
