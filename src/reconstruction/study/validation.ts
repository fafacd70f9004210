/**
 * The validation: samples, then one section per table of the plan, each beside published values. A section that cannot
 * be made is shown as failing with the reason; nothing is left out.
 */
import { readFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { programVersion } from '../../foundation/version.ts'
import { parseRecoilModel, recoilPredictor } from '../learning/recoil-model.ts'
import { shippedModelPath } from '../learning/score-images.ts'
import { defaultParameters } from '../parameters.ts'
import type { ValidationOptions } from '../study-contract.ts'
import { collectSample } from './collect-sample.ts'
import type { CollectedSample } from './collect-sample.ts'
import { openLabelCheck } from './label-check.ts'
import type { LabelCheck } from './label-check.ts'
import { evidenceTags } from './published.ts'
import { openSampleSource } from './samples.ts'
import type { SampleSource } from './samples.ts'
import { efficiencySection } from './sections/efficiency.ts'
import { energySection } from './sections/energy.ts'
import { fakesSection } from './sections/fakes.ts'
import { labelsSection } from './sections/labels.ts'
import { lightYieldSection } from './sections/light-yield.ts'
import { openTubeCheck, tubesSection } from './sections/tubes.ts'
import type { TubeCheck } from './sections/tubes.ts'
import { recoilsSection } from './sections/recoils.ts'
import { roiSection } from './sections/roi.ts'
import { section } from './sections/section-parts.ts'
import type { SectionContext } from './sections/section-parts.ts'
import { machineOf, speedSection } from './sections/speed.ts'
import type { SpeedRun } from './sections/speed.ts'
import { tracksSection } from './sections/tracks.ts'
import type { StudyPlace, StudyProgress } from './study-kinds.ts'
import type { ReportSample, ReportSection, StudyReport } from './study-report.ts'
import { planOf } from './validation-plan.ts'
import type { SampleName, SamplePlan } from './validation-plan.ts'
import { differsAboveSigma } from './verdicts.ts'

/** From this many images on the tables are meant to be published. */
const publishedFromImages = 2000
/** Timed images per thread: a sixtieth of the others. */
const timedImages = { share: 1 / 60, least: 3, most: 32 }
/** The first images of a thread are slower: the machine code is being made. */
const warmUpImages = 3

export async function validate(
  options: ValidationOptions,
  progress: StudyProgress,
  place: StudyPlace,
): Promise<StudyReport> {
  const begin = performance.now()
  const madeAtMs = Date.now()
  const machine = machineOf()
  const plans = planOf(options)
  const planned = plans.reduce((sum, { images }) => sum + images, 0)
  const quick = planned < publishedFromImages || plans[0]!.framePx !== 2304
  progress.say(`${planned} images in ${plans.length} samples, frames of ${plans[0]!.framePx} px`)
  const source = openSampleSource(place.workers, options.quick ? 40 : 100)
  const labels = openLabelCheck(
    defaultParameters,
    place.python,
    options.quick ? 20 : 60,
    plans.reduce((sum, { keepPointsOf }) => sum + keepPointsOf, 0),
  )
  const samples = new Map<SampleName, CollectedSample>()
  const tubes: TubeCheck[] = []
  try {
    for (const plan of plans) {
      const check = plan.simulation.waveforms === true ? openTubeCheck(plan.name) : undefined
      const sample = await collectSample(source, plan, progress, async (image) => {
        check?.look(image)
        await labels.look(image)
      })
      if (plan.name.startsWith('recoils')) await scoreRecoils(sample)
      samples.set(plan.name, sample)
      if (check !== undefined) tubes.push(check)
    }
    const load = loadavg()[0]!.toFixed(2)
    const speed = await measureSpeed(source, plans, progress, place.workers)
    const sections = sectionsOf(samples, labels, tubes, speed, load)
    const all = [...samples.values(), ...speed.map(({ sample }) => sample)]
    return {
      format: 'cygnet-study',
      version: 1,
      kind: 'validation',
      title: 'Validation of the reconstruction',
      madeAtMs,
      codeVersion: place.codeVersion,
      programVersion: programVersion(),
      options: { ...options },
      machine,
      images: all.reduce((sum, { images }) => sum + images, 0),
      wallMs: performance.now() - begin,
      samples: all.map(sampleOf),
      notes: notesOf(quick),
      sections,
    }
  } finally {
    labels.close()
    await source.close()
  }
}

function sectionsOf(
  samples: ReadonlyMap<SampleName, CollectedSample>,
  labels: LabelCheck,
  tubes: readonly TubeCheck[],
  speed: readonly SpeedRun[],
  load: string,
): ReportSection[] {
  const context: SectionContext = { sample: (name) => samples.get(name)!, parameters: defaultParameters }
  const kept = [...samples.values()].filter(({ plan }) => plan.keepPointsOf > 0)
  const makers: [number, string, string, () => ReportSection][] = [
    [1, 'efficiency', 'Efficiency against energy and depth', () => efficiencySection(context)],
    [2, 'fakes', 'Fake clusters in noise', () => fakesSection(context)],
    [3, 'energy', 'Energy: light, resolution, linearity', () => energySection(context)],
    [4, 'light-yield', 'Light yield of the simulator', () => lightYieldSection(context)],
    [5, 'tracks', 'Position, width, length, direction', () => tracksSection(context)],
    [6, 'roi', 'Reduction to regions of interest', () => roiSection(context)],
    [7, 'recoils', 'Nuclear against electron recoils', () => recoilsSection(context)],
    [8, 'labels', 'Labels against other implementations', () => labelsSection(kept, labels.result())],
    [9, 'speed', 'Speed and memory', () => speedSection(speed, labels.result(), load)],
    [10, 'tubes', 'Photomultipliers', () => tubesSection(context, tubes)],
  ]
  return makers.map(([number, id, title, make]) => {
    try {
      return make()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return section(number, id, title, [], { problem: `The table could not be made: ${reason}` })
    }
  })
}

/** Quiet and busy images, by one thread and by all; seeds of their own. */
async function measureSpeed(
  source: SampleSource,
  plans: readonly SamplePlan[],
  progress: StudyProgress,
  workers: number,
): Promise<SpeedRun[]> {
  const runs: SpeedRun[] = []
  const planned = plans.reduce((sum, { images }) => sum + images, 0)
  const images = Math.max(timedImages.least, Math.min(timedImages.most, Math.round(planned * timedImages.share)))
  for (const threads of [...new Set([1, workers])]) {
    for (const [name, from] of [
      ['sparse', 'site-water'],
      ['busy', 'site-surface'],
    ] as const) {
      const like = plans.find((plan) => plan.name === from)!
      const plan: SamplePlan = {
        ...like,
        seed: like.seed + 500,
        images: (images + warmUpImages) * threads,
        keepPointsOf: 0,
        compareModesOf: 0,
        content: `${like.content}; timed, ${threads} threads`,
      }
      const sample = await collectSample(source, plan, progress, undefined, threads)
      runs.push({ name, threads, sample: withoutWarmUp(sample, warmUpImages * threads) })
    }
  }
  return runs
}

/** Scores of the classifier that comes with the program. */
async function scoreRecoils(sample: CollectedSample): Promise<void> {
  const predict = recoilPredictor(parseRecoilModel(await readFile(shippedModelPath, 'utf8'), 'default'))
  for (const { cluster } of sample.tracks) if (cluster?.selected) Object.assign(cluster, predict(cluster))
}

function withoutWarmUp(sample: CollectedSample, images: number): CollectedSample {
  const rest = (values: readonly number[]) => values.slice(images)
  return {
    ...sample,
    imageMs: rest(sample.imageMs),
    cpuMs: rest(sample.cpuMs),
    macroHits: rest(sample.macroHits),
    stageMs: Object.fromEntries(Object.entries(sample.stageMs).map(([stage, values]) => [stage, rest(values)])),
  }
}

function sampleOf({ plan, images, wallMs }: CollectedSample): ReportSample {
  const side = plan.simulation.frame!.width
  return {
    name: plan.name,
    purpose: plan.purpose,
    seed: plan.seed,
    images,
    frame: `${side} x ${side}`,
    content: plan.content,
    wallMs,
  }
}

function notesOf(quick: boolean): string[] {
  return [
    ...(quick
      ? [
          `This is a QUICK run: fewer than ${publishedFromImages} images or frames smaller than the camera. It shows that everything works; its numbers are not to be published.`,
        ]
      : []),
    'Everything is simulated; the pedestal map comes from simulated dark frames of the same camera. Tuning samples (seeds from 1,000,000) choose scales and cuts; test samples (seeds from 2,000,000) are measured with them. No seed is used twice.',
    `Verdicts: "agrees" is within ${differsAboveSigma} sigma of the published value (or on the right side of a published bound), errors of both added in quadrature; "differs" says by how many; "not comparable" says why. Intervals are 68 %.`,
    `Evidence of published values: ${Object.entries(evidenceTags)
      .map(([tag, words]) => `[${tag}] ${words}`)
      .join('; ')}.`,
  ]
}
