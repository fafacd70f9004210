import { expect, test } from 'vitest'
import { cameraBank, cameraTypeOf, frameOf, frameShape, framesOf } from './camera.ts'
import { encodeBanks } from './midas-bank.ts'

test('the size of a bank tells the camera', () => {
  expect(frameShape(10_616_832)).toEqual({ width: 2304, height: 2304 })
  expect(frameShape(18_874_368)).toEqual({ width: 4096, height: 2304 })
  expect(frameShape(8_388_608)).toEqual({ width: 2048, height: 2048 })
  expect(frameShape(500 * 500 * 2)).toEqual({ width: 500, height: 500 })
  expect(frameShape(600 * 400 * 2)).toBeUndefined()
  expect(frameShape(600 * 400 * 2, { width: 600, height: 400 })).toEqual({ width: 600, height: 400 })
  expect(frameShape(10_616_832, { width: 600, height: 400 })).toEqual({ width: 2304, height: 2304 })
  expect(frameShape(0)).toBeUndefined()
  expect(frameShape(3)).toBeUndefined()
  expect([cameraTypeOf(2304, 2304), cameraTypeOf(4096, 2304), cameraTypeOf(500, 500)]).toEqual([
    'Fusion',
    'Quest',
    'crop',
  ])
})

test('a frame goes into a bank and out again, at any alignment', () => {
  const pixels = Uint16Array.from({ length: 64 }, (_, i) => i * 1000)
  const bank = cameraBank({ camera: 3, width: 8, height: 8, pixels })
  expect(bank).toMatchObject({ name: 'CAM3', type: 4 })
  expect(frameOf(bank)).toEqual({ camera: 3, width: 8, height: 8, pixels })
  const odd = new Uint8Array(129)
  odd.set(bank.data, 1)
  expect(frameOf({ ...bank, data: odd.subarray(1) }).pixels).toEqual(pixels)
})

test('all cameras of an event, in bounded copies; sizes no camera has are a Fault', () => {
  const pixels = new Uint16Array(16)
  const event = (banks: Parameters<typeof encodeBanks>[0]) => ({
    kind: 'event' as const,
    id: 1,
    triggerMask: 0,
    serialNumber: 0,
    timestampSeconds: 0,
    byteOffset: 0,
    data: Buffer.concat(encodeBanks(banks).pieces),
  })
  const cameras = Array.from({ length: 6 }, (_, camera) => cameraBank({ camera, width: 4, height: 4, pixels }))
  const stamp = { name: 'TSP0', type: 6, data: new Uint8Array(8) }
  expect(framesOf(event([stamp, ...cameras])).map((frame) => frame.camera)).toEqual([0, 1, 2, 3, 4, 5])
  expect(() => framesOf(event([{ name: 'CAM0', type: 4, data: new Uint8Array(30) }]))).toThrow(
    /neither a known sensor nor a square/,
  )
})
