import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bankNumbers, decodeBanks, encodeBanks } from './midas-bank.ts'
import { bank } from './sample-file.ts'

test('no bytes make the decoder throw, and no bank lies outside of its event', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0x01, 0x11, 0x31), (bytes, flags) => {
      if (bytes.length >= 8) new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, flags, true)
      const { banks, damage } = decodeBanks(bytes)
      expect(banks.reduce((sum, one) => sum + one.data.length, 0)).toBeLessThanOrEqual(bytes.length)
      if (bytes.length < 8) expect(damage).toBeDefined()
    }),
    { numRuns: 500 },
  )
})

test('a bank that claims too much: the banks before it, and why', () => {
  const body = Buffer.concat(encodeBanks([bank('GOOD', 1, 1, 2), bank('LONG', 1, 3, 4)]).pieces)
  body.writeUInt32LE(999, 8 + 12 + 8 + 8)
  const { banks, damage } = decodeBanks(body)
  expect(banks.map((one) => one.name)).toEqual(['GOOD'])
  expect(damage).toBe('bank "LONG" claims 999 bytes where 8 are left')
})

test('numbers of numeric banks', () => {
  const floats = new Uint8Array(new Float32Array([1.5, -2]).buffer)
  expect(bankNumbers({ name: 'HVMS', type: 9, data: floats })).toEqual([1.5, -2])
  expect(bankNumbers(bank('SHRT', 5, 0xff, 0xff, 1, 0))).toEqual([-1, 1])
  expect(bankNumbers(bank('TEXT', 3, 65))).toBeUndefined()
  expect(bankNumbers(bank('WHAT', 99, 65))).toBeUndefined()
})

test('what a form cannot hold is refused', () => {
  expect(() => encodeBanks([{ name: 'BIG0', type: 1, data: new Uint8Array(70_000) }], '16-bit')).toThrow(RangeError)
  expect(() => encodeBanks([bank('TOOLONG', 1)])).toThrow(RangeError)
})
