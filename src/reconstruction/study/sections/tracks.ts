/** 5: where a track is, how wide, how long, in which direction. */
import { lineWithin } from '../line-within.ts'
import { published } from '../published.ts'
import { estimate, medianOf, momentsOf, quantile } from '../statistics.ts'
import type { Estimate, ReportSection } from '../study-report.ts'
import { radiusPx } from '../track-records.ts'
import type { TrackRecord } from '../track-records.ts'
import { electronEnergiesKev, scanDepthsMm } from '../validation-plan.ts'
import { compare, requirement, textOf } from '../verdicts.ts'
import { fiducialRadiusPx, section } from './section-parts.ts'
import type { SectionContext } from './section-parts.ts'
import { acceptedRows } from '../../parameters.ts'

/** LIME: 346 mm seen by 2304 pixels. */
const pixelMm = 346 / 2304
/** Barycentres count pixels from their centres, truth from their edges. */
const edgeToCentrePx = 0.5

/** rms of the electron cloud at 0.8 kV/cm, mm (dossier 4.1, from the collaboration's digitization). */
const transverseMm = (zMm: number) => Math.sqrt(0.13475 + 0.00143819 * zMm)

type Matched = TrackRecord & { cluster: NonNullable<TrackRecord['cluster']> }

export function tracksSection({ sample, parameters }: SectionContext): ReportSection {
  const [iron, electrons, muons, alphas] = [sample('iron'), sample('electrons'), sample('muons'), sample('alphas')]
  const matched = (records: readonly TrackRecord[]) =>
    records.filter((one): one is Matched => one.foundSelected && one.cluster !== undefined)
  const spots = matched(iron.tracks).filter(
    (one) => radiusPx(one, iron.plan.framePx) < fiducialRadiusPx(iron.plan.framePx),
  )

  const scan = scanDepthsMm.map((zMm) => {
    const here = spots.filter(({ truth }) => Math.abs(truth.zMm - zMm) < 20)
    const dx = momentsOf(here.map(({ cluster, truth }) => cluster.xMeanPx + edgeToCentrePx - truth.xPx))
    const dy = momentsOf(here.map(({ cluster, truth }) => cluster.yMeanPx + edgeToCentrePx - truth.yPx))
    const fitted = here.map(({ cluster }) => cluster.latGaussSigmaPx).filter((sigma) => sigma > 0)
    const width = medianOf(fitted.map((sigma) => sigma * pixelMm))
    const light = momentsOf(here.map(({ lightRmsPx }) => lightRmsPx * pixelMm))
    return { zMm, dx, dy, width, light, fitted: fitted.length, entries: here.length }
  })
  const ratioOf = ({ width, light }: (typeof scan)[number]) =>
    width.value === null ? width : scaled(width, 1 / light.mean)
  const farthestWidth = scan.reduce((most, one) => Math.max(most, Math.abs((ratioOf(one).value ?? Infinity) - 1)), 0)
  const largestBias = scan.reduce((most, { dx, dy }) => Math.max(most, Math.abs(dx.mean), Math.abs(dy.mean)), 0)

  const rows = acceptedRows(parameters, muons.plan.framePx)
  const muonRows = matched(muons.tracks).flatMap(({ truth, cluster }) => {
    const visible = lineWithin(truth.startPx, truth.endPx, {
      x0: 0,
      x1: muons.plan.framePx,
      y0: rows.first,
      y1: rows.end,
    })
    return visible === undefined || visible * pixelMm < 20
      ? []
      : [{ ratio: cluster.lengthPx / visible, truth, cluster }]
  })
  const length = medianOf(muonRows.map(({ ratio }) => ratio))
  const lengthSpread = [0.16, 0.84].map((share) =>
    quantile(
      muonRows.map(({ ratio }) => ratio),
      share,
    ),
  )
  const complete = muonRows.filter(({ ratio }) => ratio > 0.9 && ratio < 1.1).length
  const angles = [
    { name: 'muons', entries: muonRows.map(({ truth, cluster }) => axisDegrees(cluster.thetaDeg, truth.angleRad)) },
    {
      name: 'alphas longer than 20 mm',
      entries: matched(alphas.tracks)
        .filter(({ truth }) => truth.lengthMm > 20)
        .map(({ truth, cluster }) => axisDegrees(cluster.thetaDeg, truth.angleRad)),
    },
    {
      name: 'electrons, ends more than 20 mm apart',
      entries: matched(electrons.tracks)
        .filter(({ truth }) => endsApartPx(truth) * pixelMm > 20)
        .map(({ truth, cluster }) => axisDegrees(cluster.thetaDeg, truth.angleRad)),
    },
  ].map(({ name, entries }) => ({ name, entries: entries.length, ...axisSpread(entries) }))
  const directions = electronEnergiesKev
    .filter((energyKev) => energyKev >= 10)
    .map((energyKev) => {
      // Tracks nearly along the drift have no direction in the plane.
      const entries = matched(electrons.tracks)
        .filter(({ truth }) => Math.abs(truth.kineticKev - energyKev) < 0.01 * energyKev)
        .filter(({ truth }) => Math.sin(truth.theta3dRad) > 0.5)
        .map(({ truth, cluster }) => axisDegrees(cluster.thetaDeg, truth.phi3dRad))
      return { energyKev, entries: entries.length, ...axisSpread(entries) }
    })
  const direction = (low: number, high: number): Estimate => {
    const of = directions.filter(({ energyKev, entries }) => energyKev >= low && energyKev <= high && entries > 0)
    const best = of.at(-1)
    return best === undefined ? { value: null, low: null, high: null } : best.rms
  }
  const muonAngle = angles[0]!

  return section(5, 'tracks', 'Position, width, length, direction', [iron, electrons, muons, alphas], {
    paragraphs: [
      'Position: barycentre of found 55Fe spots minus the true mean place of their energy. Width: median of the fitted transverse Gaussian (tgausssigma) beside the rms of the true light. Both are wider than the transverse diffusion alone, sqrt(0.13475 + 0.0143819 z[cm]) mm: the third GEM saturates in the middle of the spot and the photoelectron runs 0.3 mm.',
      'Length of muons: extent of the cluster over the part of the true line inside the acceptance, tracks with more than 20 mm of it. A muon that is cut into several clusters counts with its largest. Angles are those between axes (no head or tail): 45 degrees rms would be isotropic at most 52.',
    ],
    tables: [
      {
        title: '55Fe spots',
        columns: [
          { title: 'z', unit: 'mm', digits: 1 },
          { title: 'mean of x - truth', unit: 'px', digits: 2 },
          { title: 'rms x', unit: 'px', digits: 2 },
          { title: 'mean of y - truth', unit: 'px', digits: 2 },
          { title: 'rms y', unit: 'px', digits: 2 },
          { title: 'width', unit: 'mm', digits: 3 },
          { title: 'true light', unit: 'mm', digits: 3 },
          { title: 'width / true light', unit: '', digits: 3 },
          { title: 'diffusion alone', unit: 'mm', digits: 3 },
          { title: 'spots', unit: '', digits: 0 },
        ],
        rows: scan.map((one) => [
          one.zMm,
          estimate(one.dx.mean, one.dx.meanError),
          estimate(one.dx.sigma, one.dx.sigmaError),
          estimate(one.dy.mean, one.dy.meanError),
          estimate(one.dy.sigma, one.dy.sigmaError),
          one.width,
          estimate(one.light.mean, one.light.meanError),
          ratioOf(one),
          transverseMm(one.zMm),
          one.entries,
        ]),
        note: scan.every(({ fitted }) => fitted === 0) ? 'No cluster has a fitted width.' : undefined,
      },
      {
        title: 'Length of muons',
        columns: [
          { title: 'quantity', unit: '' },
          { title: 'value', unit: '' },
        ],
        rows: [
          ['muons with more than 20 mm inside the acceptance, found', muonRows.length],
          ['median of length / truth', length],
          [
            '16 % and 84 % quantiles',
            lengthSpread.map((value) => (Number.isFinite(value) ? value.toFixed(3) : '-')).join(' .. '),
          ],
          ['share within 10 % of the truth', muonRows.length === 0 ? null : complete / muonRows.length],
        ],
      },
      {
        title: 'Axis of tracks longer than 20 mm against the line between their ends',
        columns: [
          { title: 'tracks', unit: '' },
          { title: 'median |angle|', unit: 'deg', digits: 2 },
          { title: 'rms', unit: 'deg', digits: 2 },
          { title: 'number', unit: '', digits: 0 },
        ],
        rows: angles.map(({ name, median, rms, entries }) => [name, median, rms, entries]),
      },
      {
        title: 'Axis of electrons against their INITIAL direction in the plane',
        columns: [
          { title: 'energy', unit: 'keV', digits: 0 },
          { title: 'median |angle|', unit: 'deg', digits: 1 },
          { title: 'rms', unit: 'deg', digits: 1 },
          { title: 'number', unit: '', digits: 0 },
        ],
        rows: directions.map(({ energyKev, median, rms, entries }) => [energyKev, median, rms, entries]),
        note: 'The plain major axis of the whole cluster, not an algorithm for directions: scattering has turned most of the track. Initial directions more than 30 degrees off the drift only.',
      },
    ].map((table) => (table.note === undefined ? withoutNote(table) : { ...table, note: table.note })),
    plots: [
      {
        title: 'Width of 55Fe spots over the drift',
        x: { label: 'z', unit: 'mm', scale: 'linear', low: 0, high: 500 },
        y: { label: 'Gaussian sigma', unit: 'mm', scale: 'linear', low: 0 },
        series: [
          {
            label: 'fitted',
            style: 'points',
            published: false,
            points: scan.flatMap(({ zMm, width: { value, low, high } }) =>
              value === null ? [] : [{ x: zMm, y: value, low: low ?? value, high: high ?? value }],
            ),
          },
          {
            label: 'diffusion alone',
            style: 'line',
            published: true,
            points: Array.from({ length: 26 }, (_, index) => ({ x: 20 * index, y: transverseMm(20 * index) })),
          },
        ],
      },
    ],
    comparisons: [
      ...published.spotWidths.map((of) =>
        compare({
          quantity: `width of 55Fe spots at z ${of.zMm} mm`,
          unit: 'mm',
          ours: scan.find(({ zMm }) => Math.abs(zMm - of.zMm) < 20)?.width ?? { value: null, low: null, high: null },
          published: of,
          difference: `another simulation of the same physics, at ${of.zMm} mm; 0.02 mm taken for its rounding and the difference in depth`,
        }),
      ),
      compare({
        quantity: 'direction of electrons above 10 keV (rms at 60 keV)',
        unit: 'deg',
        ours: direction(10, 60),
        published: published.erDirectionAbove10,
        difference:
          'a different detector (CYGNO-type prototype), an algorithm made for directions, and an angular resolution defined in its own way; ours is the major axis of the whole track',
        comparable: false,
      }),
      compare({
        quantity: 'direction of electrons of 20 to 60 keV (rms at 60 keV)',
        unit: 'deg',
        ours: direction(20, 60),
        published: published.erDirection20to60,
        difference: 'as above',
        comparable: false,
      }),
    ],
    requirements: [
      requirement(
        'the place of 55Fe spots is unbiased within 0.5 px at every depth',
        largestBias < 0.5 && spots.length > 0,
        `the largest bias is ${Number.isFinite(largestBias) ? `${largestBias.toFixed(2)} px` : 'missing'}`,
      ),
      requirement(
        'the fitted width is within 5 % of the width of the true light at every depth',
        farthestWidth < 0.05,
        Number.isFinite(farthestWidth)
          ? `the farthest is ${(100 * farthestWidth).toFixed(1)} % away`
          : 'no fitted widths',
      ),
      requirement(
        'the axis of muons is right within 2 degrees (median)',
        (muonAngle.median.value ?? Infinity) < 2,
        `${textOf(muonAngle.median, 'deg')}, ${muonAngle.entries} muons`,
      ),
    ],
  })
}

function withoutNote<Table extends { note?: string | undefined }>({
  note: _note,
  ...table
}: Table): Omit<Table, 'note'> {
  return table
}

function scaled({ value, low, high, entries }: Estimate, factor: number): Estimate {
  const times = (part: number | null) => (part === null ? null : part * factor)
  return { value: times(value), low: times(low), high: times(high), ...(entries !== undefined && { entries }) }
}

function endsApartPx({ startPx, endPx }: TrackRecord['truth']): number {
  return Math.hypot(endPx.x - startPx.x, endPx.y - startPx.y)
}

/** Angle between two axes, degrees, 0 to 90. */
function axisDegrees(thetaDeg: number, angleRad: number): number {
  const apart = Math.abs(thetaDeg - (angleRad * 180) / Math.PI) % 180
  return Math.min(apart, 180 - apart)
}

function axisSpread(entries: readonly number[]): { median: Estimate; rms: Estimate } {
  if (entries.length === 0) {
    const none = { value: null, low: null, high: null }
    return { median: none, rms: none }
  }
  const squares = momentsOf(entries.map((angle) => angle * angle))
  const rms = Math.sqrt(squares.mean)
  return { median: medianOf(entries), rms: estimate(rms, squares.meanError / (2 * rms || 1), entries.length) }
}
