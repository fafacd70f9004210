import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { combineCrcs, createChecksum, type CrcName } from './checksums.ts'
import { createHashThreads, slabBytes } from './hash-threads.ts'

const digestOf = (name: CrcName, bytes: Uint8Array) => {
  const checksum = createChecksum(name)
  checksum.update(bytes)
  return checksum.digest()
}

// The check values of the catalogue of parametrised CRC algorithms: CRC of the digits 1 to 9.
test.each([
  ['crc32', 'cbf43926'],
  ['crc32c', 'e3069283'],
  ['crc64nvme', 'ae8b14860a799888'],
] as const)('%s has its published check value', (name, value) => {
  expect(digestOf(name, Buffer.from('123456789')).toString('hex')).toBe(value)
})

test.each(['crc32', 'crc32c', 'crc64nvme'] as const)(
  '%s does not depend on how bytes are cut, and combines',
  (name) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 8 }), (pieces) => {
        const whole = digestOf(name, Buffer.concat(pieces))
        const checksum = createChecksum(name)
        for (const piece of pieces) checksum.update(piece)
        expect(checksum.digest()).toEqual(whole)
        expect(
          combineCrcs(
            name,
            pieces.map((piece) => ({ digest: digestOf(name, piece), sizeBytes: piece.length })),
          ),
        ).toEqual(whole)
      }),
    )
  },
)

test('hashes of threads are those of the loop', async () => {
  const threads = createHashThreads()
  try {
    const slab = threads.takeSlab()
    slab.bytes.fill('cygnet')
    const [beside, here] = [threads.beginThreaded(['crc32', 'sha1']), threads.beginInline(['crc32', 'sha1'])]
    for (const hash of [beside, here]) {
      await hash.update(slab, slabBytes)
      await hash.update(slab, 1000)
    }
    const [a, b] = [await beside.digests(slabBytes + 1000), await here.digests(slabBytes + 1000)]
    expect(a).toEqual(b)
    expect(a.md5).toEqual(createHash('md5').update(slab.bytes).update(slab.bytes.subarray(0, 1000)).digest())
  } finally {
    await threads.close()
  }
})
