/** The variables of a cluster in the order people ask for them, and values that are not numbers told in words. Pure. */
import { clusterColumns } from '../../contract.ts'
import type { Cluster } from '../../contract.ts'

type Name = keyof Cluster
type Column = (typeof clusterColumns)[number]

export const groupNames = ['light', 'shape', 'place', 'along', 'across', 'learned', 'pmt', 'links', 'truth'] as const
export type GroupName = (typeof groupNames)[number]

const groups: Record<GroupName, readonly Name[]> = {
  light: ['integralCounts', 'correctedIntegralCounts', 'energyKev', 'rmsCounts', 'densityCountsPerPx'],
  shape: ['sizePx', 'hitsPx', 'lengthPx', 'widthPx', 'slimness', 'longRmsPx', 'latRmsPx', 'thetaDeg', 'pathLengthPx'],
  place: ['xMeanPx', 'yMeanPx', 'xMinPx', 'xMaxPx', 'yMinPx', 'yMaxPx'],
  along: [
    'longFullRmsPx',
    'longPeakAmplitudeCounts',
    'longPeakProminenceCounts',
    'longPeakMeanPx',
    'longPeakFwhmPx',
    'longGaussAmplitudeCounts',
    'longGaussMeanPx',
    'longGaussSigmaPx',
    'longGaussChi2',
    'longGaussStatus',
  ],
  across: [
    'latFullRmsPx',
    'latPeakFwhmPx',
    'latGaussAmplitudeCounts',
    'latGaussMeanPx',
    'latGaussSigmaPx',
    'latGaussChi2',
    'latGaussStatus',
  ],
  learned: ['recoilScore', 'learnedEnergyKev', 'learnedZMm'],
  pmt: ['pmtTrigger', 'pmtChi2', 'depthMm', 'tiltDeg'],
  links: ['selected', 'directional', 'minDistancePx', 'matchesWeak', 'matchesRobust'],
  truth: ['truthTrack', 'truthPurity'],
}

/** Columns of each group; what is new in the table and in no group yet stands with the links, so that all are seen. */
export function clusterGroups(): { group: GroupName; columns: Column[] }[] {
  const grouped = new Set<string>(Object.values(groups).flat())
  const rest = clusterColumns.filter(
    ({ name }) => !grouped.has(name) && !['event', 'camera', 'cluster', 'macroPixels'].includes(name),
  )
  return groupNames.map((group) => ({
    group,
    columns: [
      ...groups[group].flatMap((name) => clusterColumns.filter((column) => column.name === name)),
      ...(group === 'links' ? rest : []),
    ],
  }))
}

/** Columns in which -1 is a value like any other. */
const signed = new Set<string>([
  'thetaDeg',
  'tiltDeg',
  'integralCounts',
  'densityCountsPerPx',
  'correctedIntegralCounts',
])

export type Absence = 'none' | 'notComputed' | 'noFit'

/** Whether a value is one, or stands for "there is no such fit or peak" (-999) or "was not computed" (-1). */
export function absenceOf(name: string, value: number): Absence {
  if (!Number.isFinite(value)) return 'notComputed'
  if (value === -999) return 'noFit'
  if (value === -1 && !signed.has(name) && !name.endsWith('Status')) return 'notComputed'
  return 'none'
}
