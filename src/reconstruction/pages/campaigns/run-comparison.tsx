/** One run, cluster by cluster: which agree, how far light and position move, which only one campaign has. */
import { Button, Checkbox } from '@mantine/core'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Answer, Count, Figure, Panel, apiOf, significant, useAnswer } from '../../../foundation/browser.tsx'
import { HistogramPlot } from '../../../foundation/browser-plot.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { ClusterComparison, ClusterPair } from '../../contract.ts'
import { t } from '../messages.ts'

const mostPairs = 5000
const shownRows = 25
const bins = 40

export function RunComparison(props: {
  experiment: string
  first: string
  second: string
  run: string
  onClose: () => void
}): ReactNode {
  const { experiment, first, second, run } = props
  const [all, setAll] = useState(false)
  const params = { experiment, campaign: first, other: second, run }
  const clusters = all ? ('all' as const) : ('selected' as const)
  const compared = useAnswer(['reconstruction', 'compare-run', params, clusters], (signal) =>
    apiOf(reconstructionContract).compareRun({ params, query: { clusters, limit: mostPairs } }, { signal }),
  )
  return (
    <Panel
      title={t('compare.run', { run })}
      aside={
        <span className="cy-row">
          <Checkbox
            size="xs"
            label={t('compare.all')}
            checked={all}
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
          <Button size="compact-xs" variant="default" onClick={props.onClose}>
            {t('compare.close')}
          </Button>
        </span>
      }
    >
      <Answer to={compared}>
        {(answer) => (
          <div className="cy-stack">
            <div className="cy-figures">
              <Figure value={<Count of={answer.matched} />} label={t('compare.matched')} />
              <Figure value={<Count of={answer.onlyFirst} />} label={t('compare.only', { name: first })} />
              <Figure value={<Count of={answer.onlySecond} />} label={t('compare.only', { name: second })} />
              {answer.matched > 0 && (
                <>
                  <Figure value={percent(answer.integralShift.median)} label={t('compare.lightShift')} />
                  <Figure
                    value={`${significant(answer.positionShiftPx.median, 3)} px`}
                    label={t('compare.positionShift')}
                  />
                </>
              )}
            </div>
            {answer.cut && <p className="cy-quiet">{t('compare.cut')}</p>}
            {answer.matched > 0 && <Shifts of={answer} />}
            <Pairs experiment={experiment} first={first} second={second} of={answer} />
            <Unmatched experiment={experiment} first={first} second={second} of={answer} />
          </div>
        )}
      </Answer>
    </Panel>
  )
}

function percent(value: number): string {
  return `${value > 0 ? '+' : ''}${significant(100 * value, 3)} %`
}

/** (second - first) / first, in percent. */
function lightShift(pair: ClusterPair): number {
  if (pair.firstIntegralCounts === 0) return 0
  return (100 * (pair.secondIntegralCounts - pair.firstIntegralCounts)) / pair.firstIntegralCounts
}

function Shifts(props: { of: ClusterComparison }): ReactNode {
  const { pairs } = props.of
  const light = pairs.map(lightShift)
  const reach = Math.max(1, ...light.map(Math.abs).filter((value) => value <= 100))
  const moved = pairs.map(({ shiftPx }) => shiftPx)
  const furthest = Math.max(1, ...moved)
  return (
    <div className="cy-grid cy-grid-wide">
      <HistogramPlot
        title={t('compare.lightPlot')}
        xLabel={t('compare.lightAxis')}
        of={histogramOf(light, -reach, reach)}
      />
      <HistogramPlot
        title={t('compare.movedPlot')}
        xLabel={t('compare.movedAxis')}
        of={histogramOf(moved, 0, furthest)}
      />
    </div>
  )
}

/** Both ends belong to it. */
function histogramOf(values: readonly number[], low: number, high: number) {
  const counts = new Array<number>(bins).fill(0)
  for (const value of values) {
    if (value < low || value > high) continue
    counts[Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))]!++
  }
  return { low, high, counts }
}

interface TableProps {
  experiment: string
  first: string
  second: string
  of: ClusterComparison
}

function EventLink(props: { experiment: string; run: string; event: number }): ReactNode {
  const [series, number] = props.run.split(':')
  return (
    <Link href={`/e/${props.experiment}/runs/${series}/${number}/events/${props.event}`}>
      {t('compare.event', { event: props.event })}
    </Link>
  )
}

function Pairs(props: TableProps): ReactNode {
  const { of, first, second, experiment } = props
  if (of.pairs.length === 0) return <p className="cy-quiet">{t('compare.noPairs')}</p>
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <caption className="cy-visually-hidden">{t('compare.pairs')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('compare.where')}</th>
            <th scope="col" className="cy-right">
              {t('compare.rankIn', { name: first })}
            </th>
            <th scope="col" className="cy-right">
              {t('compare.rankIn', { name: second })}
            </th>
            <th scope="col">{t('compare.by')}</th>
            <th scope="col" className="cy-right">
              {t('compare.lightIn', { name: first })}
            </th>
            <th scope="col" className="cy-right">
              {t('compare.lightIn', { name: second })}
            </th>
            <th scope="col" className="cy-right">
              {t('compare.lightAxis')}
            </th>
            <th scope="col" className="cy-right">
              {t('compare.movedAxis')}
            </th>
          </tr>
        </thead>
        <tbody>
          {of.pairs.slice(0, shownRows).map((pair) => (
            <tr key={`${pair.event}/${pair.camera}/${pair.first}/${pair.second}`}>
              <td>
                <EventLink experiment={experiment} run={of.run} event={pair.event} />
              </td>
              <td className="cy-right">{pair.first}</td>
              <td className="cy-right">{pair.second}</td>
              <td>{t(`compare.by.${pair.by}`)}</td>
              <td className="cy-right">{significant(pair.firstIntegralCounts, 5)}</td>
              <td className="cy-right">{significant(pair.secondIntegralCounts, 5)}</td>
              <td className="cy-right">{significant(lightShift(pair), 3)}</td>
              <td className="cy-right">{significant(pair.shiftPx, 3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Unmatched(props: TableProps): ReactNode {
  const { of, first, second, experiment } = props
  if (of.unmatched.length === 0) return null
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <caption className="cy-visually-hidden">{t('compare.unmatched')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('compare.onlyIn')}</th>
            <th scope="col">{t('compare.where')}</th>
            <th scope="col" className="cy-right">
              {t('fact.light')}
            </th>
            <th scope="col" className="cy-right">
              {t('compare.place')}
            </th>
          </tr>
        </thead>
        <tbody>
          {of.unmatched.slice(0, shownRows).map((one) => (
            <tr key={`${one.in}/${one.event}/${one.camera}/${one.cluster}`}>
              <td>{one.in === 'first' ? first : second}</td>
              <td>
                <EventLink experiment={experiment} run={of.run} event={one.event} />
              </td>
              <td className="cy-right">{significant(one.integralCounts, 5)}</td>
              <td className="cy-right">
                {significant(one.xMeanPx, 4)}, {significant(one.yMeanPx, 4)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
