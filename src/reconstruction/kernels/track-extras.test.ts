import { describe, expect, it } from 'vitest'
import { completeParameters } from '../parameters.ts'
import { createClusterScratch, groupByLabel, measureClusters } from './cluster-variables.ts'
import type { ClusterVariables } from './cluster-variables.ts'
import { matchLongTracks } from './cosmic-lines.ts'
import { energyAlongTrack, evPerCount, thin } from './energy-along-track.ts'
import { prepareCalibration } from './image-cells.ts'
import type { CellPoints } from './noise-reducer.ts'

const side = 800

/** Bars of light: from (x, y) on, `length` x `width` pixels at an angle, label = index; pedestal 100, no vignetting. */
function scene(bars: { x: number; y: number; degrees: number; length: number; width: number; counts: number }[]) {
  const raw = new Uint16Array(side * side).fill(100)
  const cells = new Map<number, number>()
  bars.forEach(({ x, y, degrees, length, width, counts }, label) => {
    const angle = (degrees * Math.PI) / 180
    for (let along = 0; along < length; along += 0.5) {
      for (let across = -width / 2; across < width / 2; across += 0.5) {
        const px = Math.round(x + along * Math.cos(angle) - across * Math.sin(angle))
        const py = Math.round(y + along * Math.sin(angle) + across * Math.cos(angle))
        raw[py * side + px] = 100 + counts
        cells.set((py >> 2) * (side / 4) + (px >> 2), label)
      }
    }
  })
  const order = [...cells.keys()].sort((a, b) => a - b)
  const points: CellPoints = {
    count: order.length,
    x: Int32Array.from(order, (cell) => cell % (side / 4)),
    y: Int32Array.from(order, (cell) => Math.floor(cell / (side / 4))),
    weight: new Int32Array(order.length).fill(1),
  }
  const map = {
    width: side,
    height: side,
    images: 100,
    mean: new Float32Array(side * side).fill(100),
    sigma: new Float32Array(side * side).fill(2),
  }
  const parameters = completeParameters({ cosmicKiller: 1, energyAlongTrack: 1, energyPruneRounds: 3 })
  const calibration = prepareCalibration(map, new Float32Array((side * side) / 16).fill(1), parameters)
  const scratch = createClusterScratch(points.count)
  groupByLabel(
    Int32Array.from(order, (cell) => cells.get(cell)!),
    points.count,
    bars.length,
    scratch,
  )
  const membersOf = ({ label }: Pick<ClusterVariables, 'label'>) =>
    scratch.order.subarray(scratch.start[label]!, scratch.start[label + 1]!)
  const clusters = measureClusters(raw, calibration, points, bars.length, parameters, scratch)
  return { raw, calibration, points, parameters, membersOf, clusters }
}

describe('long straight tracks', () => {
  const bars = [
    { x: 50, y: 100, degrees: 30, length: 400, width: 8, counts: 50 },
    // On its line, off its line, on its line but short of being touched by enough pixels is not possible here.
    {
      x: 50 + 500 * Math.cos(Math.PI / 6),
      y: 100 + 500 * Math.sin(Math.PI / 6),
      degrees: 30,
      length: 40,
      width: 8,
      counts: 40,
    },
    { x: 100, y: 500, degrees: 0, length: 40, width: 8, counts: 30 },
  ]
  it('claim the clusters on their line, and no others', () => {
    const { clusters, points, membersOf, parameters } = scene(bars)
    const matches = matchLongTracks(clusters, points, membersOf, parameters)
    expect(clusters.map(({ label }) => label)).toEqual([0, 1, 2])
    expect(matches[0]).toEqual({ minDistancePx: -1, matchesWeak: 0, matchesRobust: 0 })
    expect(matches[1]).toMatchObject({ matchesWeak: 1, matchesRobust: 1 })
    expect(matches[1]!.minDistancePx).toBeGreaterThan(85)
    expect(matches[1]!.minDistancePx).toBeLessThan(105)
    expect(matches[2]).toEqual({ minDistancePx: -1, matchesWeak: 0, matchesRobust: 0 })
    const off = matchLongTracks(clusters, points, membersOf, completeParameters({}))
    expect(off[1]).toEqual({ minDistancePx: -1, matchesWeak: -1, matchesRobust: -1 })
  })

  it('work at any angle', () => {
    for (const degrees of [0, 10, 45, 80, 90]) {
      const angle = (degrees * Math.PI) / 180
      const at = (along: number) => ({ x: 40 + along * Math.cos(angle), y: 40 + along * Math.sin(angle) })
      const { clusters, points, membersOf, parameters } = scene([
        { ...at(0), degrees, length: 400, width: 8, counts: 50 },
        { ...at(480), degrees, length: 40, width: 8, counts: 40 },
      ])
      const matches = matchLongTracks(clusters, points, membersOf, parameters)
      expect(matches[1], `${degrees}`).toMatchObject({ matchesWeak: 1 })
    }
  })
})

describe('energy along the track', () => {
  it('thins a bar to a line of its length, one pixel wide', () => {
    const columns = 120
    const mask = new Uint8Array(columns * 40)
    for (let y = 10; y < 21; y++) mask.fill(1, y * columns + 10, y * columns + 110)
    const skeleton = thin(mask, columns, 40)
    const left = [...skeleton.keys()].filter((at) => skeleton[at] === 1)
    expect(left.length).toBeGreaterThan(85)
    expect(left.length).toBeLessThan(101)
    expect(new Set(left.map((at) => at % columns)).size).toBe(left.length)
  })

  it('is the light times the factor of its density where that is the same everywhere', () => {
    const { raw, calibration, points, parameters, membersOf, clusters } = scene([
      { x: 100, y: 100, degrees: 0, length: 300, width: 12, counts: 30 },
    ])
    const { energyKev, pathLengthPx } = energyAlongTrack(raw, calibration, points, membersOf({ label: 0 }), parameters)
    const expected = (clusters[0]!.integralCounts * evPerCount(30)) / 1000
    expect(Math.abs(energyKev / expected - 1)).toBeLessThan(0.02)
    expect(pathLengthPx).toBeGreaterThan(270)
    expect(pathLengthPx).toBeLessThan(310)
  })

  it('has the factor of the reference', () => {
    const x = 10 / 1.5
    expect(evPerCount(10)).toBeCloseTo(
      (0.132 + 1.22 * x) / (130283 * (1 - Math.exp(-(x ** 0.56757) / 117038))) / 1.2,
      6,
    )
    expect(evPerCount(0)).toBe(evPerCount(0.85))
  })
})
