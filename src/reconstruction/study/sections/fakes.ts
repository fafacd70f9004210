/** 2: fake clusters in noise, before and after cuts, and what a year of them would be. */
import { published } from '../published.ts'
import { poissonRate } from '../statistics.ts'
import type { Estimate, ReportSection } from '../study-report.ts'
import { compare, requirement, textOf } from '../verdicts.ts'
import { section } from './section-parts.ts'
import type { SectionContext } from './section-parts.ts'

/** Frames a detector takes in a year at 0.3 s of exposure and 0.184 s of readout. */
const framesPerYear = (365.25 * 86_400) / 0.4844
const binCounts = 20

export function fakesSection(context: SectionContext): ReportSection {
  const noise = context.sample('noise')
  const { fakes, images } = noise
  const { selectionMinimumRmsCounts: rms, selectionMinimumIntegralCounts: integral, kevPerCount } = context.parameters
  const cuts: [string, (fake: (typeof fakes)[number]) => boolean][] = [
    ['none', () => true],
    [`rms > ${rms}`, (fake) => fake.rmsCounts > rms],
    [`integral > ${integral}`, (fake) => fake.integralCounts > integral],
    ['integral > 850', (fake) => fake.integralCounts > 850],
    [`rms > ${rms} and integral > ${integral} (standard)`, (fake) => fake.selected],
  ]
  const rates = cuts.map(([name, passes]) => ({ name, rate: poissonRate(fakes.filter(passes).length, images) }))
  const twoKevCounts = 2 / kevPerCount
  const tail = tailOf(fakes.map(({ integralCounts }) => integralCounts))
  const perFrameAt2 =
    tail === undefined ? undefined : (tail.above / images) * Math.exp(-(twoKevCounts - tail.from) / tail.slope)
  const perYear: Estimate =
    perFrameAt2 === undefined
      ? { value: null, low: null, high: null }
      : { value: perFrameAt2 * framesPerYear, low: null, high: null }
  const counted = poissonRate(fakes.filter(({ integralCounts }) => integralCounts > twoKevCounts).length, images)
  const standard = rates.at(-1)!.rate
  const spectrum = histogram(fakes.map(({ integralCounts }) => integralCounts))
  return section(2, 'fakes', 'Fake clusters in noise', [noise], {
    paragraphs: [
      `Every cluster of a frame without light is a fake. Intervals of the rates are those of Poisson counts, 68 %. ${tail === undefined ? '' : `The integral spectrum above ${tail.from.toFixed(0)} counts falls as exp(-I / ${tail.slope.toFixed(0)} counts) (unbinned fit to ${tail.above} clusters).`}`,
      `Rates are per frame of ${noise.plan.framePx} x ${noise.plan.framePx} pixels. A year of live time at 0.484 s per frame is ${(framesPerYear / 1e6).toFixed(1)} million frames; this sample has ${images}. The rate per year is therefore an extrapolation of the exponential tail over many orders of magnitude, not a measurement: it knows sensor noise only, no sparks, no afterglow, no radioactivity, and a tail that is not exponential would change it at will.`,
    ],
    tables: [
      {
        title: 'Fakes per frame',
        columns: [
          { title: 'cut', unit: '' },
          { title: 'clusters', unit: '', digits: 0 },
          { title: 'per frame', unit: '', digits: 4 },
        ],
        rows: rates.map(({ name, rate }) => [name, rate.entries ?? 0, rate]),
      },
      {
        title: 'Fakes above 2 keV',
        columns: [
          { title: 'quantity', unit: '' },
          { title: 'value', unit: '' },
        ],
        rows: [
          [`2 keV in counts (${kevPerCount} keV per count)`, twoKevCounts],
          ['largest integral seen, counts', fakes.reduce((most, one) => Math.max(most, one.integralCounts), 0)],
          ['counted per frame above 2 keV', counted],
          ['counted per year above 2 keV, upper end of the interval', (counted.high ?? 0) * framesPerYear],
          [
            'extrapolated per frame above 2 keV',
            perFrameAt2 === undefined ? 'no tail to fit' : perFrameAt2.toExponential(1),
          ],
          [
            'extrapolated per year above 2 keV',
            perYear.value === null ? 'no tail to fit' : perYear.value.toExponential(1),
          ],
        ],
      },
    ],
    plots: [
      {
        title: 'Integral of fakes',
        x: { label: 'integral', unit: 'counts', scale: 'linear' },
        y: { label: `fakes per frame and ${binCounts} counts`, unit: '', scale: 'log' },
        series: [
          {
            label: 'noise frames',
            style: 'points',
            published: false,
            points: spectrum.map(({ x, count }) => {
              const rate = poissonRate(count, images)
              return { x, y: rate.value!, low: rate.low!, high: rate.high! }
            }),
          },
          ...(tail === undefined
            ? []
            : [
                {
                  label: 'exponential tail',
                  style: 'line' as const,
                  published: false,
                  points: [tail.from, tail.from + 6 * tail.slope].map((x) => ({
                    x,
                    y: ((tail.above * binCounts) / (tail.slope * images)) * Math.exp(-(x - tail.from) / tail.slope),
                  })),
                },
              ]),
        ],
      },
    ],
    comparisons: [
      compare({
        quantity: 'fakes per noise frame before cuts',
        unit: '',
        ours: rates[0]!.rate,
        published: published.fakesOfReference,
        difference:
          'the reference was run on one noise frame of its own digitization (pedestal rms 3.81 counts); our noise is another simulation, so the number tests the order of magnitude only',
        comparable: false,
      }),
      compare({
        quantity: 'fakes per year above 2 keV (extrapolated)',
        unit: 'per year',
        ours: perYear,
        published: published.fakesPerYear,
        difference:
          'LEMON counted with its detector; ours is the exponential extrapolation of simulated sensor noise stated above and has no interval',
        comparable: false,
      }),
    ],
    requirements: [
      requirement(
        'no fake passes the standard cut',
        standard.value === 0,
        `${standard.entries} in ${images} frames (below ${standard.high === null ? '-' : standard.high.toPrecision(2)} per frame)`,
      ),
      requirement(
        'before cuts a frame of the camera has fewer than 70 fakes (twice the reference)',
        (rates[0]!.rate.value ?? 0) * (2304 / noise.plan.framePx) ** 2 < 70,
        `${textOf(rates[0]!.rate)} per frame of this sample`,
      ),
    ],
  })
}

/** Unbinned maximum likelihood of an exponential above the 80 % quantile. */
function tailOf(values: number[]): { from: number; slope: number; above: number } | undefined {
  if (values.length < 50) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const from = sorted[Math.floor(0.8 * sorted.length)]!
  const above = sorted.filter((value) => value > from)
  const slope = above.reduce((sum, value) => sum + value - from, 0) / above.length
  return above.length < 10 || !(slope > 0) ? undefined : { from, slope, above: above.length }
}

function histogram(values: readonly number[]): { x: number; count: number }[] {
  const counts = new Map<number, number>()
  for (const value of values) {
    const bin = Math.floor(value / binCounts)
    counts.set(bin, (counts.get(bin) ?? 0) + 1)
  }
  return [...counts].sort(([a], [b]) => a - b).map(([bin, count]) => ({ x: (bin + 0.5) * binCounts, count }))
}
