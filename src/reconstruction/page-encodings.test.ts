import fc from 'fast-check'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { deltaBinaryPack } from 'hyparquet-writer/src/delta.js'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import { describe, expect, it } from 'vitest'
import { rounds } from '../foundation/testing.ts'
import { packConstant, packDeltas, packIndices, pageBytesAtMost } from './page-encodings.ts'

/** What `pack` writes into memory that held something else before. */
function packed(count: number, pack: (into: Uint8Array) => number): Uint8Array {
  const into = new Uint8Array(pageBytesAtMost(count)).fill(0xa5)
  return into.slice(0, pack(into))
}

function theirs(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter()
  write(writer)
  return Uint8Array.from(writer.getBytes())
}

/** Runs and loose numbers, as coordinates and ranks have them. */
const numbers = (most: number) =>
  fc
    .array(
      fc.tuple(fc.integer({ min: 0, max: most }), fc.integer({ min: 1, max: 40 }), fc.integer({ min: -3, max: 3 })),
      {
        minLength: 1,
        maxLength: 60,
      },
    )
    .map((runs) =>
      Int32Array.from(
        runs.flatMap(([from, length, step]) =>
          Array.from({ length }, (_, at) => Math.min(most, Math.max(0, from + at * step))),
        ),
      ),
    )

describe('data pages are those of hyparquet-writer, byte for byte', () => {
  it('delta packed', () => {
    fc.assert(
      fc.property(fc.oneof(numbers(3), numbers(2303), numbers(1 << 24)), (values) => {
        expect(packed(values.length, (into) => packDeltas(values, into))).toEqual(
          theirs((writer) => deltaBinaryPack(writer, values, 'INT32')),
        )
      }),
      { numRuns: rounds(300) },
    )
  })

  it('one number all over', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 1000 }), (value, count) => {
        expect(packed(count, (into) => packConstant(value, count, into))).toEqual(
          theirs((writer) => deltaBinaryPack(writer, new Int32Array(count).fill(value), 'INT32')),
        )
      }),
      { numRuns: rounds(200) },
    )
  })

  it('indices into a dictionary', () => {
    fc.assert(
      fc.property(fc.oneof(numbers(0), numbers(5), numbers(5000), numbers(200_000)), (values) => {
        const size = values.reduce((most, value) => Math.max(most, value), 0) + 1
        expect(packed(values.length, (into) => packIndices(values, size, into))).toEqual(
          theirs((writer) => {
            const width = Math.ceil(Math.log2(size))
            writer.appendUint8(width)
            writeRleBitPackedHybrid(writer, values, width)
          }),
        )
      }),
      { numRuns: rounds(300) },
    )
  })
})
