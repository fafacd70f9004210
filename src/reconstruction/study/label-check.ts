/** Compares the labels of kept images with the written-out definition and with scikit-learn, image by image. */
import { naiveDbscan } from '../kernels/naive-oracle.ts'
import type { ReconstructionParameters } from '../parameters.ts'
import type { KeptPoints, ModeAgreement } from './kept-points.ts'
import { openLabelPeer } from './label-peer.ts'
import type { SampleImage } from './samples.ts'

export interface PeerTally {
  images: number
  points: number
  /** Images with not one different label, and points with the same label. */
  identicalImages: number
  identicalPoints: number
  ms: number[]
}

export interface LabelCheck {
  look(image: SampleImage): Promise<void>
  result(): LabelResult
  close(): void
}

export interface LabelResult {
  kernels: string[]
  oracle: PeerTally
  peer: PeerTally
  /** 'scikit-learn 1.5.2, ...', or why it was not there. */
  peerVersion: string | undefined
  peerMissing: string | undefined
  modes: ModeAgreement[]
}

/** The definition is quadratic in the points: bigger images and more of them are left to scikit-learn. */
const oracleMostPoints = 8000

/** `oracleImages` of the `of` images that will be shown, evenly, go through the definition; all go to scikit-learn. */
export function openLabelCheck(
  parameters: ReconstructionParameters,
  python: string | undefined,
  oracleImages: number,
  of: number,
): LabelCheck {
  const peer = openLabelPeer(python)
  const tally = (): PeerTally => ({ images: 0, points: 0, identicalImages: 0, identicalPoints: 0, ms: [] })
  const result: LabelResult = {
    kernels: [],
    oracle: tally(),
    peer: tally(),
    peerVersion: 'missing' in peer ? undefined : peer.version,
    peerMissing: 'missing' in peer ? peer.missing : undefined,
    modes: [],
  }
  let seen = 0
  const { clusterRadiusCells: radius, clusterMinimumWeightCounts: weight } = parameters
  return {
    async look({ points, modes }) {
      if (modes !== undefined) result.modes.push(modes)
      if (points === undefined) return
      if (!result.kernels.includes(points.kernels)) result.kernels.push(points.kernels)
      if (seen++ % Math.max(1, Math.floor(of / oracleImages)) === 0 && points.x.length <= oracleMostPoints) {
        const begin = performance.now()
        const labels = naiveDbscan({ ...points, count: points.x.length }, radius, weight)
        compareLabels(result.oracle, points, labels, performance.now() - begin)
      }
      if ('missing' in peer || result.peerMissing !== undefined) return
      try {
        const answer = await peer.labels(points, radius, weight)
        compareLabels(result.peer, points, answer.labels, answer.ms)
      } catch (error) {
        result.peerMissing = error instanceof Error ? error.message : String(error)
      }
    },
    result: () => result,
    close: () => ('missing' in peer ? undefined : peer.close()),
  }
}

function compareLabels(into: PeerTally, points: KeptPoints, labels: ArrayLike<number>, ms: number): void {
  let same = 0
  for (let index = 0; index < points.labels.length; index++) if (points.labels[index] === labels[index]) same++
  into.images++
  into.points += points.labels.length
  into.identicalPoints += same
  if (same === points.labels.length) into.identicalImages++
  into.ms.push(ms)
}
