/** One cluster in full: every variable with unit and meaning, and its light along and across, drawn from the pixels. */
import { Checkbox } from '@mantine/core'
import { useMemo, useState } from 'react'
import type { ReactNode } from 'react'
import { formatCount, significant } from '../../../foundation/browser.tsx'
import { LinePlot } from '../../../foundation/browser-plot.tsx'
import type { Cluster, Outline } from '../../contract.ts'
import { t } from '../messages.ts'
import { absenceOf, clusterGroups } from './cluster-groups.ts'
import type { GroupName } from './cluster-groups.ts'
import { clusterProfiles } from './cluster-profile.ts'
import type { AxisProfile } from './cluster-profile.ts'
import type { ValueAt } from './measure.ts'

const allGroups = clusterGroups()
const folded: ReadonlySet<GroupName> = new Set(['place', 'along', 'across', 'links'])

export function ClusterPanel(props: {
  cluster: Cluster
  outlines: Outline[]
  /** Counts above pedestal; undefined while the pixels are not there. */
  countsAt: ValueAt | undefined
}): ReactNode {
  const { cluster, outlines, countsAt } = props
  const [meanings, setMeanings] = useState(true)
  const rings = outlines.find((one) => one.cluster === cluster.cluster && one.camera === cluster.camera)?.rings
  const profiles = useMemo(
    () => (rings === undefined || countsAt === undefined ? undefined : clusterProfiles(rings, cluster, countsAt)),
    [rings, countsAt, cluster],
  )
  return (
    <section className="cy-panel cy-cluster-panel" aria-label={t('clusterPanel.title', { cluster: cluster.cluster })}>
      <div className="cy-panel-head">
        <h2>{t('clusterPanel.title', { cluster: cluster.cluster })}</h2>
        <div className="cy-panel-aside">
          <Checkbox
            size="xs"
            label={t('clusterPanel.meanings')}
            checked={meanings}
            onChange={(event) => setMeanings(event.currentTarget.checked)}
          />
        </div>
      </div>
      {profiles === undefined ? (
        <p className="cy-quiet">{t(countsAt === undefined ? 'clusterPanel.noPixels' : 'clusterPanel.noOutline')}</p>
      ) : (
        <div className="cy-profiles">
          <Profile title={t('clusterPanel.along')} of={profiles.along} />
          <Profile title={t('clusterPanel.across')} of={profiles.across} />
        </div>
      )}
      {allGroups.map(({ group, columns }) => {
        if (group === 'truth' && cluster.truthTrack < 0) return null
        return (
          <details key={group} open={!folded.has(group)}>
            <summary>{t(`clusterGroup.${group}`)}</summary>
            <table className="cy-table cy-variables">
              <tbody>
                {columns.map((column) => (
                  <tr key={column.name} title={column.meaning}>
                    <th scope="row">
                      {column.name}
                      {meanings && <small className="cy-quiet">{column.meaning}</small>}
                    </th>
                    <td className="cy-right">
                      <VariableValue name={column.name} value={cluster[column.name]} unit={column.unit} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        )
      })}
    </section>
  )
}

function VariableValue(props: { name: string; value: number | boolean; unit: string }): ReactNode {
  const { name, value, unit } = props
  if (typeof value === 'boolean') return t(value ? 'cluster.yes' : 'cluster.no')
  const absence = absenceOf(name, value)
  if (absence !== 'none') return <span className="cy-quiet">{t(`absence.${absence}`)}</span>
  if (name === 'pmtTrigger') return t('clusterPanel.trigger', { index: value, number: value + 1 })
  if (name === 'recoilScore') return <span className="cy-number">{value.toFixed(3)}</span>
  return (
    <span className="cy-number">
      {Number.isInteger(value) ? formatCount(value) : significant(value, 5)}
      {unit !== '' && <span className="cy-quiet"> {unit}</span>}
    </span>
  )
}

function Profile(props: { title: string; of: AxisProfile }): ReactNode {
  return (
    <LinePlot
      title={props.title}
      heightPx={130}
      x={props.of.positionsPx}
      xLabel={t('clusterPanel.position')}
      steps
      lines={[{ label: t('clusterPanel.countsPerPx'), values: props.of.countsPerPx }]}
    />
  )
}
