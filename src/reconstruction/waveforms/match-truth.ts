/** The match of clusters with triggers against the simulator's truth. Definitions: `matchTruthSchema`. */
import type { TrackTruth } from '../../detector/index.ts'
import type { Cluster } from '../contract.ts'
import type { WaveformSummary } from '../waveform-contract.ts'

type MatchTruth = NonNullable<WaveformSummary['match']['truth']>
export type MatchTruthTally = Omit<MatchTruth, 'efficiency' | 'wrongRate'>

export const emptyMatchTruth = (): MatchTruthTally => ({
  clusters: 0,
  right: 0,
  wrong: 0,
  missed: 0,
  falselyMatched: 0,
})

/** Adds the selected clusters of one picture. A cluster's own trigger is that of its main track. */
export function addMatchTruth(
  tally: MatchTruthTally,
  clusters: readonly Pick<Cluster, 'truthTrack' | 'pmtTrigger'>[],
  tracks: readonly Pick<TrackTruth, 'id' | 'trigger'>[],
): void {
  const triggerOf = new Map(tracks.map(({ id, trigger }) => [id, trigger]))
  for (const { truthTrack, pmtTrigger } of clusters) {
    const own = triggerOf.get(truthTrack) ?? -1
    if (own < 0) {
      if (pmtTrigger >= 0) tally.falselyMatched++
      continue
    }
    tally.clusters++
    if (pmtTrigger < 0) tally.missed++
    else if (pmtTrigger === own) tally.right++
    else tally.wrong++
  }
}

/** Ratios; null when no simulated track made a trigger (as in truth files that do not know). */
export function matchTruthOf(tally: MatchTruthTally): MatchTruth | null {
  if (tally.clusters === 0) return null
  const matched = tally.right + tally.wrong + tally.falselyMatched
  return {
    ...tally,
    efficiency: tally.right / tally.clusters,
    wrongRate: matched > 0 ? (tally.wrong + tally.falselyMatched) / matched : null,
  }
}
