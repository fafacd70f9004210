/** 1: efficiency against energy and depth, thresholds at 50 % and 90 %. */
import { published } from '../published.ts'
import { crossing, wilson } from '../statistics.ts'
import type { Estimate, PlotSeries, ReportSection } from '../study-report.ts'
import type { TrackRecord } from '../track-records.ts'
import { electronEnergiesKev, scanDepthsMm } from '../validation-plan.ts'
import { compare, percentOf, requirement, textOf } from '../verdicts.ts'
import { section } from './section-parts.ts'
import type { SectionContext } from './section-parts.ts'

export function efficiencySection({ sample, parameters }: SectionContext): ReportSection {
  const electrons = sample('electrons')
  const iron = sample('iron')
  const inside = electrons.tracks.filter(({ accepted }) => accepted)
  const of = (energyKev: number, zMm: number | undefined, pick: (record: TrackRecord) => boolean): Estimate => {
    const chosen = inside.filter(({ truth }) => near(truth.kineticKev, energyKev) && atDepth(truth.zMm, zMm))
    return wilson(chosen.filter(pick).length, chosen.length)
  }
  const depths = [...scanDepthsMm, undefined]
  const selected = (record: TrackRecord) => record.foundSelected
  const curves = depths.map((zMm) => ({
    zMm,
    points: electronEnergiesKev.map((x) => ({ x, efficiency: of(x, zMm, selected) })),
    beforeCuts: electronEnergiesKev.map((x) => ({ x, efficiency: of(x, zMm, ({ found }) => found) })),
  }))
  const all = curves.at(-1)!
  const half = crossing(all.points, 0.5)
  const ninety = crossing(all.points, 0.9)
  const ironInside = iron.tracks.filter(({ accepted }) => accepted)
  const ironFound = wilson(ironInside.filter(selected).length, ironInside.length)
  const worst = curves
    .slice(0, -1)
    .map(({ points }) => points.find(({ x }) => x === 6)!.efficiency)
    .reduce((a, b) => ((a.value ?? 0) < (b.value ?? 0) ? a : b))
  const label = (zMm: number | undefined) => (zMm === undefined ? 'all z' : `z ${zMm} mm`)
  const curveOf = ({ zMm, points }: (typeof curves)[number]): PlotSeries => ({
    label: label(zMm),
    style: 'both',
    published: false,
    points: points.flatMap(({ x, efficiency: { value, low, high } }) =>
      value === null ? [] : [{ x, y: value, low: low ?? value, high: high ?? value }],
    ),
  })
  const thresholdRow = (zMm: number | undefined, points: typeof all.points) => [
    label(zMm),
    crossing(points, 0.5) ?? belowFirst(points, 0.5),
    crossing(points, 0.9) ?? belowFirst(points, 0.9),
  ]
  const none: Estimate = { value: null, low: null, high: null }
  return section(1, 'efficiency', 'Efficiency against energy and depth', [electrons, iron], {
    paragraphs: [
      `A track is found when one cluster holds more than half of its true light, and that cluster passes the standard cut (rms > ${parameters.selectionMinimumRmsCounts} counts and integral > ${parameters.selectionMinimumIntegralCounts} counts). The denominator is every simulated track with at least half of its light inside the acceptance, whatever its light. Intervals are Wilson's, 68 %.`,
    ],
    tables: [
      {
        title: 'Efficiency after the standard cut, %',
        columns: [
          { title: 'energy', unit: 'keV', digits: 1 },
          ...depths.map((zMm) => ({ title: label(zMm), unit: '%', digits: 1 })),
          { title: 'all z, before cuts', unit: '%', digits: 1 },
        ],
        rows: electronEnergiesKev.map((energyKev, index) => [
          energyKev,
          ...curves.map(({ points }) => percentOf(points[index]!.efficiency)),
          percentOf(all.beforeCuts[index]!.efficiency),
        ]),
      },
      {
        title: 'Thresholds after the standard cut',
        columns: [
          { title: 'depth', unit: '' },
          { title: '50 %', unit: 'keV', digits: 2 },
          { title: '90 %', unit: 'keV', digits: 2 },
        ],
        rows: curves.map(({ zMm, points }) => thresholdRow(zMm, points)),
        note: 'Linear in ln E between the two energies around the crossing; the interval moves both points by their own.',
      },
    ],
    plots: [
      {
        title: 'Efficiency after the standard cut',
        x: { label: 'energy', unit: 'keV', scale: 'log' },
        y: { label: 'efficiency', unit: '', scale: 'linear', low: 0, high: 1.05 },
        series: curves.map(curveOf),
      },
    ],
    comparisons: [
      compare({
        quantity: 'efficiency at 5.9 keV (55Fe, all z)',
        unit: '%',
        ours: percentOf(ironFound),
        published: { ...published.efficiencyAt59, value: 95 },
        difference:
          'LEMON: another detector (20 cm drift, 7 litres) with a real source and another reconstruction; ours is simulated LIME with 50 cm drift. Only the bound is compared.',
      }),
      compare({
        quantity: 'threshold, 50 % efficiency',
        unit: 'keV',
        ours: half ?? belowFirst(all.points, 0.5) ?? none,
        published: published.threshold,
        difference:
          'LEMON quotes the energy above which it works with few fakes; ours is the 50 % point of the simulated efficiency. Only the bound is compared.',
      }),
    ],
    requirements: [
      requirement(
        'at 6 keV the efficiency is above 95 % at every depth',
        (worst.value ?? 0) > 0.95,
        `the lowest is ${textOf(percentOf(worst), '%')}`,
      ),
      requirement(
        'the 90 % threshold of all depths together is below 3 keV ("few keV", LIME overground, arXiv 2305.06168 [A])',
        ninety !== undefined && (ninety.value ?? Infinity) < 3,
        ninety === undefined ? 'the curve does not cross 90 %' : textOf(ninety, 'keV'),
      ),
    ],
  })
}

/** A curve that is above the level from its first energy on: the threshold is below that energy. */
function belowFirst(points: readonly { x: number; efficiency: Estimate }[], level: number): Estimate | null {
  const first = points.find(({ efficiency }) => efficiency.value !== null)
  return first !== undefined && first.efficiency.value! >= level ? { value: first.x, low: null, high: null } : null
}

const near = (a: number, b: number) => Math.abs(a - b) < 0.02 * b
/** Tracks drift away from the depth they were put at, long ones by centimetres; half the distance to the next depth. */
const atDepth = (zMm: number, wanted: number | undefined) => wanted === undefined || Math.abs(zMm - wanted) < 50
