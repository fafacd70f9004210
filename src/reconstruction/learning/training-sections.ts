/** How well a trained model does, as sections of a report: on the test sample only. */
import { clopperPearson, estimate, gaussianCore, momentsOf } from '../study/statistics.ts'
import { percentOf, requirement } from '../study/verdicts.ts'
import type { Estimate, ReportSection } from '../study/study-report.ts'
import { backgroundAt, operatingCurve } from './operating-curve.ts'
import type { OperatingCurve } from './operating-curve.ts'
import { recoilClasses, recoilPredictor } from './recoil-model.ts'
import type { RecoilModel } from './recoil-model.ts'
import type { LabelledCluster, TrainingSamplePlan } from './training-sample.ts'

export interface TrainingResult {
  model: RecoilModel
  train: readonly LabelledCluster[]
  check: readonly LabelledCluster[]
  test: readonly LabelledCluster[]
  losses: readonly { epoch: number; train: number; check: number }[]
  plans: readonly TrainingSamplePlan[]
}

interface Judged extends LabelledCluster {
  score: number
  energyKev: number
  depthMm: number
}

const energyBinsKev = [1, 3, 6, 10, 20, 40, 100]
/** A uniform guess of the depth is wrong by 500 mm / sqrt(12). */
const uniformDepthMm = 500 / Math.sqrt(12)
const leastInBin = 20

export function trainingSections(result: TrainingResult): ReportSection[] {
  const predict = recoilPredictor(result.model)
  const judged = result.test.map((one): Judged => {
    const { recoilScore, learnedEnergyKev, learnedZMm } = predict(one.cluster)
    return { ...one, score: recoilScore, energyKev: learnedEnergyKev, depthMm: learnedZMm }
  })
  const samples = result.plans.map(
    ({ name, purpose, images, framePx, seed }) =>
      `${name} (${purpose}): ${images} images of ${framePx} x ${framePx} px, seed ${seed}`,
  )
  return [classifierSection(result, judged, samples), energySection(judged, samples), depthSection(judged, samples)]
}

const inBin = (low: number, high: number) => (one: LabelledCluster) =>
  one.visibleEnergyKev >= low && one.visibleEnergyKev < high
const bins = energyBinsKev.slice(1).map((high, index) => ({ low: energyBinsKev[index]!, high }))

function classifierSection({ losses }: TrainingResult, judged: readonly Judged[], samples: string[]): ReportSection {
  const nuclear = judged.filter(({ label }) => label === 'nuclear')
  const electrons = judged.filter(({ label }) => label === 'electron')
  const curve = operatingCurve(
    nuclear.map(({ score }) => score),
    electrons.map(({ score }) => score),
  )
  const density = operatingCurve(
    nuclear.map(({ cluster }) => cluster.densityCountsPerPx),
    electrons.map(({ cluster }) => cluster.densityCountsPerPx),
  )
  const perBin = bins.map(({ low, high }) => {
    const [signal, background] = [nuclear.filter(inBin(low, high)), electrons.filter(inBin(low, high))]
    return {
      low,
      high,
      signals: signal.length,
      backgrounds: background.length,
      curve: operatingCurve(
        signal.map(({ score }) => score),
        background.map(({ score }) => score),
      ),
    }
  })
  const confusion = recoilClasses.map((label) => {
    const of = judged.filter((one) => one.label === label)
    return { label, of: of.length, kept: of.filter(({ score }) => score > 0.5).length }
  })
  return {
    number: 1,
    id: 'classifier',
    title: 'Nuclear against electron recoils',
    paragraphs: [
      'The score is the probability of the class nuclear of a dense network 9-10-7-3 that sees the shape of a cluster only. Signal: He, C and F recoils of 2 to 100 keV, logarithmically even; background: electrons of 1 to 60 keV and 55Fe. A cut on the light density alone is drawn beside it.',
    ],
    samples,
    tables: [
      {
        title: 'Area under the curve, by visible energy (test sample)',
        columns: [
          { title: 'visible energy', unit: 'keV' },
          { title: 'nuclear recoils', unit: '' },
          { title: 'electrons', unit: '' },
          { title: 'area', unit: '', digits: 4 },
          { title: 'electrons kept at 50 % of the recoils', unit: '%', digits: 2 },
        ],
        rows: [
          ...perBin.map(({ low, high, signals, backgrounds, curve: one }) => [
            `${low} to ${high}`,
            signals,
            backgrounds,
            signals < leastInBin || backgrounds < leastInBin ? 'too few' : areaOf(one),
            signals < leastInBin || backgrounds < leastInBin ? 'too few' : 100 * backgroundAt(one, 0.5),
          ]),
          ['all', nuclear.length, electrons.length, areaOf(curve), 100 * backgroundAt(curve, 0.5)],
        ],
        note: 'Error of the area: Hanley and McNeil.',
      },
      {
        title: 'Called nuclear (score above 0.5)',
        columns: [
          { title: 'truth', unit: '' },
          { title: 'clusters', unit: '' },
          { title: 'called nuclear', unit: '%', digits: 1 },
        ],
        rows: confusion.map(({ label, of, kept }) => [label, of, percentOf(clopperPearson(kept, of))]),
      },
    ],
    plots: [
      {
        title: 'Nuclear recoils kept against electrons kept',
        x: { label: 'electrons kept', unit: '', scale: 'linear', low: 0, high: 1 },
        y: { label: 'nuclear recoils kept', unit: '', scale: 'linear', low: 0, high: 1 },
        series: [
          { label: 'network', style: 'line', published: false, points: drawn(curve) },
          { label: 'density alone', style: 'line', published: false, points: drawn(density) },
        ],
      },
      {
        title: 'Training',
        x: { label: 'epoch', unit: '', scale: 'linear' },
        y: { label: 'weighted cross-entropy', unit: '', scale: 'linear', low: 0 },
        series: [
          {
            label: 'train',
            style: 'line',
            published: false,
            points: losses.map(({ epoch, train }) => ({ x: epoch, y: train })),
          },
          {
            label: 'check',
            style: 'line',
            published: false,
            points: losses.map(({ epoch, check }) => ({ x: epoch, y: check })),
          },
        ],
      },
    ],
    comparisons: [],
    requirements: [
      requirement(
        'the network tells recoils apart at least as well as the density alone',
        curve.area + 2 * curve.areaError >= density.area,
        `area ${curve.area.toFixed(4)} ± ${curve.areaError.toFixed(4)}, density alone ${density.area.toFixed(4)}`,
      ),
    ],
    problem: nuclear.length === 0 || electrons.length === 0 ? 'The test sample lacks a class: use more images.' : null,
  }
}

/** Peak and width of the ratio to the true energy, beside those of the plain integral. */
function energySection(judged: readonly Judged[], samples: string[]): ReportSection {
  const learned = (one: Judged): number => one.energyKev / one.visibleEnergyKev
  const plain = ({ cluster, visibleEnergyKev }: Judged): number =>
    cluster.energyKev > 0 ? cluster.energyKev / visibleEnergyKev : Number.NaN
  const electrons = judged.filter(({ label }) => label === 'electron')
  const rows = bins.map(({ low, high }) => {
    const inside = electrons.filter(inBin(low, high))
    return { low, high, count: inside.length, learned: coreOf(inside.map(learned)), plain: coreOf(inside.map(plain)) }
  })
  const width = (values: readonly Judged[], of: (one: Judged) => number) => coreOf(values.map(of)).width
  const iron = judged.filter(({ kind }) => kind === 'iron')
  const [ofTrees, ofIntegral] = [width(iron, learned), width(iron, plain)]
  return {
    number: 2,
    id: 'energy',
    title: 'Energy by boosted trees',
    paragraphs: [
      'Boosted trees of depth 3 see integral, place and shape of a cluster; they learn the logarithm of the energy. The ratio to the true visible energy is fitted around its peak; beside it the integral times the calibration constant.',
    ],
    samples,
    tables: [
      {
        title: 'Electrons: reconstructed / true visible energy (test sample)',
        columns: [
          { title: 'visible energy', unit: 'keV' },
          { title: 'clusters', unit: '' },
          { title: 'trees: mean', unit: '', digits: 3 },
          { title: 'trees: width', unit: '%', digits: 1 },
          { title: 'integral: mean', unit: '', digits: 3 },
          { title: 'integral: width', unit: '%', digits: 1 },
        ],
        rows: rows.map(({ low, high, count, learned: trees, plain: integral }) => [
          `${low} to ${high}`,
          count,
          trees.mean,
          percentOf(trees.width),
          integral.mean,
          percentOf(integral.width),
        ]),
      },
    ],
    plots: [
      {
        title: 'Width of the ratio',
        x: { label: 'visible energy', unit: 'keV', scale: 'log' },
        y: { label: 'width', unit: '%', scale: 'linear', low: 0 },
        series: [
          { label: 'trees', style: 'both', published: false, points: widths(rows, (row) => row.learned.width) },
          { label: 'integral', style: 'both', published: false, points: widths(rows, (row) => row.plain.width) },
        ],
      },
    ],
    comparisons: [],
    requirements: [
      requirement(
        'trees give 55Fe at all depths a narrower line than the integral',
        (ofTrees.value ?? 1) < (ofIntegral.value ?? 0),
        `${percentText(ofTrees)} against ${percentText(ofIntegral)}, ${iron.length} spots`,
      ),
    ],
    problem: null,
  }
}

function depthSection(judged: readonly Judged[], samples: string[]): ReportSection {
  const known = judged.filter(({ label }) => label !== 'other')
  const rows = bins.map(({ low, high }) => {
    const errors = known.filter(inBin(low, high)).map((one) => one.depthMm - one.zMm)
    return { low, high, count: errors.length, ...momentsOf(errors) }
  })
  const all = momentsOf(known.map((one) => one.depthMm - one.zMm))
  return {
    number: 3,
    id: 'depth',
    title: 'Distance from the GEM by boosted trees',
    paragraphs: [
      `Diffusion widens a track with its distance from the GEM; the trees read it from the width. Guessing blindly errs by ${uniformDepthMm.toFixed(0)} mm.`,
    ],
    samples,
    tables: [
      {
        title: 'Learned minus true distance (test sample)',
        columns: [
          { title: 'visible energy', unit: 'keV' },
          { title: 'clusters', unit: '' },
          { title: 'mean', unit: 'mm', digits: 1 },
          { title: 'standard deviation', unit: 'mm', digits: 1 },
        ],
        rows: rows.map(({ low, high, count, mean, meanError, sigma, sigmaError }) => [
          `${low} to ${high}`,
          count,
          estimate(mean, meanError),
          estimate(sigma, sigmaError),
        ]),
      },
    ],
    plots: [
      {
        title: 'Learned against true distance',
        x: { label: 'true distance', unit: 'mm', scale: 'linear', low: 0, high: 500 },
        y: { label: 'learned distance', unit: 'mm', scale: 'linear', low: 0, high: 500 },
        series: [
          {
            label: 'test sample (up to 500 clusters)',
            style: 'points',
            published: false,
            points: known.slice(0, 500).map((one) => ({ x: one.zMm, y: one.depthMm })),
          },
        ],
      },
    ],
    comparisons: [],
    requirements: [
      requirement(
        `the distance is known better than by a blind guess (${uniformDepthMm.toFixed(0)} mm)`,
        all.sigma < uniformDepthMm,
        `${all.sigma.toFixed(0)} mm over ${known.length} clusters`,
      ),
    ],
    problem: null,
  }
}

const areaOf = ({ area, areaError, signals, backgrounds }: OperatingCurve): Estimate =>
  estimate(area, areaError, signals + backgrounds)

/** Background on x, signal on y; the curve begins at nothing kept. */
const drawn = ({ points }: OperatingCurve) => points.map(({ background, signal }) => ({ x: background, y: signal }))

/** Peak and width of ratios, the tails left out; nothing where there are too few. */
function coreOf(values: readonly number[]): { mean: Estimate; width: Estimate } {
  const finite = values.filter((value) => Number.isFinite(value))
  const core = gaussianCore(finite)
  const nothing: Estimate = { value: null, low: null, high: null, entries: finite.length }
  if (core === undefined) return { mean: nothing, width: nothing }
  return {
    mean: estimate(core.mean, core.meanError, core.entries),
    width: estimate(core.sigma / core.mean, core.sigmaError / core.mean, core.entries),
  }
}

function widths<Row extends { low: number; high: number }>(rows: readonly Row[], of: (row: Row) => Estimate) {
  return rows.flatMap((row) => {
    const { value, low, high } = percentOf(of(row))
    const error = low === null || high === null ? {} : { low, high }
    return value === null ? [] : [{ x: Math.sqrt(row.low * row.high), y: value, ...error }]
  })
}

const percentText = ({ value }: Estimate): string => (value === null ? 'none' : `${(100 * value).toFixed(1)} %`)
