import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory, testOnDomainData } from '../foundation/testing.ts'
import { readVignettingMap, simulatedVignettingMap, vignettingAt } from './vignetting.ts'
import type { VignettingMap } from './vignetting.ts'

/** Mean in rings of 100 pixels of a 2304 frame. */
function rings(map: VignettingMap): number[] {
  const sums: number[] = []
  const counts: number[] = []
  for (let row = 0; row < map.rows; row++)
    for (let column = 0; column < map.columns; column++) {
      const ring = Math.floor(Math.hypot((column + 0.5) / map.columns - 0.5, (row + 0.5) / map.rows - 0.5) * 23.04)
      sums[ring] = (sums[ring] ?? 0) + map.values[row * map.columns + column]!
      counts[ring] = (counts[ring] ?? 0) + 1
    }
  return sums.map((sum, ring) => sum / counts[ring]!)
}

testOnDomainData('the built-in map follows the real LIME map', async (data) => {
  const real = rings(
    await readVignettingMap(join(data, 'detector/vignette_runs03930to03932.normmap_lime.287x287.f32'), 287, 287),
  )
  const built = rings(simulatedVignettingMap())
  for (let ring = 0; ring < 15; ring++) expect(Math.abs(real[ring]! - built[ring]!)).toBeLessThan(0.04)
  expect(built[0]).toBeGreaterThan(0.99)
  expect(built[15]).toBeLessThan(0.4)
})

test('values of pixels, at the edges too, for any frame', () => {
  const map = simulatedVignettingMap()
  expect(vignettingAt(map, 1152, 1152, 2304, 2304)).toBeCloseTo(1, 3)
  expect(vignettingAt(map, 0, 0, 2304, 2304)).toBe(map.values[0])
  expect(vignettingAt(map, 255.9, 255.9, 256, 256)).toBe(map.values.at(-1))
  expect(vignettingAt(map, -5, 1e9, 256, 256)).toBeCloseTo(map.values[0]!, 6)
})

test('a map that is not one is a Fault', async () => {
  const { path } = await temporaryDirectory()
  await writeFile(join(path, 'short.f32'), new Uint8Array(7))
  await writeFile(join(path, 'zero.f32'), new Uint8Array(16))
  await expect(readVignettingMap(join(path, 'none.f32'), 2, 2)).rejects.toMatchObject({ code: 'detector.no_such_file' })
  await expect(readVignettingMap(join(path, 'short.f32'), 2, 2)).rejects.toMatchObject({ code: 'detector.bad_map' })
  await expect(readVignettingMap(join(path, 'zero.f32'), 2, 2)).rejects.toMatchObject({ code: 'detector.bad_map' })
})
