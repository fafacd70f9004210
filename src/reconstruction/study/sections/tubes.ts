/** 10: photomultipliers: baselines, noise, depth from the time over threshold, and which trigger belongs to which cluster. */
import type { ImageTruth } from '../../../detector/index.ts'
import type { Cluster } from '../../contract.ts'
import { defaultParameters } from '../../parameters.ts'
import { addMatchTruth, emptyMatchTruth } from '../../waveforms/match-truth.ts'
import { chargePerCount, matchClusters } from '../../waveforms/pmt-matching.ts'
import type { MatchEvent } from '../../waveforms/pmt-matching.ts'
import type { SampleImage } from '../samples.ts'
import { medianOf, momentsOf, quantile, wilson } from '../statistics.ts'
import type { Cell, ReportSection } from '../study-report.ts'
import type { SampleName } from '../validation-plan.ts'
import { percentOf, requirement, textOf } from '../verdicts.ts'
import { section } from './section-parts.ts'
import type { SectionContext } from './section-parts.ts'

/** Keeps of each image what the match needs; the match itself wants the whole sample (charge per count). */
export interface TubeCheck {
  name: SampleName
  look(image: SampleImage): void
  result(): TubeResult
}

interface TubeResult {
  images: number
  triggers: number
  chargePerCount: number | undefined
  match: ReturnType<typeof emptyMatchTruth>
  /** Depth from the time over threshold minus the true extent in z, mm, of rightly matched clusters. */
  depthResidualsMm: { trueMm: number; residualMm: number }[]
  boards: { name: string; samples: number; baselines: Map<number, number[]>; rms: number[] }[]
}

/**
 * What the simulator puts in (0.43 mV on the fast board, 1.3 counts on the slow one), after the running mean over five
 * samples that the analysis takes first.
 */
const simulatedNoiseCounts: Readonly<Record<string, number>> = { fast: 1.76 / Math.sqrt(5), slow: 1.3 / Math.sqrt(5) }
/** Channels with photomultipliers. */
const tubeChannels = [1, 2, 3, 4]

export function openTubeCheck(name: SampleName): TubeCheck {
  const events: { match: MatchEvent; truth: ImageTruth }[] = []
  const result: TubeResult = {
    images: 0,
    triggers: 0,
    chargePerCount: undefined,
    match: emptyMatchTruth(),
    depthResidualsMm: [],
    boards: [
      { name: 'fast', samples: 1024, baselines: new Map(), rms: [] },
      { name: 'slow', samples: 4000, baselines: new Map(), rms: [] },
    ],
  }
  let matched = false
  return {
    name,
    look({ tubes, clusters, truth }) {
      result.images++
      if (tubes === undefined) return
      const { waveforms, gains } = tubes
      result.triggers += waveforms.triggers.length
      for (const row of waveforms.rows) {
        const board = result.boards.find(({ samples }) => samples === row.samplesPerWaveform)
        if (board === undefined || !tubeChannels.includes(row.channel) || row.gem) continue
        board.rms.push(row.rmsCounts)
        const baselines = board.baselines.get(row.channel) ?? []
        baselines.push(row.baselineCounts)
        board.baselines.set(row.channel, baselines)
      }
      const chosen = clusters.flatMap((cluster, rank) => {
        const light = gains[rank]
        return light === undefined ? [] : [{ cluster, gains: light }]
      })
      if (chosen.length > 0) events.push({ match: { clusters: chosen, triggers: waveforms.triggers }, truth })
    },
    result() {
      if (matched) return result
      matched = true
      const all = events.map(({ match }) => match)
      result.chargePerCount = chargePerCount(all, defaultParameters)
      for (const { match, truth } of events) {
        if (result.chargePerCount !== undefined) matchClusters(match, result.chargePerCount, defaultParameters)
        const clusters = match.clusters.map(({ cluster }) => cluster)
        addMatchTruth(result.match, clusters, truth.tracks)
        result.depthResidualsMm.push(...depthsOf(clusters, truth))
      }
      return result
    },
  }
}

function depthsOf(clusters: readonly Cluster[], truth: ImageTruth): TubeResult['depthResidualsMm'] {
  return clusters.flatMap(({ truthTrack, pmtTrigger, depthMm }) => {
    const track = truth.tracks.find(({ id }) => id === truthTrack)
    if (track === undefined || pmtTrigger < 0 || pmtTrigger !== track.trigger || depthMm < 0) return []
    const trueMm = track.zMaxMm - track.zMinMm
    return [{ trueMm, residualMm: depthMm - trueMm }]
  })
}

export function tubesSection({ sample }: SectionContext, checks: readonly TubeCheck[]): ReportSection {
  const results = checks.map((check) => ({ name: check.name, ...check.result() }))
  const efficiencyOf = ({ match }: TubeResult) => wilson(match.right, match.clusters)
  const wrongOf = ({ match }: TubeResult) =>
    wilson(match.wrong + match.falselyMatched, match.right + match.wrong + match.falselyMatched)
  const depths = results.flatMap(({ depthResidualsMm }) => depthResidualsMm)
  const bands: [string, number, number][] = [
    ['below 5 mm (spots)', 0, 5],
    ['5 to 30 mm', 5, 30],
    ['30 mm and more', 30, Infinity],
  ]
  const copper = results.find(({ name }) => name === 'pmt-copper')!
  const noise = (['fast', 'slow'] as const).map((name) => {
    const boards = results.flatMap(({ boards: of }) => of.filter((board) => board.name === name))
    const spreads = boards.flatMap(({ baselines }) =>
      [...baselines.values()].filter((values) => values.length > 4).map((values) => momentsOf(values).sigma),
    )
    const rms = boards.flatMap((board) => board.rms)
    return { name, rms, baselineSpread: spreads }
  })
  return section(
    10,
    'tubes',
    'Photomultipliers',
    checks.map(({ name }) => sample(name)),
    {
      paragraphs: [
        'Waveforms of both digitizers are analysed from the same banks a run file has; clusters that pass the standard cut are matched with triggers by their light in the four tubes. Right: the trigger of the main track of the cluster. Efficiency = right / clusters whose track made a trigger. Wrong = matched with another trigger, or matched although the track made none, of all matched.',
        'Nothing comparable is published for this match.',
      ],
      tables: [
        {
          title: 'Match of clusters with triggers against pile-up',
          columns: [
            { title: 'sample', unit: '' },
            { title: 'images', unit: '', digits: 0 },
            { title: 'triggers per image', unit: '', digits: 2 },
            { title: 'clusters with a trigger', unit: '', digits: 0 },
            { title: 'efficiency', unit: '%', digits: 1 },
            { title: 'wrong', unit: '%', digits: 1 },
          ],
          rows: results.map((one) => [
            one.name,
            one.images,
            one.images === 0 ? null : one.triggers / one.images,
            one.match.clusters,
            percentOf(efficiencyOf(one)),
            percentOf(wrongOf(one)),
          ]),
        },
        {
          title: 'Depth from the time over threshold minus the true extent in z',
          columns: [
            { title: 'true extent', unit: '' },
            { title: 'tracks', unit: '', digits: 0 },
            { title: 'median', unit: 'mm', digits: 1 },
            { title: 'half of the central 68 %', unit: 'mm', digits: 1 },
          ],
          rows: bands.map(([name, low, high]) => {
            const values = depths
              .filter(({ trueMm }) => trueMm >= low && trueMm < high)
              .map(({ residualMm }) => residualMm)
            const spread = values.length === 0 ? null : (quantile(values, 0.8413) - quantile(values, 0.1587)) / 2
            return [name, values.length, medianOf(values), spread]
          }),
          note: 'A spot has the length of its pulse (scintillation, photomultiplier, longitudinal diffusion): a few millimetres too deep by construction.',
        },
        {
          title: 'Baseline and noise of the tubes',
          columns: [
            { title: 'digitizer', unit: '' },
            { title: 'waveforms', unit: '', digits: 0 },
            { title: 'noise rms, median', unit: 'counts', digits: 2 },
            { title: 'put in, as if white', unit: 'counts', digits: 2 },
            { title: 'spread of the baseline of a channel, median', unit: 'counts', digits: 2 },
          ],
          rows: noise.map(({ name, rms, baselineSpread }): Cell[] => [
            name,
            rms.length,
            medianOf(rms),
            simulatedNoiseCounts[name]!,
            baselineSpread.length === 0 ? null : quantile(baselineSpread, 0.5),
          ]),
          note: 'The spread of the baseline is over triggers; correlated noise of the spectrum makes it larger than rms / sqrt(samples).',
        },
      ],
      requirements: [
        requirement(
          'underground with 4 cm of copper, more than 90 % of the clusters with a trigger are matched rightly',
          (efficiencyOf(copper).value ?? 0) > 0.9,
          `${textOf(percentOf(efficiencyOf(copper)), '%')} of ${copper.match.clusters} clusters`,
        ),
        requirement(
          'and fewer than 10 % of the matches are wrong',
          (wrongOf(copper).value ?? 1) < 0.1,
          textOf(percentOf(wrongOf(copper)), '%'),
        ),
      ],
    },
  )
}
