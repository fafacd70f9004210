import { open, readFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { constants, crc32, deflateRawSync, gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { compileInflate, inflatePath } from '../../../tools/inflate.ts'
import { fileOf } from '../sample-file.ts'
import { inflateFrom, openGzipStream } from './gzip-stream.ts'
import type { Checkpoint, StreamDamage } from './gzip-stream.ts'

test('the committed inflate.wasm is what its source compiles to', async () => {
  expect(Buffer.compare(await readFile(inflatePath), await compileInflate())).toBe(0)
})

interface Inflated {
  bytes: Buffer
  damage: StreamDamage | undefined
}

async function opened(file: Uint8Array) {
  const handle = await open(await fileOf(file, 'some.gz'))
  onTestFinished(() => handle.close())
  return handle
}

/** Inflates with our own, a few bytes of the file at a time if asked to. */
async function inflate(file: Uint8Array, chunkBytes = 1 << 18): Promise<Inflated> {
  const handle = await open(await fileOf(file, 'some.gz'))
  try {
    return await inflateAll(handle, file.length, chunkBytes)
  } finally {
    await handle.close()
  }
}

async function inflateAll(handle: FileHandle, sizeBytes: number, chunkBytes: number): Promise<Inflated> {
  const stream = openGzipStream(handle, { sizeBytes, chunkBytes })
  const pieces: Buffer[] = []
  for (let chunk = await stream.next(Infinity); chunk; chunk = await stream.next(Infinity))
    pieces.push(Buffer.from(chunk))
  const damage = stream.damage()
  stream.close()
  return { bytes: Buffer.concat(pieces), damage }
}

/** Bytes of many kinds: noise of few and of all values, runs, repeats near and far, camera pixels. */
const anyBytes: fc.Arbitrary<Buffer> = fc
  .array(
    fc.tuple(fc.constantFrom('noise', 'few', 'run', 'near', 'far', 'pixels'), fc.nat(6000), fc.integer({ min: 1 })),
    { maxLength: 8 },
  )
  .map((parts) => {
    let bytes = Buffer.alloc(0)
    for (const [kind, length, seed] of parts) {
      let state = seed >>> 0
      const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 16
      const piece = Buffer.alloc(length)
      for (let i = 0; i < length; i++) {
        if (kind === 'noise') piece[i] = random()
        else if (kind === 'few') piece[i] = random() % 5
        else if (kind === 'run') piece[i] = seed
        else if (kind === 'pixels') piece[i] = i % 2 ? 0 : 95 + (random() % 6) + (random() % 6)
        else {
          const back = kind === 'near' ? 1 + (seed % 9) : Math.min(bytes.length, 32768)
          piece[i] = (i >= back ? piece[i - back] : bytes.at(i - back)) ?? 0
        }
      }
      bytes = Buffer.concat([bytes, piece])
    }
    return bytes
  })
const anySettings = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  windowBits: fc.integer({ min: 9, max: 15 }),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FILTERED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
    constants.Z_FIXED,
  ),
})

describe('as zlib does', () => {
  test('whatever zlib makes, in one member or several, with any settings', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyBytes, anySettings), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(40, 1000, 1 << 18),
        async (members, chunkBytes) => {
          const file = Buffer.concat(members.map(([bytes, settings]) => gzipSync(bytes, settings)))
          const { bytes, damage } = await inflate(file, chunkBytes)
          expect(damage).toBeUndefined()
          expect(Buffer.compare(bytes, Buffer.concat(members.map(([one]) => one)))).toBe(0)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('damaged data is refused where zlib refuses it, and what came before is the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyBytes,
        anySettings,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
        async (bytes, settings, flips) => {
          const file = gzipSync(bytes, settings)
          for (const [at, mask] of flips) file[10 + (at % (file.length - 10))]! ^= mask
          const own = await inflate(file, 1000)
          let peer: Buffer | undefined
          try {
            peer = gunzipSync(file)
          } catch {
            peer = undefined
          }
          if (own.damage === undefined) expect(peer && Buffer.compare(peer, own.bytes)).toBe(0)
          // Node is silent about zeros and other things behind the last member.
          else if (own.damage.code !== 'trailing-data') expect(peer).toBeUndefined()
          if (own.damage) expect(own.damage.compressedOffset).toBeLessThanOrEqual(file.length)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('random bits as a deflate stream: the same verdict as zlib', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (body) => {
        const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
        const own = await inflate(Buffer.concat([head, body]))
        expect(own.damage).toBeDefined()
        expect(own.bytes.length).toBeLessThanOrEqual(body.length * 1032)
      }),
      { numRuns: 300 },
    )
  })

  test('cut anywhere: truncated, with a beginning of the data', async () => {
    const data = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * i) >> 5))
    const file = Buffer.concat([gzipSync(data.subarray(0, 1000), { level: 0 }), gzipSync(data.subarray(1000))])
    const handle = await opened(file)
    for (let length = 1; length < file.length; length += 3) {
      const { bytes, damage } = await inflateAll(handle, length, 64)
      expect(Buffer.compare(bytes, data.subarray(0, bytes.length))).toBe(0)
      if (bytes.length === 1000 && damage === undefined) continue
      expect(damage).toMatchObject({ code: 'truncated' })
    }
  })
})

describe('checkpoints', () => {
  test('from any place, in any kind of block, the same bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyBytes, anySettings), { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(50, 1 << 18),
        async (members, places, chunkBytes) => {
          const whole = Buffer.concat(members.map(([one]) => one))
          const file = Buffer.concat(members.map(([bytes, settings]) => gzipSync(bytes, settings)))
          const handle = await open(await fileOf(file, 'some.gz'))
          try {
            const stream = openGzipStream(handle, { sizeBytes: file.length, chunkBytes })
            const found: { target: number; from: Checkpoint }[] = []
            for (const target of places.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b)) {
              while (await stream.next(target));
              const from = stream.checkpoint()
              if (!from) continue
              expect(target - from.uncompressed).toBeLessThan(258)
              expect(from.window.length).toBeLessThanOrEqual(32768)
              found.push({ target, from })
            }
            stream.close()
            for (const { target, from } of found) {
              const count = Math.min(5000, whole.length - target)
              const skip = target - from.uncompressed
              const { bytes, damage } = await inflateFrom(handle, {
                sizeBytes: file.length,
                from,
                skip,
                count,
                chunkBytes,
              })
              expect(damage).toBeUndefined()
              expect(Buffer.compare(bytes, whole.subarray(target, target + count))).toBe(0)
            }
          } finally {
            await handle.close()
          }
        },
      ),
      { numRuns: 80 },
    )
  })

  test('a checkpoint made of nonsense gives an answer, whatever it says', async () => {
    const data = Buffer.alloc(200_000, 'the quick brown fox ')
    const file = gzipSync(data)
    const handle = await opened(file)
    const nat = fc.nat({ max: 10_000 })
    await fc.assert(
      fc.asyncProperty(
        nat,
        nat,
        fc.integer({ min: -1, max: 10_000 }),
        fc.nat(0xffff),
        fc.boolean(),
        fc.boolean(),
        fc.uint8Array({ maxLength: 40_000 }),
        async (uncompressed, compressedBit, headerBit, storedLeft, lastBlock, memberHead, window) => {
          const from = { uncompressed, compressedBit, headerBit, storedLeft, lastBlock, memberHead, window }
          const { bytes } = await inflateFrom(handle, { sizeBytes: file.length, from, skip: 3, count: 5000 })
          expect(bytes.length).toBeLessThanOrEqual(5000)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('hostile files', () => {
  test('a bomb is inflated in the memory of one piece, and can be left', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    expect(bomb.length).toBeLessThan(50_000)
    const handle = await opened(bomb)
    const stream = openGzipStream(handle, { sizeBytes: bomb.length })
    const chunk = await stream.next(Infinity)
    expect(chunk!.length).toBeLessThanOrEqual(1 << 20)
    stream.close()
  })

  test('heads without end, of unknown kinds, with wrong checksums', async () => {
    const deflated = deflateRawSync('hello')
    const tail = Buffer.alloc(8)
    tail.writeUInt32LE(crc32('hello'))
    tail.writeUInt32LE(5, 4)
    const member = (flags: number, ...more: number[]) =>
      Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3, ...more]), deflated, tail])
    expect((await inflate(member(0))).damage).toBeUndefined()
    expect((await inflate(member(4, 3, 0, 1, 2, 3))).bytes.toString()).toBe('hello')
    expect((await inflate(member(8 + 16, 65, 0, 66, 67, 0))).bytes.toString()).toBe('hello')
    expect((await inflate(member(2, 0, 0))).damage?.reason).toContain('a head whose checksum is wrong')
    expect((await inflate(member(0x20))).damage?.reason).toContain('flags that no gzip sets')
    expect((await inflate(Buffer.from([0x1f, 0x8b, 7, 0]))).damage?.code).toBe('truncated')
    expect((await inflate(Buffer.concat([Buffer.from([0x1f, 0x8b, 7]), tail]))).damage?.code).toBe('bad-gzip')
    const endless = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), Buffer.alloc(400_000, 'x')])
    expect((await inflate(endless)).damage?.reason).toContain('without end')
    const zeros = Buffer.concat([member(0), Buffer.alloc(300_000)])
    expect(await inflate(zeros)).toMatchObject({ damage: undefined })
    const later = await inflate(Buffer.concat([zeros, Buffer.from('x')]))
    expect(later.damage).toMatchObject({ code: 'trailing-data', compressedOffset: member(0).length })
  })
})
