/** On home: is the reconstruction keeping up, and what does it say? */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Answer, Figure, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { logbookContract } from '../../logbook/contract.ts'
import { addressOfResults, reconstructionContract } from '../contract.ts'
import { t } from './messages.ts'
import { TrendPlots } from './results/summary-trends.tsx'

export default function HomeTracks(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const about = useAnswer(['logbook', 'experiment', experiment], (signal) =>
    apiOf(logbookContract).showExperiment({ params: { experiment } }, { signal }),
  )
  const series = about.data?.series[0]?.name
  const tasks = useAnswer(
    ['reconstruction', 'tasks', experiment, series],
    (signal) =>
      apiOf(reconstructionContract).listTasks(
        { params: { experiment }, query: { ...(series === undefined ? {} : { series }), limit: 1000 } },
        { signal },
      ),
    { enabled: series !== undefined },
  )
  const trend = useAnswer(
    ['reconstruction', 'trend', experiment, series, 'home'],
    (signal) =>
      apiOf(reconstructionContract).showTrend(
        { params: { experiment, series: series ?? '' }, query: { limit: 1000 } },
        { signal },
      ),
    { enabled: series !== undefined },
  )
  return (
    <Answer to={tasks}>
      {({ items }) => {
        const count = (state: string): number => items.filter((task) => task.state === state).length
        const points = trend.data?.items ?? []
        return (
          <div className="cy-stack">
            <div className="cy-figures">
              <Figure value={count('waiting')} label={t('home.waiting')} />
              <Figure value={count('submitted')} label={t('home.working')} />
              <Figure value={count('failed')} label={t('home.failed')} />
            </div>
            {points.length > 0 && series !== undefined && (
              <TrendPlots experiment={experiment} series={series} points={points.slice(-60)} brief />
            )}
            <Link href={addressOfResults(experiment, { trend: 'summary' })}>{t('home.all')}</Link>
          </div>
        )
      }}
    </Answer>
  )
}
