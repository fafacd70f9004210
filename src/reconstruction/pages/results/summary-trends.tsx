/** What is kept of every reconstructed run: clusters, light, efficiency, speed, and the pedestal maps behind them. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { useLocation } from 'wouter'
import {
  Answer,
  Empty,
  Moment,
  Panel,
  Problem,
  Waiting,
  apiOf,
  significant,
  useAnswer,
  usePages,
} from '../../../foundation/browser.tsx'
import { LinePlot } from '../../../foundation/browser-plot.tsx'
import type { Line } from '../../../foundation/browser-plot.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { TrendPoint } from '../../contract.ts'
import { t } from '../messages.ts'

export function SummaryTrends(props: { experiment: string; series: string; campaign: string }): ReactNode {
  const { experiment, series, campaign } = props
  const points = usePages(['reconstruction', 'trend', experiment, series, campaign], (cursor, signal) =>
    apiOf(reconstructionContract).showTrend(
      { params: { experiment, series }, query: { limit: 1000, campaign, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  if (points.waiting) return <Waiting rows={4} height={120} />
  if (points.error !== null && points.items.length === 0) return <Problem error={points.error} onRetry={points.retry} />
  if (points.items.length === 0)
    return (
      <Empty title={t('trend.none')}>
        <p>{t('trend.noneHint')}</p>
      </Empty>
    )
  return (
    <>
      <TrendPlots experiment={experiment} series={series} points={points.items} />
      <p className="cy-quiet cy-small">
        {t('trend.hint')}{' '}
        {points.more !== undefined && (
          <Button size="compact-sm" variant="default" onClick={points.more}>
            {t('trend.more')}
          </Button>
        )}
      </p>
    </>
  )
}

export function TrendPlots(props: {
  experiment: string
  series: string
  points: TrendPoint[]
  brief?: boolean
}): ReactNode {
  const [, navigate] = useLocation()
  // A run may have results of several codes or calibrations; the newest stands for it.
  const newest = new Map(props.points.toSorted((a, b) => a.madeAtMs - b.madeAtMs).map((point) => [point.number, point]))
  const points = [...newest.values()].sort((a, b) => a.number - b.number)
  const perImage = (value: (point: TrendPoint) => number): Array<number | null> =>
    points.map((point) => (point.images > 0 ? value(point) / point.images : null))
  const plot = (title: string, lines: Line[]): ReactNode => (
    <LinePlot
      title={title}
      untitled={props.brief !== true}
      x={points.map((point) => point.number)}
      lines={lines}
      xLabel={t('trend.run')}
      yFromZero
      heightPx={props.brief === true ? 130 : 190}
      onPick={(index) => {
        const point = points[index]
        if (point !== undefined) navigate(`/e/${props.experiment}/runs/${props.series}/${point.number}`)
      }}
    />
  )
  const hasTruth = points.some((point) => point.efficiency !== null)
  const clusters = plot(t('trend.perImage'), [
    { label: t('tracks.selected'), values: perImage((point) => point.selectedClusters) },
  ])
  const light = plot(t('trend.light'), [
    { label: t('fact.light'), values: perImage((point) => point.selectedLightCounts) },
  ])
  if (props.brief === true)
    return (
      <div className="cy-plots">
        {clusters}
        {light}
      </div>
    )
  return (
    <div className="cy-grid cy-grid-wide">
      <Panel title={t('trend.perImage')}>{clusters}</Panel>
      <Panel title={t('trend.light')}>{light}</Panel>
      {hasTruth && (
        <Panel title={t('trend.effPur')}>
          {plot(t('trend.effPur'), [
            { label: t('trend.efficiency'), values: points.map((point) => point.efficiency) },
            { label: t('trend.purity'), values: points.map((point) => point.purity) },
          ])}
        </Panel>
      )}
      <Panel title={t('trend.speed')}>
        {plot(t('trend.speed'), [{ label: t('tracks.took'), values: perImage((point) => point.wallMs / 1000) }])}
      </Panel>
    </div>
  )
}

export function Calibrations(props: { experiment: string }): ReactNode {
  const calibrations = useAnswer(['reconstruction', 'calibrations', props.experiment], (signal) =>
    apiOf(reconstructionContract).listCalibrations(
      { params: { experiment: props.experiment }, query: { limit: 100 } },
      { signal },
    ),
  )
  return (
    <Answer to={calibrations}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="cy-quiet">{t('trend.noCalibrations')}</p>
        ) : (
          <div className="cy-table-scroll">
            <table className="cy-table">
              <thead>
                <tr>
                  <th scope="col">{t('trend.series')}</th>
                  <th scope="col" className="cy-right">
                    {t('trend.version')}
                  </th>
                  <th scope="col" className="cy-right">
                    {t('trend.fromRun')}
                  </th>
                  <th scope="col" className="cy-right">
                    {t('trend.madeFrom')}
                  </th>
                  <th scope="col">{t('tracks.made')}</th>
                  <th scope="col">{t('trend.file')}</th>
                </tr>
              </thead>
              <tbody>
                {items.map((item) => (
                  <tr key={item.id}>
                    <td>{item.series}</td>
                    <td className="cy-right">{item.version}</td>
                    <td className="cy-right">{item.fromRun}</td>
                    <td className="cy-right">{item.madeFromRun}</td>
                    <td>
                      <Moment atMs={item.madeAtMs} />
                    </td>
                    <td
                      className="cy-mono"
                      title={Object.entries(item.quality)
                        .map(
                          ([name, value]) =>
                            `${name} ${typeof value === 'number' ? significant(value, 4) : String(value)}`,
                        )
                        .join('\n')}
                    >
                      {item.key}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Answer>
  )
}
