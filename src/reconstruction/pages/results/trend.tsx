/** One value per run with its error and the band of what is to be expected; a point leads to its run. */
import { NativeSelect } from '@mantine/core'
import { useRef } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { Answer, Empty, formatCount, significant } from '../../../foundation/browser.tsx'
import { seriesColours } from '../../../foundation/browser-plot.tsx'
import { aggregates, trendGroups } from '../../contract.ts'
import type { ResultTrend, ResultsState, RunRange } from '../../contract.ts'
import { t } from '../messages.ts'
import { Chart, Numbers } from './chart.tsx'
import { SaveImage } from './save-image.tsx'
import { SummaryTrends } from './summary-trends.tsx'
import { measured } from './ticks.ts'
import { useResultTrend } from './use-results.ts'

export function TrendControls(props: {
  state: ResultsState
  set: (changes: Partial<ResultsState>) => void
}): ReactNode {
  const { state, set } = props
  return (
    <div className="cy-filters">
      <NativeSelect
        size="xs"
        label={t('results.trendOf')}
        value={state.trend}
        onChange={(event) => set({ trend: event.currentTarget.value as ResultsState['trend'] })}
        data={[
          { value: '', label: t('results.trendNone') },
          { value: 'summary', label: t('results.trendSummary') },
          ...aggregates.map((value) => ({ value, label: t(`results.aggregate.${value}`) })),
        ]}
      />
      {state.trend !== '' && state.trend !== 'summary' && (
        <NativeSelect
          size="xs"
          label={t('results.against')}
          value={state.over}
          onChange={(event) => set({ over: event.currentTarget.value as 'run' | 'time' })}
          data={[
            { value: 'run', label: t('results.overRun') },
            { value: 'time', label: t('results.overTime') },
          ]}
        />
      )}
      {state.trend !== '' && state.trend !== 'summary' && (
        <NativeSelect
          size="xs"
          label={t('results.colour')}
          value={state.by}
          onChange={(event) => set({ by: event.currentTarget.value as ResultsState['by'] })}
          data={trendGroups.map((value) => ({ value, label: t(`results.by.${value}`) }))}
        />
      )}
    </div>
  )
}

export function Trend(props: { experiment: string; state: ResultsState; range: RunRange; caption: string }): ReactNode {
  if (props.state.trend === '') return <p className="cy-quiet">{t('results.trendHint')}</p>
  if (props.state.trend === 'summary')
    return <SummaryTrends experiment={props.experiment} series={props.range.series} campaign={props.state.campaign} />
  return <Values {...props} />
}

function Values(props: { experiment: string; state: ResultsState; range: RunRange; caption: string }): ReactNode {
  const answer = useResultTrend(props.experiment, props.state, props.range)
  return (
    <Answer to={answer}>{(trend) => <TrendPlot {...props} trend={trend} busy={answer.isPlaceholderData} />}</Answer>
  )
}

function TrendPlot(props: {
  experiment: string
  state: ResultsState
  range: RunRange
  caption: string
  trend: ResultTrend
  busy: boolean
}): ReactNode {
  const { trend, experiment, state, range } = props
  const [, navigate] = useLocation()
  const svg = useRef<SVGSVGElement>(null)
  const byTime = state.over === 'time'
  const points = trend.points.flatMap((point) => {
    const at = byTime ? point.atMs : point.number
    return at === null || point.value === null ? [] : [{ ...point, at, value: point.value, error: point.error ?? 0 }]
  })
  const without = trend.points.filter(({ value }) => value === null)
  if (trend.points.length === 0)
    return (
      <Empty title={t('trend.none')}>
        <p>{t('trend.noneHint')}</p>
      </Empty>
    )
  if (points.length === 0)
    return (
      <Empty title={t('results.noValues')}>
        <p>{`${trend.points.at(-1)!.run}: ${trend.points.at(-1)!.reason ?? ''}`}</p>
      </Empty>
    )
  const address = (number: number): string => `/e/${experiment}/runs/${range.series}/${number}`
  const at = points.map((point) => point.at)
  const ends = points.flatMap(({ value, error }) => [value - error, value + error])
  const groups = trend.groups.map((one, index) => ({ ...one, colour: seriesColours[index % seriesColours.length]! }))
  const colourOf = new Map(groups.map(({ group, colour }) => [group, colour]))
  const bands = groups.flatMap(({ group, colour, expected }) =>
    expected === null ? [] : [{ group, colour, ...expected }],
  )
  const [low, high] = spread([...ends, ...bands.flatMap((band) => [band.low, band.high])])
  const [from, to] = spread(at, 0.03)
  const name = t(`results.aggregate.${trend.aggregate}`)
  const label = trend.unit === '' ? name : `${name} [${trend.unit}]`
  const dates = (value: number): string => new Date(value).toISOString().slice(5, 16).replace('T', ' ')
  return (
    <div>
      <Chart
        title={t('results.trendTitle', { what: name })}
        svg={svg}
        x={{
          low: from,
          high: to,
          label: byTime ? t('results.timeUtc') : t('results.runNumber'),
          ...(byTime ? { text: dates } : {}),
        }}
        y={{ low, high, label }}
        heightPx={280}
        busy={props.busy}
      >
        {(scale) => (
          <>
            {bands.map((band) => (
              <g key={band.group}>
                <rect
                  className="cy-chart-band"
                  style={{ fill: band.colour }}
                  x={scale.left}
                  width={scale.right - scale.left}
                  y={scale.y(band.high)}
                  height={Math.max(1, scale.y(band.low) - scale.y(band.high))}
                />
                <line
                  className="cy-chart-zero"
                  x1={scale.left}
                  x2={scale.right}
                  y1={scale.y(band.value)}
                  y2={scale.y(band.value)}
                />
              </g>
            ))}
            {points.map((point) => (
              <g
                key={point.number}
                className="cy-chart-point"
                stroke={colourOf.get(point.group)}
                fill={colourOf.get(point.group)}
                onClick={() => navigate(address(point.number))}
              >
                <title>{`${point.run}: ${measured(point.value, point.error)}${point.group === '' ? '' : `, ${point.group}`}`}</title>
                <line
                  x1={scale.x(point.at)}
                  x2={scale.x(point.at)}
                  y1={scale.y(point.value - point.error)}
                  y2={scale.y(point.value + point.error)}
                />
                <circle cx={scale.x(point.at)} cy={scale.y(point.value)} r={points.length > 150 ? 2 : 3.5} />
              </g>
            ))}
          </>
        )}
      </Chart>
      <p className="cy-quiet cy-small">
        {t('results.readSoFar', { done: formatCount(trend.scanned.runsDone), all: formatCount(trend.scanned.runsOf) })}
        {state.by === 'none' && bands.map((band) => ` · ${t('results.band', textOfBand(band))}`).join('')}
        {` · ${t('trend.hint')}`}
      </p>
      {state.by !== 'none' && (
        <ul className="cy-chart-legend">
          {groups.map(({ group, runs, colour, expected }) => (
            <li key={group}>
              <i style={{ borderColor: colour }} /> {`${group} (${t('results.runsRead', { count: runs })})`}
              {expected !== null && `: ${t('results.band', textOfBand(expected))}`}
            </li>
          ))}
        </ul>
      )}
      {without.length > 0 && (
        <p className="cy-small">
          {t('results.runsWithout', {
            count: without.length,
            run: without.at(-1)!.run,
            reason: without.at(-1)!.reason ?? '',
          })}
        </p>
      )}
      <div className="cy-row">
        <SaveImage of={svg} name={`trend-${trend.aggregate}`} caption={props.caption} />
      </div>
      <Numbers
        heads={[
          t('results.runNumber'),
          t('results.timeUtc'),
          ...(state.by === 'none' ? [] : [t(`results.by.${state.by}`)]),
          t('results.entries'),
          label,
          '±',
          t('results.reason'),
        ]}
        rows={trend.points.toReversed().map((point) => [
          <Link key="run" href={address(point.number)}>
            {point.run}
          </Link>,
          point.atMs === null ? '–' : new Date(point.atMs).toISOString().slice(0, 19),
          ...(state.by === 'none' ? [] : [point.group]),
          formatCount(point.entries),
          point.value === null ? '–' : significant(point.value, 5),
          point.error === null ? '–' : significant(point.error, 2),
          point.reason ?? '',
        ])}
      />
    </div>
  )
}

function textOfBand({ value, low, high }: { value: number; low: number; high: number }) {
  const digits = (one: number): string => measured(one, (high - low) / 6).split(' ')[0]!
  return { value: digits(value), low: digits(low), high: digits(high) }
}

function spread(values: readonly number[], share = 0.08): [number, number] {
  if (values.length === 0) return [0, 1]
  const low = Math.min(...values)
  const high = Math.max(...values)
  const pad = (high - low) * share || Math.abs(high) * 0.1 || 1
  return [low - pad, high + pad]
}
