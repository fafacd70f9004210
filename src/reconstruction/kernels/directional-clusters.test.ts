import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rounds } from '../../foundation/testing.ts'
import { completeParameters } from '../parameters.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import { createDirectionalScratch, directionalClusters } from './directional-clusters.ts'
import { fitTubeFast, insideTube } from './directional-fit.ts'
import type { Order } from './directional-fit.ts'
import { createStraightnessScratch, straightness } from './directional-straightness.ts'
import { createDbscanScratch, gridDbscan } from './grid-dbscan.ts'
import type { CellPoints } from './noise-reducer.ts'
import { adjustedRandIndex } from './rand-index.ts'

const columns = 300
const rows = 300

/** Distinct cells in raster order, weight 30: every point is core. */
function pointsOf(cells: Iterable<readonly [x: number, y: number]>, weight = 30): CellPoints {
  const places = new Set<number>()
  for (const [x, y] of cells) {
    const [column, row] = [Math.round(x), Math.round(y)]
    if (column >= 0 && column < columns && row >= 0 && row < rows) places.add(row * columns + column)
  }
  const order = [...places].sort((a, b) => a - b)
  return {
    count: order.length,
    x: Int32Array.from(order, (place) => place % columns),
    y: Int32Array.from(order, (place) => Math.floor(place / columns)),
    weight: new Int32Array(order.length).fill(weight),
  }
}

const scratch = createDirectionalScratch(columns, rows)

function run(points: CellPoints, given: Partial<ReconstructionParameters> = {}, seed = 1, using = scratch) {
  const parameters = completeParameters({ directionalMode: 'fast', ...given })
  const labels = new Int32Array(points.count)
  const { clusterRadiusCells, clusterMinimumWeightCounts } = parameters
  const seeds = gridDbscan(
    points,
    clusterRadiusCells,
    clusterMinimumWeightCounts,
    createDbscanScratch(columns, rows),
    labels,
  )
  const plain = labels.slice()
  const outcome = directionalClusters(points, labels, seeds, parameters, using, seed)
  const labelAt = (x: number, y: number) => {
    for (let index = 0; index < points.count; index++)
      if (points.x[index] === x && points.y[index] === y) return labels[index]!
    throw new RangeError(`no point at ${x}, ${y}`)
  }
  return { ...outcome, labels, plain, seeds, labelAt }
}

/** A strip of cells, `width` wide, from (x0, y0) on in a direction. */
function* strip(x0: number, y0: number, degrees: number, length: number, width = 3): Generator<[number, number]> {
  const angle = (degrees * Math.PI) / 180
  for (let along = 0; along < length; along += 0.5) {
    for (let across = -(width - 1) / 2; across <= (width - 1) / 2; across += 0.5) {
      yield [
        x0 + along * Math.cos(angle) - across * Math.sin(angle),
        y0 + along * Math.sin(angle) + across * Math.cos(angle),
      ]
    }
  }
}

function* disc(x0: number, y0: number, radius: number): Generator<[number, number]> {
  for (let y = -radius; y <= radius; y++)
    for (let x = -radius; x <= radius; x++) if (x * x + y * y <= radius * radius) yield [x0 + x, y0 + y]
}

function* curl(x0: number, y0: number, radius: number): Generator<[number, number]> {
  for (let degrees = 0; degrees < 330; degrees += 1) {
    const angle = (degrees * Math.PI) / 180
    for (const across of [-1, 0, 1])
      yield [x0 + (radius + across) * Math.cos(angle), y0 + (radius + across) * Math.sin(angle)]
  }
}

const modes = ['fast', 'faithful'] as const

describe.each(modes)('directional clusters, %s', (directionalMode) => {
  it('makes a straight track one, in any direction, also across a gap that ends plain DBSCAN', () => {
    for (const degrees of [3, 20, 45, 70, 88, 110, 135, 160]) {
      const angle = (degrees * Math.PI) / 180
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)]
      const at = (along: number): [number, number] => [150 + along * cosine, 150 + along * sine]
      // 20 cells along the direction are at most 28.3 in L1: the piece after the gap is in reach everywhere but exactly at 45.
      const gap = 19
      const points = pointsOf([...strip(...at(-100), degrees, 100), ...strip(...at(gap), degrees, 60)])
      const found = run(points, { directionalMode })
      expect(found.seeds).toBe(2)
      expect([found.clusters, found.directional]).toEqual([1, [true]])
      expect(found.labels.every((label) => label === 0)).toBe(true)
    }
  })

  it('leaves spots and curls as plain DBSCAN has them', () => {
    const points = pointsOf([...disc(40, 40, 9), ...disc(120, 60, 14), ...disc(50, 200, 5), ...curl(200, 200, 40)])
    const found = run(points, { directionalMode })
    expect(found.directional).toEqual([false, false, false, false])
    expect([...found.labels]).toEqual([...found.plain])
  })

  it('lets a track take its crossing from an earlier one', () => {
    // The long one comes first; the short one stops 20 cells before it and goes on 20 cells after it.
    const points = pointsOf([...strip(10, 150, 0, 280), ...strip(150, 60, 90, 70), ...strip(150, 170, 90, 60)])
    const found = run(points, { directionalMode, directionalMinimumAccuracy: 0.9 })
    expect(found.seeds).toBe(3)
    expect(found.directional.filter(Boolean).length).toBe(2)
    const crossing = found.labelAt(150, 150)
    expect(crossing).toBe(found.labelAt(150, 80))
    expect(found.labelAt(150, 220)).toBe(crossing)
    expect(found.labelAt(30, 150)).toBe(found.labelAt(270, 150))
    expect(found.labelAt(30, 150)).not.toBe(crossing)
  })

  it('cuts a wide cluster ahead of a track: inside the tube taken, next to it dropped, the rest its own', () => {
    const points = pointsOf([...strip(20, 150.3, 1, 120), ...disc(190, 153, 30)])
    const found = run(points, { directionalMode })
    const track = found.labelAt(50, 151)
    expect(found.directional[track]).toBe(true)
    expect(found.labelAt(175, 153)).toBe(track)
    expect(found.labelAt(190, 153 + 9)).toBe(-1)
    const beyond = found.labelAt(190, 153 + 25)
    expect(found.directional[beyond]).toBe(false)
    expect(found.labelAt(190, 153 - 25)).not.toBe(track)
  })

  it('drops what is left of a cluster when it is smaller than the smallest seed', () => {
    // Of the disc ahead a cap of 4 rows stays outside of the tube on either side.
    const points = pointsOf([...strip(20, 150, 0, 120), ...disc(170, 150, 10)])
    const found = run(points, { directionalMode, isolationRadiusCells: 1 })
    expect(found.clusters).toBe(1)
    expect(found.labelAt(170, 141)).toBe(-1)
    expect(found.labelAt(170, 150)).toBe(0)
  })

  it('gives the same labels again, and leaves nothing behind in its memory', () => {
    fc.assert(
      fc.property(scenes, (points) => {
        const fresh = run(points, { directionalMode }, 5, createDirectionalScratch(columns, rows))
        const used = run(points, { directionalMode }, 5)
        expect([...used.labels]).toEqual([...fresh.labels])
        expect(used.directional).toEqual(fresh.directional)
        expect(Math.max(-1, ...used.labels)).toBe(used.clusters - 1)
        expect(new Set(used.labels.filter((label) => label >= 0)).size).toBe(used.clusters)
      }),
      { numRuns: rounds(20) },
    )
  })
})

/** Tracks, spots, curls and single cells anywhere. */
const scenes = fc
  .record({
    strips: fc.array(
      fc.tuple(
        fc.integer({ min: 20, max: 280 }),
        fc.integer({ min: 20, max: 280 }),
        fc.integer({ min: 0, max: 359 }),
        fc.integer({ min: 8, max: 200 }),
        fc.integer({ min: 1, max: 9 }),
      ),
      { maxLength: 5 },
    ),
    discs: fc.array(
      fc.tuple(fc.integer({ min: 10, max: 290 }), fc.integer({ min: 10, max: 290 }), fc.integer({ min: 1, max: 20 })),
      { maxLength: 5 },
    ),
    curls: fc.array(
      fc.tuple(fc.integer({ min: 50, max: 250 }), fc.integer({ min: 50, max: 250 }), fc.integer({ min: 8, max: 60 })),
      { maxLength: 1 },
    ),
    noise: fc.array(fc.tuple(fc.integer({ min: 0, max: 299 }), fc.integer({ min: 0, max: 299 })), { maxLength: 60 }),
    weight: fc.constantFrom(1, 3, 30),
  })
  .map(({ strips, discs, curls, noise, weight }) =>
    pointsOf(
      [
        ...strips.flatMap((given) => [...strip(...given)]),
        ...discs.flatMap((given) => [...disc(...given)]),
        ...curls.flatMap((given) => [...curl(...given)]),
        ...noise,
      ],
      weight,
    ),
  )

/** The step written as its definition: neighbour lists, label by label, no shortcuts (fast mode). */
function naive(points: CellPoints, plain: Int32Array, seeds: number, parameters: ReconstructionParameters) {
  const { count, x, y, weight } = points
  const all = Array.from({ length: count }, (_, index) => index)
  const apart = (a: number, b: number) => Math.abs(x[a]! - x[b]!) + Math.abs(y[a]! - y[b]!)
  const near = (a: number, reach: number) => all.filter((b) => apart(a, b) <= reach)
  const core = all.map(
    (a) =>
      near(a, parameters.clusterRadiusCells).reduce((sum, b) => sum + weight[b]!, 0) >=
      parameters.clusterMinimumWeightCounts,
  )
  const straight = createStraightnessScratch(count)
  const groups = Array.from({ length: seeds }, (_, seed) => all.filter((a) => plain[a] === seed))
  const candidates = groups
    .map((members, seed) => ({ members, seed, accuracy: 0 }))
    .filter(({ members }) => members.length > parameters.directionalMinimumCells)
    .map((group) => ({
      ...group,
      accuracy: straightness(
        {
          row: Float64Array.from(group.members, (a) => y[a]!),
          column: Float64Array.from(group.members, (a) => x[a]!),
          n: group.members.length,
        },
        parameters.directionalMinimumAccuracy,
        straight,
        undefined,
      ),
    }))
    .filter(({ accuracy }) => accuracy > parameters.directionalMinimumAccuracy)
  if (candidates.length === 0) return { labels: [...plain], directional: groups.map(() => false) }
  candidates.sort((a, b) => b.accuracy - a.accuracy || (a.accuracy === 1 ? b.members.length - a.members.length : 0))
  const labels: number[] = all.map(() => -1)
  const spread = (start: number, label: number, free: number, throughAll: boolean) => {
    const stack = [start]
    labels[start] = label
    while (stack.length > 0) {
      const a = stack.pop()!
      if (!throughAll && !core[a]) continue
      for (const b of near(a, parameters.clusterRadiusCells)) {
        if (labels[b] !== free) continue
        labels[b] = label
        stack.push(b)
      }
    }
  }
  const fitOf = (label: number, order: Order) => {
    const members = all.filter((a) => labels[a] === label)
    const deviation = (values: Int32Array) => {
      const mean = members.reduce((sum, a) => sum + values[a]!, 0) / members.length
      return members.reduce((sum, a) => sum + (values[a]! - mean) ** 2, 0)
    }
    const [u, v] = deviation(x) > deviation(y) ? [x, y] : [y, x]
    const polynomial = fitTubeFast(
      {
        u: Float64Array.from(members, (a) => u[a]!),
        v: Float64Array.from(members, (a) => v[a]!),
        n: members.length,
      },
      order,
      parameters.directionalThicknessCells,
    )
    return polynomial && ((a: number) => insideTube(polynomial, parameters.directionalThicknessCells, u[a]!, v[a]!))
  }
  let tracks = 0
  for (const { members } of candidates) {
    const start = members.find((a) => core[a])!
    if (labels[start] !== -1) continue
    spread(start, tracks, -1, true)
    const size = () => labels.filter((label) => label === tracks).length
    if (size() > parameters.directionalMinimumCells) {
      let order: Order = 1
      let inTube = fitOf(tracks, order) ?? fitOf(tracks, (order = 2))
      if (inTube === undefined) {
        all.filter((a) => labels[a] === tracks).forEach((a) => (labels[a] = -1))
        continue
      }
      let before = 0
      for (let counter = 1; ; counter++) {
        for (let grown = true; grown;) {
          const reach = all.filter(
            (a) =>
              labels[a] !== tracks &&
              inTube!(a) &&
              near(a, parameters.directionalRadiusCells).some((b) => labels[b] === tracks),
          )
          reach.forEach((a) => (labels[a] = tracks))
          grown = reach.length > 0
        }
        inTube = fitOf(tracks, order)
        if (counter > parameters.directionalMaximumAttempts) break
        if (size() === before || inTube === undefined) {
          if (order === 2) break
          order = 2
          inTube = fitOf(tracks, order)
          if (inTube === undefined) break
        }
        before = size()
      }
    }
    tracks++
  }
  for (let label = 0; label < tracks; label++) {
    const members = all.filter((a) => labels[a] === label)
    if (members.length < parameters.directionalMinimumCells) members.forEach((a) => (labels[a] = -1))
  }
  const inTrack = all.filter((a) => labels[a]! >= 0)
  for (const a of all.filter((b) => labels[b] === -1)) {
    if (inTrack.some((b) => Math.hypot(x[a]! - x[b]!, y[a]! - y[b]!) < parameters.isolationRadiusCells)) labels[a] = -2
  }
  const smallest = Math.min(...groups.map((members) => members.length))
  let next = tracks
  for (const start of all) {
    if (labels[start] !== -1 || !core[start]) continue
    spread(start, next, -1, false)
    const members = all.filter((a) => labels[a] === next)
    if (members.length < smallest) members.forEach((a) => (labels[a] = -2))
    else next++
  }
  const used = [...new Set(labels.filter((label) => label >= 0))].sort((a, b) => a - b)
  return {
    labels: labels.map((label) => used.indexOf(label)),
    directional: used.map((label) => label < tracks),
  }
}

describe('directional clusters against their definition', () => {
  it('are the same, point for point', () => {
    let withTracks = 0
    fc.assert(
      fc.property(
        scenes.filter((points) => points.count < 1500),
        fc.constantFrom(0.6, 0.95),
        fc.constantFrom(12, 40),
        (points, directionalMinimumAccuracy, directionalMinimumCells) => {
          const given = { directionalMinimumAccuracy, directionalMinimumCells }
          const found = run(points, given)
          const expected = naive(points, found.plain, found.seeds, completeParameters(given))
          expect([...found.labels]).toEqual(expected.labels)
          expect(found.directional).toEqual(expected.directional)
          if (found.directional.includes(true)) withTracks++
        },
      ),
      { numRuns: rounds(40), seed: 3 },
    )
    expect(withTracks).toBeGreaterThan(5)
  })
})

describe('fast against faithful', () => {
  it('gives nearly the same clusters on tracks, spots and curls', () => {
    const indices: number[] = []
    for (const points of fc.sample(scenes, { numRuns: rounds(30), seed: 11 })) {
      if (points.count === 0) continue
      indices.push(adjustedRandIndex(run(points).labels, run(points, { directionalMode: 'faithful' }).labels))
    }
    const mean = indices.reduce((sum, value) => sum + value, 0) / indices.length
    const same = indices.filter((value) => value === 1).length / indices.length
    console.log(
      `fast against faithful: mean adjusted Rand index ${mean.toFixed(4)}, identical ${(100 * same).toFixed(0)} %`,
    )
    expect(mean).toBeGreaterThan(0.9)
  })
})
