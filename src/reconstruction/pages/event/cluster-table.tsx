/** The text twin of the outlines: every cluster with its numbers; a press flies there. */
import { useState } from 'react'
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
  onChoose: (cluster: Cluster) => void
}): ReactNode {
  const [sort, setSort] = useState<{ by: Column; down: boolean }>({ by: 'cluster', down: false })
  const sign = sort.down ? -1 : 1
  const rows = props.clusters.toSorted((a, b) => sign * (a[sort.by] - b[sort.by]))
  return (
    <div className="cy-table-scroll cy-cluster-table" tabIndex={0} role="region" aria-label={t('clusters.title')}>
      <table className="cy-table">
        <thead>
          <tr>
            {shown.map((name) => (
              <th
                key={name}
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
            ))}
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
              className={cluster.cluster === props.chosen ? 'cy-chosen' : undefined}
              aria-current={cluster.cluster === props.chosen}
            >
              {shown.map((name) => (
                <td key={name} className="cy-right">
                  {name === 'cluster' ? (
                    <button type="button" className="cy-link" onClick={() => props.onChoose(cluster)}>
                      c{cluster.cluster}
                    </button>
                  ) : (
                    valueOf(cluster[name])
                  )}
                </td>
              ))}
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
        </tbody>
      </table>
    </div>
  )
}

function valueOf(value: number): string {
  return Number.isInteger(value) ? formatCount(value) : significant(value, 4)
}

function columnOf(name: Column): (typeof clusterColumns)[number] | undefined {
  return clusterColumns.find((column) => column.name === name)
}

function meaningOf(name: Column): string {
  return columnOf(name)?.meaning ?? ''
}

function unitOf(name: Column): string {
  return columnOf(name)?.unit ?? ''
}
