/**
 * Labelled clusters out of simulated images: single tracks on a grid, so that each cluster has one truth. What a model
 * learns here is our simulator: its labels are exact, its response is what reference section 4 says of LIME.
 */
import type { TrackKind, TrackRequest } from '../../detector/index.ts'
import type { Cluster } from '../contract.ts'
import { createDraws, mixSeed } from '../kernels/seeded-random.ts'
import type { SampleSource } from '../study/samples.ts'
import type { StudyProgress } from '../study/study-kinds.ts'
import type { RecoilClass } from './recoil-model.ts'

export interface LabelledCluster {
  cluster: Cluster
  kind: TrackKind
  label: RecoilClass
  visibleEnergyKev: number
  zMm: number
}

export interface TrainingSamplePlan {
  name: string
  purpose: 'tuning' | 'test'
  seed: number
  images: number
  framePx: number
}

const labels: Partial<Record<TrackKind, RecoilClass>> = {
  helium: 'nuclear',
  carbon: 'nuclear',
  fluorine: 'nuclear',
  electron: 'electron',
  iron: 'electron',
  muon: 'other',
  alpha: 'other',
}
/** How often each kind stands on the grid, and its kinetic energies (logarithmically even), keV. */
const mixture: { kind: TrackRequest['kind']; share: number; lowKev?: number; highKev?: number }[] = [
  { kind: 'helium', share: 5, lowKev: 2, highKev: 100 },
  { kind: 'fluorine', share: 3, lowKev: 5, highKev: 100 },
  { kind: 'carbon', share: 2, lowKev: 5, highKev: 100 },
  { kind: 'electron', share: 8, lowKev: 1, highKev: 60 },
  { kind: 'iron', share: 3 },
  { kind: 'alpha', share: 1 },
]
/** A cluster must hold little of any other track to be an example of its own. */
const leastPurity = 0.8
const places = 4
const muonsPerImage = 0.3

/** Selected clusters of one sample with their truth. Deterministic by the plan's seed. */
export async function labelledClusters(
  source: SampleSource,
  plan: TrainingSamplePlan,
  progress: StudyProgress,
): Promise<LabelledCluster[]> {
  const found: LabelledCluster[] = []
  const images = source.samples({
    seed: plan.seed,
    images: plan.images,
    simulation: {
      frame: { width: plan.framePx, height: plan.framePx },
      tracksPerImage: { muon: muonsPerImage },
      waveforms: false,
    },
    layout: {
      side: places,
      marginPx: plan.framePx / 8,
      jitterPx: plan.framePx / 40,
      requests: requestsOf(plan.seed, places * places * Math.min(plan.images, 256)),
    },
    signal: progress.signal,
    onProgress: (done, of) => progress.step(`sample ${plan.name}`, done, of),
  })
  for await (const { truth, clusters } of images) {
    for (const cluster of clusters) {
      if (!cluster.selected || cluster.truthPurity < leastPurity) continue
      const track = truth.tracks.find(({ id }) => id === cluster.truthTrack)
      const label = track && labels[track.kind]
      if (track === undefined || label === undefined || !(track.visibleEnergyKev > 0)) continue
      const { kind, visibleEnergyKev, zMm } = track
      found.push({ cluster, kind, label, visibleEnergyKev, zMm })
    }
  }
  return found
}

function requestsOf(seed: number, count: number): TrackRequest[] {
  const draws = createDraws(mixSeed(seed, 0x7261))
  const shares = mixture.flatMap((part) => Array.from({ length: part.share }, () => part))
  const uniform = (): number => draws.below(1_000_000) / 1_000_000
  return Array.from({ length: count }, () => {
    const { kind, lowKev, highKev } = shares[draws.below(shares.length)]!
    const zMm = 500 * uniform()
    if (lowKev === undefined || highKev === undefined) return { kind, zMm }
    return { kind, zMm, energyKev: lowKev * (highKev / lowKev) ** uniform() }
  })
}
