/** The text twin of the outlines: every cluster with its numbers; a press flies there. */
import { Fragment, useState } from 'react'
import type { ReactNode } from 'react'
import { formatCount, significant } from '../../../foundation/browser.tsx'
import { clusterColumns } from '../../contract.ts'
import type { Cluster } from '../../contract.ts'
import { t } from '../messages.ts'

const shown = [
  'cluster',
  'integralCounts',
  'hitsPx',
  'sizePx',
  'lengthPx',
  'widthPx',
  'longRmsPx',
  'latRmsPx',
  'thetaDeg',
  'densityCountsPerPx',
  'rmsCounts',
  'xMeanPx',
  'yMeanPx',
] as const
type Column = (typeof shown)[number]

export function ClusterTable(props: {
  clusters: Cluster[]
  chosen: number | undefined
  withTruth: boolean
  highlighted: ReadonlySet<number>
  /** The campaign compared with, and which of its clusters are the same tracks. */
  other: { campaign: string; pairs: ReadonlyMap<number, Cluster>; only: Cluster[] } | undefined
  onChoose: (cluster: Cluster) => void
  /** Goes there without choosing: a cluster of the other campaign. */
  onLook: (cluster: Cluster) => void
}): ReactNode {
  const [sort, setSort] = useState<{ by: Column; down: boolean }>({ by: 'cluster', down: false })
  const sign = sort.down ? -1 : 1
  const { other } = props
  const rows = props.clusters.toSorted((a, b) => sign * (a[sort.by] - b[sort.by]))
  return (
    <div className="cy-table-scroll cy-cluster-table" tabIndex={0} role="region" aria-label={t('clusters.title')}>
      <table className="cy-table">
        <thead>
          <tr>
            {shown.map((name) => (
              <Fragment key={name}>
                <th
                  scope="col"
                  className="cy-right"
                  title={meaningOf(name)}
                  aria-sort={sort.by === name ? (sort.down ? 'descending' : 'ascending') : undefined}
                >
                  <button
                    type="button"
                    className="cy-sort"
                    onClick={() => setSort({ by: name, down: sort.by === name ? !sort.down : name !== 'cluster' })}
                  >
                    {t(`cluster.${name}`)}
                    {unitOf(name) !== '' && <span className="cy-unit"> {unitOf(name)}</span>}
                    {sort.by === name && (sort.down ? ' ▾' : ' ▴')}
                  </button>
                </th>
                {name === 'cluster' && other !== undefined && (
                  <th scope="col">{t('cluster.other', { campaign: other.campaign })}</th>
                )}
              </Fragment>
            ))}
            <th scope="col" className="cy-right" title={meaningOf('recoilScore')}>
              {t('cluster.recoil')}
            </th>
            <th scope="col" className="cy-right" title={meaningOf('pmtTrigger')}>
              {t('cluster.pmt')}
            </th>
            <th scope="col">{t('cluster.selected')}</th>
            {props.withTruth && (
              <th scope="col" className="cy-right">
                {t('cluster.truth')}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((cluster) => (
            <tr
              key={`${cluster.camera} ${cluster.cluster}`}
              data-row
              className={
                cluster.cluster === props.chosen
                  ? 'cy-chosen'
                  : props.highlighted.has(cluster.cluster)
                    ? 'cy-matched'
                    : undefined
              }
              aria-current={cluster.cluster === props.chosen}
            >
              {shown.map((name) => (
                <Fragment key={name}>
                  <td className="cy-right">
                    {name === 'cluster' ? (
                      <button type="button" className="cy-link" onClick={() => props.onChoose(cluster)}>
                        c{cluster.cluster}
                      </button>
                    ) : (
                      valueOf(cluster[name])
                    )}
                  </td>
                  {name === 'cluster' && other !== undefined && (
                    <td>{otherOf(cluster, other.pairs.get(cluster.cluster))}</td>
                  )}
                </Fragment>
              ))}
              <td className="cy-right">{cluster.recoilScore < 0 ? '–' : cluster.recoilScore.toFixed(2)}</td>
              <td className="cy-right">{cluster.pmtTrigger < 0 ? '–' : cluster.pmtTrigger + 1}</td>
              <td>{cluster.selected ? t('cluster.yes') : <span className="cy-quiet">{t('cluster.no')}</span>}</td>
              {props.withTruth && (
                <td className="cy-right">
                  {cluster.truthTrack < 0
                    ? '–'
                    : t('cluster.truthOf', { track: cluster.truthTrack, share: Math.round(cluster.truthPurity * 100) })}
                </td>
              )}
            </tr>
          ))}
          {other?.only.map((cluster) => (
            <tr key={`other ${cluster.cluster}`} className="cy-only-other">
              {shown.map((name) => (
                <Fragment key={name}>
                  <td className="cy-right">{name === 'cluster' ? '–' : valueOf(cluster[name])}</td>
                  {name === 'cluster' && (
                    <td>
                      <button
                        type="button"
                        className="cy-link"
                        aria-label={t('cluster.onlyOther', { campaign: other.campaign, cluster: cluster.cluster })}
                        onClick={() => props.onLook(cluster)}
                      >
                        {t('cluster.only', { cluster: cluster.cluster })}
                      </button>
                    </td>
                  )}
                </Fragment>
              ))}
              <td className="cy-right">{cluster.recoilScore < 0 ? '–' : cluster.recoilScore.toFixed(2)}</td>
              <td className="cy-right">{cluster.pmtTrigger < 0 ? '–' : cluster.pmtTrigger + 1}</td>
              <td>{cluster.selected ? t('cluster.yes') : <span className="cy-quiet">{t('cluster.no')}</span>}</td>
              {props.withTruth && <td />}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Its rank in the other campaign and by how much its light differs there. */
function otherOf(cluster: Cluster, other: Cluster | undefined): ReactNode {
  if (other === undefined) return <span className="cy-quiet">{t('cluster.notThere')}</span>
  const change = cluster.integralCounts === 0 ? 0 : other.integralCounts / cluster.integralCounts - 1
  return `c${other.cluster} ${change >= 0 ? '+' : '−'}${Math.abs(change * 100).toFixed(1)} %`
}

function valueOf(value: number): string {
  return Number.isInteger(value) ? formatCount(value) : significant(value, 4)
}

function columnOf(name: string): (typeof clusterColumns)[number] | undefined {
  return clusterColumns.find((column) => column.name === name)
}

function meaningOf(name: string): string {
  return columnOf(name)?.meaning ?? ''
}

function unitOf(name: Column): string {
  return columnOf(name)?.unit ?? ''
}
