import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { expect, it } from 'vitest'
import { rounds, temporaryDirectory } from '../foundation/testing.ts'
import type { ClusterPixels } from './kernels/cluster-pixels.ts'
import { noPixels } from './kernels/cluster-pixels.ts'
import { createPixelFile } from './pixel-file.ts'
import { encodePixelPages } from './pixel-pages.ts'
import { eventRowsKey } from './products.ts'

function pixelsOf(length: number, seed: number): ClusterPixels {
  const pixels: ClusterPixels = {
    cluster: new Int32Array(length),
    x: new Int32Array(length),
    y: new Int32Array(length),
    counts: new Float32Array(length),
  }
  for (let at = 0; at < length; at++) {
    pixels.cluster[at] = at >> 5
    pixels.x[at] = (at * 7 + seed) % 2304
    pixels.y[at] = at >> 2
    // Tenths as the kernels give them; in every fourth image other numbers.
    const value = Math.sin(at * at + seed) * 100
    pixels.counts[at] = seed % 4 === 3 ? value : Math.floor(value * 10) / 10
  }
  return pixels
}

it('holds the pixels of all images in their order, whatever order they came in', async () => {
  await using folder = await temporaryDirectory()
  let file = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(300), fc.nat(1000)), { maxLength: 12 }),
      fc.array(fc.nat(1000), { minLength: 12, maxLength: 12 }),
      async (images, order) => {
        const path = join(folder.path, `${file++}.parquet`)
        const writer = createPixelFile(path, [{ key: 'cygnet.run', value: 'demo/sim:2' }], eventRowsKey)
        // Two cameras per event.
        const places = images.map((_, index) => writer.reserve(index >> 1))
        const turns = images.map((_, index) => index).sort((a, b) => order[a]! - order[b]!)
        for (const index of turns) places[index]!(encodePixelPages(index >> 1, index & 1, pixelsOf(...images[index]!)))
        const total = images.reduce((sum, [length]) => sum + length, 0)
        expect(writer.finish()).toBe(total)
        const buffer = await asyncBufferFromFile(path)
        const rows = await parquetReadObjects({ file: buffer })
        const expected = images.flatMap(([length, seed], index) => {
          const { cluster, x, y, counts } = pixelsOf(length, seed)
          return Array.from({ length }, (_, at) => ({
            event: index >> 1,
            camera: index & 1,
            cluster: cluster[at],
            x_px: x[at],
            y_px: y[at],
            counts: counts[at],
          }))
        })
        expect(rows).toEqual(expected)
        const metadata = await parquetMetadataAsync(buffer)
        const key = metadata.key_value_metadata?.find((one) => one.key === eventRowsKey)
        const events = JSON.parse(key!.value!) as [number, number, number][]
        expect(events.at(-1)?.[2] ?? 0).toBe(total)
        expect(events.length).toBe(Math.ceil(images.length / 2))
      },
    ),
    { numRuns: rounds(25) },
  )
})

it('writes a row group per image while the run goes on', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'pixels.parquet')
  const writer = createPixelFile(path, [], eventRowsKey)
  for (let image = 0; image < 12; image++)
    writer.reserve(image)(encodePixelPages(image, 0, image % 3 === 2 ? noPixels() : pixelsOf(100_000, image)))
  expect((await stat(path)).size).toBeGreaterThan(1_000_000)
  expect(writer.finish()).toBe(800_000)
  const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path))
  expect(metadata.row_groups.map(({ num_rows }) => Number(num_rows))).toEqual(Array.from({ length: 8 }, () => 100_000))
})
