/** On the run page: the jobs that worked on this run. */
import type { ReactNode } from 'react'
import { Answer, apiOf, useAnswer } from '../../foundation/browser.tsx'
import type { RunPanelProps } from '../../foundation/browser.tsx'
import { computeContract } from '../contract.ts'
import { JobTable } from './job-table.tsx'
import { t } from './messages.ts'

export default function RunJobsPanel(props: RunPanelProps): ReactNode {
  const { experiment } = props
  const subject = `${props.series}:${props.number}`
  const jobs = useAnswer(['compute', 'jobs', experiment, 'of', subject], (signal) =>
    apiOf(computeContract).listJobs({ params: { experiment }, query: { subject, limit: 20 } }, { signal }),
  )
  return (
    <Answer to={jobs}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="cy-quiet">{t('jobs.noneForRun')}</p>
        ) : (
          <JobTable experiment={experiment} rows={items} brief />
        )
      }
    </Answer>
  )
}
