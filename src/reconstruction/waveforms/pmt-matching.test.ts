import fc from 'fast-check'
import { expect, test } from 'vitest'
import { testCluster } from '../testing.ts'
import { defaultWaveformParameters as parameters } from '../waveform-parameters.ts'
import type { TriggerLight } from './analyse-event.ts'
import { addMatchTruth, emptyMatchTruth, matchTruthOf } from './match-truth.ts'
import { chargePerCount, matchClusters } from './pmt-matching.ts'
import type { MatchEvent } from './pmt-matching.ts'
import { tubeGains } from './tube-light.ts'

const frame = { width: 2304, height: 2304 }

/** A trigger as a spot of that light at (x, y) makes it, `error` relative errors of the four charges. */
function light(
  trigger: number,
  counts: number,
  [x, y]: [number, number],
  error = [0, 0, 0, 0],
  overThresholdNs = 100,
): TriggerLight {
  const charges = tubeGains(x, y, frame, parameters).map((gain, tube) => 0.13 * counts * gain * (1 + error[tube]!))
  return {
    trigger,
    timeMs: 200,
    charges: { counts: charges, variances: charges.map(() => 100), clipped: charges.map(() => false) },
    overThresholdNs,
  }
}
const spot = (integralCounts: number, [x, y]: [number, number], more = {}) => ({
  cluster: testCluster({ integralCounts, xMeanPx: x, yMeanPx: y, ...more }),
  gains: tubeGains(x, y, frame, parameters),
})

test('light of a spot falls with the fourth power of the distance to the tube', () => {
  expect(tubeGains(1152, 1152, frame, parameters)).toEqual([1, 1, 1, 1])
  const [first, , third] = tubeGains(1152 - 500, 1152 - 500, frame, parameters)
  const near = 2 * (142 - 76) ** 2 + 190 ** 2
  const far = 2 * (142 + 76) ** 2 + 190 ** 2
  expect(first / third).toBeCloseTo((far / near) ** 2, 9)
})

test('spots find their own triggers, in any order, with errors of the size that is assumed', () => {
  const place = fc.tuple(fc.integer({ min: 150, max: 2150 }), fc.integer({ min: 320, max: 2040 }))
  const one = fc.record({
    place,
    counts: fc.integer({ min: 4000, max: 60_000 }),
    errors: fc.array(fc.double({ min: -0.08, max: 0.08, noNaN: true }), { minLength: 4, maxLength: 4 }),
  })
  let right = 0
  let all = 0
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 7 }), (spots, shift) => {
      const event: MatchEvent = {
        clusters: spots.map((each) => spot(each.counts, each.place)),
        // Trigger numbers go another way than the clusters.
        triggers: spots
          .map((each, index) => light((index + shift) % spots.length, each.counts, each.place, each.errors))
          .sort((a, b) => a.trigger - b.trigger),
      }
      matchClusters(event, 0.13, parameters)
      event.clusters.forEach(({ cluster }, index) => {
        all++
        if (cluster.pmtTrigger === (index + shift) % spots.length) right++
      })
      const used = event.clusters.map(({ cluster }) => cluster.pmtTrigger).filter((trigger) => trigger >= 0)
      expect(new Set(used).size).toBe(used.length)
    }),
    { numRuns: 200, seed: 4 },
  )
  expect(right / all).toBeGreaterThan(0.97)
})

test('a cluster without its own trigger is left unmatched', () => {
  const event = {
    clusters: [spot(9000, [400, 400])],
    triggers: [light(0, 9000, [1900, 1900]), light(1, 200_000, [400, 400])],
  }
  matchClusters(event, 0.13, parameters)
  expect(event.clusters[0]!.cluster).toMatchObject({ pmtTrigger: -1, pmtChi2: -1, depthMm: -1, tiltDeg: -1 })
  const dark = { clusters: [spot(9000, [400, 400])], triggers: [{ ...light(0, 1, [0, 0]), charges: undefined }] }
  matchClusters(dark, 0.13, parameters)
  expect(dark.clusters[0]!.cluster.pmtTrigger).toBe(-1)
})

test('a pulse beyond the range is a lower limit', () => {
  const clipped = (trigger: number, counts: number): TriggerLight => {
    const full = light(trigger, counts, [1000, 1000])
    const charges = full.charges!
    return { ...full, charges: { ...charges, clipped: [true, true, true, true] } }
  }
  const bright = { clusters: [spot(2_000_000, [1000, 1000])], triggers: [clipped(0, 300_000)] }
  matchClusters(bright, 0.13, parameters)
  expect(bright.clusters[0]!.cluster).toMatchObject({ pmtTrigger: 0, pmtChi2: 0 })
  const dim = { clusters: [spot(9000, [1000, 1000])], triggers: [clipped(0, 300_000)] }
  matchClusters(dim, 0.13, parameters)
  expect(dim.clusters[0]!.cluster.pmtTrigger).toBe(-1)
})

test('depth is time over threshold times drift velocity, tilt its angle to the image plane', () => {
  const event = {
    clusters: [spot(20_000, [1200, 900], { lengthPx: 200 })],
    triggers: [light(0, 20_000, [1200, 900], undefined, 1000)],
  }
  matchClusters(event, 0.13, parameters)
  const { depthMm, tiltDeg } = event.clusters[0]!.cluster
  // 1 us at 5.30 cm/us, 200 px of 0.152 mm.
  expect(depthMm).toBeCloseTo(53, 9)
  expect(tiltDeg).toBeCloseTo((Math.atan2(53, 30.4) * 180) / Math.PI, 9)
})

test('the charge per count is found from the run itself', () => {
  const places: [number, number][] = Array.from({ length: 9 }, (_, index) => [300 + 200 * index, 400 + 150 * index])
  const alone = places.map((place) => ({ clusters: [spot(9000, place)], triggers: [light(0, 9000, place)] }))
  expect(chargePerCount(alone, parameters)).toBeCloseTo(0.13, 9)
  const crowded = [
    {
      clusters: places.map((place, index) => spot(6000 + 500 * index, place)),
      triggers: places.map((place, index) => light(index, 6000 + 500 * index, place)),
    },
  ]
  expect(chargePerCount(crowded, parameters)!).toBeGreaterThan(0.09)
  expect(chargePerCount(crowded, parameters)!).toBeLessThan(0.18)
  expect(chargePerCount([], parameters)).toBeUndefined()
})

test('the match is judged by the triggers of the main tracks', () => {
  const tally = emptyMatchTruth()
  const cluster = (truthTrack: number, pmtTrigger: number) => ({ truthTrack, pmtTrigger })
  const tracks = [0, 1, 2, 3].map((id) => ({ id, trigger: id === 3 ? -1 : id }))
  addMatchTruth(tally, [cluster(0, 0), cluster(1, 2), cluster(2, -1), cluster(3, 1), cluster(-1, -1)], tracks)
  expect(matchTruthOf(tally)).toEqual({
    clusters: 3,
    right: 1,
    wrong: 1,
    missed: 1,
    falselyMatched: 1,
    efficiency: 1 / 3,
    wrongRate: 2 / 3,
  })
  expect(matchTruthOf(emptyMatchTruth())).toBeNull()
})
