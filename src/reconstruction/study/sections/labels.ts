/** 8: are the labels those of other implementations. */
import type { CollectedSample } from '../collect-sample.ts'
import type { LabelResult, PeerTally } from '../label-check.ts'
import { clopperPearson, momentsOf, quantile } from '../statistics.ts'
import type { Cell, ReportSection } from '../study-report.ts'
import { percentOf, requirement } from '../verdicts.ts'
import { section } from './section-parts.ts'

export function labelsSection(samples: readonly CollectedSample[], result: LabelResult): ReportSection {
  const { oracle, peer, modes } = result
  const row = (name: string, tally: PeerTally): Cell[] => [
    name,
    tally.images,
    tally.points,
    percentOf(clopperPearson(tally.identicalImages, tally.images)),
    tally.points - tally.identicalPoints,
    tally.images === 0 ? null : quantile(tally.ms, 0.5),
  ]
  const fastToFaithful = modes.flatMap((one) => one.fastToFaithful)
  const amongFaithful = modes.flatMap((one) => one.faithfulToFaithful)
  const agreement = (name: string, values: readonly number[]): Cell[] => [
    name,
    values.length,
    values.length === 0 ? null : momentsOf(values).mean,
    values.length === 0 ? null : quantile(values, 0.05),
    percentOf(clopperPearson(values.filter((value) => value === 1).length, values.length)),
  ]
  const tracks = (pick: (one: LabelResult['modes'][number]) => number) =>
    modes.length === 0 ? null : modes.reduce((sum, one) => sum + pick(one), 0) / modes.length
  const peerName = result.peerVersion ?? 'scikit-learn'
  return section(8, 'labels', 'Labels against other implementations', samples, {
    paragraphs: [
      `The same points in the same order, our kernels (${result.kernels.join(', ') || 'none'}) against the definition of DBSCAN written out without shortcuts (quadratic in the points, so of an even choice of images, those with at most 8,000 points) and against scikit-learn. A label-exact image has not one point with another label number.`,
      result.peerMissing === undefined
        ? `Compared with ${peerName}.`
        : `scikit-learn was NOT compared: ${result.peerMissing}. Give a Python that has it (--python) to see this row filled.`,
      'Directional step: partition of the fast mode (least squares, the default) against the faithful mode (RANSAC) with three seeds, and the faithful mode against itself with other seeds, which is how much the reference differs from itself (its draws are not seeded). Adjusted Rand index, 1 = the same partition.',
    ],
    tables: [
      {
        title: 'Plain clustering',
        columns: [
          { title: 'against', unit: '' },
          { title: 'images', unit: '', digits: 0 },
          { title: 'points', unit: '', digits: 0 },
          { title: 'label-exact images', unit: '%', digits: 2 },
          { title: 'points that differ', unit: '', digits: 0 },
          { title: 'its time per image, median', unit: 'ms', digits: 1 },
        ],
        rows: [row('definition, written out', oracle), row(peerName, peer)],
      },
      {
        title: 'Directional step',
        columns: [
          { title: 'pair', unit: '' },
          { title: 'comparisons', unit: '', digits: 0 },
          { title: 'mean adjusted Rand index', unit: '', digits: 4 },
          { title: '5 % quantile', unit: '', digits: 3 },
          { title: 'identical', unit: '%', digits: 1 },
        ],
        rows: [
          agreement('fast against faithful', fastToFaithful),
          agreement('faithful against faithful, other seed', amongFaithful),
        ],
        note: `Tracks per image: fast ${twoDigits(tracks((one) => one.fastTracks))}, faithful ${twoDigits(tracks((one) => one.faithfulTracks.reduce((a, b) => a + b, 0) / one.faithfulTracks.length))}.`,
      },
    ],
    requirements: [
      requirement(
        'every image is label-exact with the written-out definition',
        oracle.images > 0 && oracle.identicalImages === oracle.images,
        `${oracle.identicalImages} of ${oracle.images}`,
      ),
      // Where there is none to compare with, the table says so; that is not a fault of the labels.
      ...(result.peerMissing === undefined
        ? [
            requirement(
              'every image is label-exact with scikit-learn',
              peer.images > 0 && peer.identicalImages === peer.images,
              `${peer.identicalImages} of ${peer.images}`,
            ),
          ]
        : []),
    ],
  })
}

const twoDigits = (value: number | null) => (value === null ? '-' : value.toFixed(2))
