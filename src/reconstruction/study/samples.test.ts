import { expect, test } from 'vitest'
import { lineWithin } from './line-within.ts'
import { openSampleSource, reconstructedSamples } from './samples.ts'
import type { SampleImage } from './samples.ts'
import { planOf } from './validation-plan.ts'

const side = 256
const small = {
  seed: 7,
  simulation: { frame: { width: side, height: side } },
  layout: {
    side: 2,
    marginPx: 40,
    jitterPx: 8,
    requests: [
      { kind: 'iron', zMm: 50 },
      { kind: 'iron', zMm: 300 },
      { kind: 'iron', zMm: 450 },
    ],
  },
} as const

async function all(options: Parameters<typeof reconstructedSamples>[0]): Promise<SampleImage[]> {
  const images: SampleImage[] = []
  for await (const image of reconstructedSamples(options)) images.push(image)
  return images
}

/** Times are those of the machine; everything else belongs to the seed. */
const withoutTimes = (images: readonly SampleImage[]) =>
  images.map(({ stageMs: _stageMs, cpuMs: _cpuMs, ...image }) => image)

test('a sample belongs to its seed, however many threads make it, and comes in order', async () => {
  const seen: number[] = []
  const one = await all({ ...small, images: 18, workers: 1, onProgress: (done) => seen.push(done) })
  const two = await all({ ...small, images: 18, workers: 2 })
  expect(withoutTimes(two)).toEqual(withoutTimes(one))
  expect(one.map(({ event }) => event)).toEqual(Array.from({ length: 18 }, (_, index) => index))
  expect(seen.at(-1)).toBe(18)
  expect(withoutTimes(await all({ ...small, seed: 8, images: 1, workers: 1 }))).not.toEqual(
    withoutTimes(one.slice(0, 1)),
  )
  // Spots of 55Fe in the middle of nowhere: all are found, each with nearly all of its light.
  const tracks = one.flatMap(({ tracks: of }) => of)
  expect(tracks).toHaveLength(72)
  expect(tracks.filter(({ foundSelected }) => foundSelected).length).toBeGreaterThan(68)
  // Every place of the grid sees every request.
  const depths = new Set(one.map(({ truth }) => Math.round(truth.tracks[0]!.zMm / 50)))
  expect(depths.size).toBe(3)
})

test('threads, pedestal and failures of a source', async () => {
  await using source = disposable(openSampleSource(1, 10))
  const first = source.samples({ ...small, images: 3 })
  expect((await first.next()).value).toMatchObject({ event: 0 })
  await first.return(undefined)
  const kept: SampleImage[] = []
  for await (const image of source.samples({ ...small, images: 2, keepPointsOf: 1, compareModesOf: 1 }))
    kept.push(image)
  expect(kept[0]!.points!.x.length).toBeGreaterThan(0)
  expect(kept[0]!.modes).toBeDefined()
  expect(kept[1]!.points).toBeUndefined()
  const impossible = { ...small, images: 2, simulation: { ...small.simulation, site: 'moon' as never } }
  await expect(source.samples(impossible).next()).rejects.toThrow(/sample failed/)
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  await expect(source.samples({ ...small, images: 2, signal: stop.signal }).next()).rejects.toThrow('enough')
})

test('tuning and test samples share no seed, and the plan has the images it was asked for', () => {
  const plans = planOf({ images: 2000, quick: false, seed: 1 })
  const others = planOf({ images: 2000, quick: false, seed: 2 })
  const seeds = [...plans, ...others].map(({ seed }) => seed)
  expect(new Set(seeds).size).toBe(seeds.length)
  for (const { purpose, seed } of plans) expect(seed >= 2_000_000).toBe(purpose === 'test')
  const images = plans.reduce((sum, plan) => sum + plan.images, 0)
  expect(Math.abs(images - 2000)).toBeLessThan(20)
  expect(plans.reduce((sum, plan) => sum + plan.keepPointsOf, 0)).toBeGreaterThan(1000)
})

test('the part of a line inside a box', () => {
  const box = { x0: 0, x1: 10, y0: 0, y1: 10 }
  expect(lineWithin({ x: -5, y: 5 }, { x: 15, y: 5 }, box)).toBe(10)
  expect(lineWithin({ x: 2, y: 2 }, { x: 5, y: 6 }, box)).toBe(5)
  expect(lineWithin({ x: -5, y: -1 }, { x: 15, y: -1 }, box)).toBeUndefined()
  expect(lineWithin({ x: 12, y: 0 }, { x: 20, y: 9 }, box)).toBeUndefined()
})

function disposable<Source extends { close(): Promise<void> }>(source: Source): Source & AsyncDisposable {
  return Object.assign(source, { [Symbol.asyncDispose]: () => source.close() })
}
