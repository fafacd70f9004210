import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { rounds, temporaryDirectory } from '../foundation/testing.ts'
import type { EventMemory } from './event-memory.ts'
import { inflateInto } from './inflate/inflate-into.ts'
import { bankTypes } from './midas-bank.ts'
import { openMidasFile } from './midas-reader.ts'
import { createMidasWriter } from './midas-writer.ts'

const pictures = 7
/** One picture is longer than what the inflater makes at a time. */
const placeBytes = 1_400_000
const events = pictures + 2

async function writeRun(path: string, gzip: boolean): Promise<Uint8Array> {
  const writer = await createMidasWriter(path, { gzip, level: 1 })
  await writer.beginOfRun({ number: 3, timestampSeconds: 0, odb: {} })
  for (let picture = 0; picture < pictures; picture++) {
    const data = new Uint8Array(picture === 3 ? 1_300_000 : 60_000 + 500 * picture)
    for (let at = 0; at < data.length; at++)
      data[at] = at % 2 ? 0 : 90 + ((Math.imul(at + picture, 2_654_435_761) >>> 24) % 23)
    await writer.event({
      id: 1,
      triggerMask: 0,
      serialNumber: picture,
      timestampSeconds: picture,
      banks: [{ name: 'CAM0', type: bankTypes.u16.word, data }],
    })
  }
  await writer.endOfRun({ number: 3, timestampSeconds: 9, odb: {} })
  await writer.close()
  return readFile(path)
}

/** Few places of dirty memory; whoever takes more than there are waits. */
function fewPlaces(count: number): EventMemory & { free: Uint8Array[]; taken(): number } {
  const free = Array.from({ length: count }, () => new Uint8Array(new SharedArrayBuffer(placeBytes)).fill(0xee))
  const waiting: (() => void)[] = []
  return {
    free,
    taken: () => count - free.length,
    async take(sizeBytes) {
      if (sizeBytes > placeBytes || sizeBytes < 1000) return undefined
      while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
      return new Uint8Array(free.pop()!.buffer, 0, sizeBytes)
    },
    giveBack(bytes) {
      if (bytes.buffer instanceof ArrayBuffer) return
      free.push(new Uint8Array(bytes.buffer).fill(0xee))
      waiting.shift()?.()
    },
    inflate: (fd, member, into) => Promise.resolve(inflateInto(fd, member, into)),
  }
}

async function readAll(path: string, ahead: number, memory?: EventMemory) {
  const reader = openMidasFile(path, { ahead, ...(memory && { memory }) })
  const found: unknown[] = []
  for await (const { data, ...event } of reader) {
    found.push({ ...event, sizeBytes: data.length, data: Buffer.from(data).toString('base64') })
    memory?.giveBack(data)
  }
  return { found, outcome: reader.outcome }
}

it('holds the same events as new memory would, whatever is wrong with the file', async () => {
  await using folder = await temporaryDirectory()
  const plain = await writeRun(join(folder.path, 'run.mid'), false)
  const kinds = { plain, members: await writeRun(join(folder.path, 'run.mid.gz'), true), foreign: gzipSync(plain) }
  const path = join(folder.path, 'damaged')
  const sound = await readAll(join(folder.path, 'run.mid.gz'), 2, fewPlaces(4))
  expect(sound.outcome).toMatchObject({ complete: true, fault: undefined })
  expect(sound.found.length).toBe(events)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('plain', 'members', 'foreign'),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('change', 'cut', 'nothing'),
      fc.integer({ min: 1, max: 3 }),
      async (kind, where, by, damage, ahead) => {
        const bytes = Buffer.from(kinds[kind as keyof typeof kinds])
        const at = Math.min(bytes.length - 1, Math.floor(where * bytes.length))
        if (damage === 'change') bytes[at] = bytes[at]! ^ by
        await writeFile(path, damage === 'cut' ? bytes.subarray(0, at) : bytes)
        const memory = fewPlaces(ahead + 2)
        expect(await readAll(path, ahead, memory)).toEqual(await readAll(path, ahead))
        // What was inflated ahead of damage is given back, too; one may be lost with an event that was cut.
        expect(memory.taken()).toBeLessThanOrEqual(1)
      },
    ),
    { numRuns: rounds(60) },
  )
})
