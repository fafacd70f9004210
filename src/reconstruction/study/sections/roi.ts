/** 6: how much light and how much area the selected clusters keep. */
import type { CollectedSample } from '../collect-sample.ts'
import { published } from '../published.ts'
import { estimate, medianOf } from '../statistics.ts'
import type { Estimate, ReportSection } from '../study-report.ts'
import { compare, requirement, textOf } from '../verdicts.ts'
import { section } from './section-parts.ts'
import type { SectionContext } from './section-parts.ts'

/** Which areas are kept: name, light in them, cells of them. */
const choices = [
  ['clusters, no cut', 'inClustersCounts', 'clusterCells'],
  ['selected clusters', 'inSelectedCounts', 'selectedCells'],
  ['boxes of selected clusters', 'inBoxesCounts', 'boxCells'],
] as const

export function roiSection({ sample }: SectionContext): ReportSection {
  const samples = (['site-water', 'site-copper', 'site-surface', 'iron', 'noise'] as const).map(sample)
  const rows = samples.flatMap((one) => choices.map((choice) => ({ one, choice, ...keptBy(one, choice) })))
  // The publication has underground LIME data; of our samples the one with 4 cm of copper has most of the light there.
  const selectedOf = (name: string) =>
    rows.find(({ one, choice }) => one.plan.name === name && choice[0] === 'selected clusters')!
  const [like, busy] = [selectedOf('site-copper'), selectedOf('site-surface')]
  const imageMs = medianOf(samples[1]!.imageMs)
  return section(6, 'roi', 'Reduction to regions of interest', samples, {
    paragraphs: [
      'Share of the true light of all tracks (lens corrected, inside the acceptance) that lies inside the kept areas, and share of the area of the acceptance that is not kept. Errors come from the spread of ten parts of the sample. Boxes are the upright boxes around selected clusters: a muon across the image takes much of it.',
    ],
    tables: [
      {
        title: 'Light kept and area dropped',
        columns: [
          { title: 'sample', unit: '' },
          { title: 'kept', unit: '' },
          { title: 'light kept', unit: '%', digits: 2 },
          { title: 'area dropped', unit: '%', digits: 2 },
        ],
        rows: rows.map(({ one, choice, light, area }) => [one.plan.name, choice[0], light, area]),
      },
    ],
    plots: [],
    comparisons: [
      ...[
        { name: '4 cm of copper', kept: like },
        { name: 'at the surface', kept: busy },
      ].flatMap(({ name, kept }) => [
        compare({
          quantity: `light kept, ${name}`,
          unit: '%',
          ours: kept.light,
          published: { ...published.roiLight, value: 93, error: 0.2, bound: 'above' },
          difference:
            'they used real images and counted reconstructed intensity; ours is true light of simulated background. The bound is compared: at least as much light',
        }),
        compare({
          quantity: `area dropped, ${name}`,
          unit: '%',
          ours: kept.area,
          published: { ...published.roiArea, value: 97.8, error: 0.1, bound: 'above' },
          difference: 'real images at their own rate of tracks, on which the area depends; the bound is compared',
        }),
      ]),
      compare({
        quantity: 'time per image',
        unit: 'ms',
        ours: imageMs,
        published: published.roiMs,
        difference:
          'theirs on a consumer GPU, regions only; ours on one CPU core, whole reconstruction, while other threads work beside it',
        comparable: false,
      }),
    ],
    requirements: [
      requirement(
        'underground with 4 cm of copper, selected clusters keep at least 93 % of the light',
        (like.light.value ?? 0) >= 93,
        textOf(like.light, '%'),
      ),
      requirement('and drop at least 97.8 % of the area', (like.area.value ?? 0) >= 97.8, textOf(like.area, '%')),
    ],
  })
}

function keptBy({ roi, roiParts }: CollectedSample, [, lightKey, cellKey]: (typeof choices)[number]) {
  const spread = (value: (part: typeof roi) => number, whole: number): Estimate => {
    const parts = roiParts.map(value).filter(Number.isFinite)
    if (!Number.isFinite(whole)) return { value: null, low: null, high: null }
    const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length
    const variance = parts.reduce((sum, part) => sum + (part - mean) ** 2, 0) / Math.max(1, parts.length - 1)
    return estimate(whole, parts.length > 2 ? Math.sqrt(variance / parts.length) : NaN)
  }
  const light = (part: typeof roi) => (100 * part[lightKey]) / part.lightCounts
  const area = (part: typeof roi) => 100 * (1 - part[cellKey] / part.cells)
  return { light: spread(light, light(roi)), area: spread(area, area(roi)) }
}
