/** Runs one sample and keeps of it what the tables need; images are not kept. */
import { addTally, emptyTally } from '../truth-matching.ts'
import type { TruthTally } from '../truth-matching.ts'
import { addRoiLight, emptyRoiLight } from './roi-light.ts'
import type { RoiLight } from './roi-light.ts'
import type { SampleImage, SampleSource } from './samples.ts'
import type { StudyProgress } from './study-kinds.ts'
import { trackRecordsOf } from './track-records.ts'
import type { TrackRecord } from './track-records.ts'
import type { SamplePlan } from './validation-plan.ts'

export interface CollectedSample {
  plan: SamplePlan
  images: number
  tracks: TrackRecord[]
  /** Every cluster without a match in truth. */
  fakes: { integralCounts: number; rmsCounts: number; selected: boolean; latSigmaPx: number }[]
  tally: TruthTally
  roi: RoiLight
  /** The same of ten parts of the sample, for its spread. */
  roiParts: RoiLight[]
  /** Of each image. */
  stageMs: Record<string, number[]>
  imageMs: number[]
  cpuMs: number[]
  macroHits: number[]
  wallMs: number
}

const parts = 10

/** `onImage` hears of every image in order. */
export async function collectSample(
  source: SampleSource,
  plan: SamplePlan,
  progress: StudyProgress,
  onImage: (image: SampleImage) => void | Promise<void> = () => {},
  threads?: number,
): Promise<CollectedSample> {
  const begin = performance.now()
  const sample: CollectedSample = {
    plan,
    images: 0,
    tracks: [],
    fakes: [],
    tally: emptyTally(),
    roi: emptyRoiLight(),
    roiParts: Array.from({ length: Math.min(parts, plan.images) }, emptyRoiLight),
    stageMs: {},
    imageMs: [],
    cpuMs: [],
    macroHits: [],
    wallMs: 0,
  }
  const images = source.samples({
    seed: plan.seed,
    images: plan.images,
    simulation: plan.simulation,
    keepPointsOf: plan.keepPointsOf,
    compareModesOf: plan.compareModesOf,
    signal: progress.signal,
    onProgress: (done, of) => progress.step(`sample ${plan.name}`, done, of),
    ...(plan.layout !== undefined && { layout: plan.layout }),
    ...(threads !== undefined && { threads }),
  })
  for await (const image of images) {
    sample.images++
    for (const record of trackRecordsOf(image)) sample.tracks.push(record)
    for (const { integralCounts, rmsCounts, selected, truthTrack, latGaussSigmaPx } of image.clusters) {
      if (truthTrack < 0) sample.fakes.push({ integralCounts, rmsCounts, selected, latSigmaPx: latGaussSigmaPx })
    }
    addTally(sample.tally, image.tally)
    addRoiLight(sample.roi, image.roi)
    addRoiLight(sample.roiParts[image.event % sample.roiParts.length]!, image.roi)
    let imageMs = 0
    for (const [stage, ms] of Object.entries(image.stageMs)) {
      ;(sample.stageMs[stage] ??= []).push(ms)
      imageMs += ms
    }
    sample.imageMs.push(imageMs)
    sample.cpuMs.push(image.cpuMs)
    sample.macroHits.push(image.macroHits)
    await onImage(image)
  }
  sample.wallMs = performance.now() - begin
  return sample
}
