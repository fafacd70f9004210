/** 7: nuclear against electron recoils by light density, and by the trained classifier where there is one. */
import { published } from '../published.ts'
import { clopperPearson, quantile } from '../statistics.ts'
import type { Estimate, ReportSection } from '../study-report.ts'
import type { TrackRecord } from '../track-records.ts'
import { compare, percentOf, requirement, textOf } from '../verdicts.ts'
import { section } from './section-parts.ts'
import type { SectionContext } from './section-parts.ts'

type Matched = TrackRecord & { cluster: NonNullable<TrackRecord['cluster']> }

const workingPoints = [
  { name: 'WP50', signal: 0.5, published: published.wp50 },
  { name: 'WP40', signal: 0.4, published: published.wp40 },
] as const

export function recoilsSection({ sample, parameters }: SectionContext): ReportSection {
  const [tuning, test] = [sample('recoils-tuning'), sample('recoils')]
  const select = (records: readonly TrackRecord[]) => {
    const matched = records.filter((one): one is Matched => one.foundSelected && one.cluster !== undefined)
    return {
      nuclear: matched.filter(({ truth }) => truth.kind === 'helium' || truth.kind === 'fluorine'),
      iron: matched.filter(({ truth }) => truth.kind === 'iron'),
      electrons: matched.filter(({ truth }) => truth.kind === 'electron'),
    }
  }
  const asked = (records: readonly TrackRecord[]) =>
    records.filter(({ truth, accepted }) => accepted && (truth.kind === 'helium' || truth.kind === 'fluorine'))
  const [tuned, tested] = [select(tuning.tracks), select(test.tracks)]
  const signalAsked = asked(test.tracks)
  const tuningAsked = asked(tuning.tracks).length
  const density = ({ cluster }: Matched) => cluster.densityCountsPerPx
  const score = ({ cluster }: Matched) => cluster.recoilScore
  const share = (passing: number, of: number): Estimate => clopperPearson(passing, of)

  const pointsOf = (by: (one: Matched) => number) =>
    workingPoints.map((point) => {
      // Efficiency of the whole selection, so that what the preselection loses is in it.
      const ofFound = (point.signal * tuningAsked) / Math.max(1, tuned.nuclear.length)
      const cut = ofFound > 1 ? NaN : quantile(tuned.nuclear.map(by), 1 - ofFound)
      const passes = (one: Matched) => by(one) > cut
      const signal = share(tested.nuclear.filter(passes).length, signalAsked.length)
      const background = share(tested.iron.filter(passes).length, tested.iron.length)
      const electrons = share(tested.electrons.filter(passes).length, tested.electrons.length)
      return { ...point, cut, signal, background, electrons }
    })
  const points = pointsOf(density)
  const scored = tested.nuclear.some((one) => score(one) >= 0)
  const scorePoints = scored ? pointsOf(score) : []
  const curve = rocOf(tested.nuclear.map(density), tested.iron.map(density))
  const scoreCurve = scored ? rocOf(tested.nuclear.map(score), tested.iron.map(score)) : undefined
  const bins = [2, 5, 10, 20, 40, 100]
  const byEnergy = bins.slice(1).map((high, index) => {
    const low = bins[index]!
    const inside = ({ truth }: TrackRecord) => truth.visibleEnergyKev >= low && truth.visibleEnergyKev < high
    const cut = points[0]!.cut
    const electrons = tested.electrons.filter(inside)
    return {
      low,
      high,
      signal: share(
        tested.nuclear.filter((one) => inside(one) && density(one) > cut).length,
        signalAsked.filter(inside).length,
      ),
      rejected: share(electrons.filter((one) => !(density(one) > cut)).length, electrons.length),
    }
  })
  const [wp50] = points
  const model = scored
    ? 'The classifier is the one that comes with the program; its own training sample has other seeds.'
    : 'No classifier was applied.'
  return section(7, 'recoils', 'Nuclear against electron recoils', [tuning, test], {
    paragraphs: [
      `One cut on the light density (integral / hits above zero suppression). Its place is chosen on the tuning sample so that the efficiency of the whole chain for nuclear recoils, standard cut (rms > ${parameters.selectionMinimumRmsCounts}, integral > ${parameters.selectionMinimumIntegralCounts}) included, is 0.50 and 0.40; both efficiencies are then measured on the test sample. Signal: He (exponential, mean 30 keV) and F (mean 12 keV) recoils of 2 to 100 keV in equal numbers. Background: 55Fe spots.`,
      'The published working points are those of LEMON with an AmBe source: its neutrons, its 20 cm of drift and its preselection (length, slimness, PMT). Our spectrum is assumed and our drift is 50 cm; the depth smears the density more. The two are set side by side, they are not the same measurement.',
    ],
    tables: [
      {
        title: 'Working points (test sample)',
        columns: [
          { title: 'cut on', unit: '' },
          { title: 'point', unit: '' },
          { title: 'above', unit: '', digits: 3 },
          { title: 'nuclear recoils kept', unit: '%', digits: 1 },
          { title: '55Fe kept', unit: '%', digits: 2 },
          { title: 'electrons of 4-30 keV kept', unit: '%', digits: 1 },
          { title: 'published signal', unit: '%', digits: 0 },
          { title: 'published 55Fe', unit: '%', digits: 1 },
        ],
        rows: [
          ...points.map((one) => ({ by: 'density, counts/px', ...one })),
          ...scorePoints.map((one) => ({ by: 'trained classifier', ...one })),
        ].map(({ by, name, cut, signal, background, electrons, published: of }) => [
          by,
          name,
          Number.isFinite(cut) ? cut : 'not reachable',
          percentOf(signal),
          percentOf(background),
          percentOf(electrons),
          100 * (name === 'WP50' ? 0.5 : 0.4),
          100 * of.value,
        ]),
        note: `Intervals of Clopper and Pearson, 68 %. ${model}`,
      },
      {
        title: 'Density cut at WP50, by visible energy',
        columns: [
          { title: 'visible energy', unit: 'keV' },
          { title: 'nuclear recoils kept', unit: '%', digits: 1 },
          { title: 'electrons rejected', unit: '%', digits: 1 },
        ],
        rows: byEnergy.map(({ low, high, signal, rejected }) => [
          `${low} to ${high}`,
          percentOf(signal),
          percentOf(rejected),
        ]),
        note: 'Published (WP50): 18 % at 5.9 keV, about none below 4 keV, 14 % in 5-10 keV, 40 % below 20 keV, electrons rejected 96.5 % [P].',
      },
    ],
    plots: [
      {
        title: 'Nuclear recoils kept against 55Fe kept',
        x: { label: '55Fe kept', unit: '', scale: 'linear', low: 0, high: 1 },
        y: { label: 'found nuclear recoils kept', unit: '', scale: 'linear', low: 0, high: 1 },
        series: [
          { label: 'density', style: 'line', published: false, points: curve },
          ...(scoreCurve === undefined
            ? []
            : [{ label: 'trained classifier', style: 'line' as const, published: false, points: scoreCurve }]),
          {
            label: 'LEMON AmBe [P]',
            style: 'points',
            published: true,
            points: workingPoints.map((point) => ({ x: point.published.value, y: point.signal })),
          },
        ],
      },
    ],
    comparisons: points.map(({ name, background, published: of }) =>
      compare({
        quantity: `55Fe kept at ${name}`,
        unit: '%',
        ours: percentOf(background),
        published: { ...of, value: 100 * of.value },
        difference: 'another detector, an assumed recoil spectrum and no PMT cut (see above)',
        comparable: false,
      }),
    ),
    requirements: [
      requirement(
        'at a nuclear-recoil efficiency of 0.50 no more 55Fe is kept than published (3.5 %)',
        (wp50!.background.value ?? 1) <= 0.035,
        `${textOf(percentOf(wp50!.background), '%')} of ${tested.iron.length} spots at ${textOf(percentOf(wp50!.signal), '%')} signal`,
      ),
    ],
  })
}

/** Points of signal kept against background kept, from tight to loose. */
function rocOf(signal: readonly number[], background: readonly number[]): { x: number; y: number }[] {
  if (signal.length === 0 || background.length === 0) return []
  const above = (values: readonly number[], cut: number) =>
    values.filter((value) => value >= cut).length / values.length
  return Array.from({ length: 61 }, (_, index) => {
    const cut = quantile(signal, 1 - index / 60)
    return { x: above(background, cut), y: above(signal, cut) }
  })
}
