/** One job: state with reason and time, what it asked and used, its log, what it left behind. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import {
  Age,
  Answer,
  Bytes,
  CopyButton,
  Facts,
  Moment,
  PageHead,
  Panel,
  Problem,
  addressOf,
  apiOf,
  formatBytes,
  significant,
  useAnswer,
  useMay,
  useMe,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps } from '../../foundation/browser.tsx'
import { computeContract } from '../contract.ts'
import type { Job } from '../contract.ts'
import { JobDuration, JobMark, Subject, kindWords, shortDuration } from './job-table.tsx'
import { LiveLog } from './live-log.tsx'
import { t } from './messages.ts'

const alive = new Set<Job['state']>(['waiting', 'starting', 'running'])

export default function JobPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  const id = props.params['job'] ?? ''
  const job = useAnswer(['compute', 'job', id], (signal) =>
    apiOf(computeContract).showJob({ params: { job: id } }, { signal }),
  )
  useTitle(t('job.title', { title: job.data?.title ?? id }))
  return (
    <>
      {job.data === undefined && <PageHead title={t('jobs.job')} />}
      <Answer to={job}>{(answer) => <JobSheet experiment={experiment} job={answer} />}</Answer>
    </>
  )
}

function JobSheet(props: { experiment: string; job: Job }): ReactNode {
  const { experiment, job } = props
  return (
    <>
      <PageHead
        title={job.title}
        aside={
          <>
            <JobMark job={job} />
            <Age atMs={job.sinceMs} />
          </>
        }
      >
        {alive.has(job.state) && !job.cancelRequested && <Cancel experiment={experiment} job={job} />}
        <CopyButton text={`job:${job.id}`} label={t('job.copyReference')} />
        <CopyButton
          text={`cygnet jobs show ${job.id}\ncygnet jobs logs ${job.id} --follow`}
          label={t('job.copyCommand')}
        />
      </PageHead>
      <div className="cy-stack">
        <Panel title={t('jobs.state')}>
          {job.reason !== null && (
            <p className="cy-reason">
              {job.reason}
              {job.untilMs !== null && (
                <>
                  {' '}
                  · {t('job.until')} <Moment atMs={job.untilMs} />
                </>
              )}
            </p>
          )}
          <Facts
            items={[
              [t('jobs.kind'), kindWords(job.kind)],
              [
                t('jobs.about'),
                job.subject === null ? undefined : (
                  <Subject key="subject" experiment={experiment} subject={job.subject} />
                ),
              ],
              [t('jobs.owner'), job.ownerName],
              [t('job.place'), job.place ?? undefined],
              [t('job.attempt'), job.attempt > 0 ? job.attempt : undefined],
              [t('job.submitted'), <Moment key="submitted" atMs={job.submittedMs} />],
              [t('job.started'), job.startedMs === null ? undefined : <Moment key="started" atMs={job.startedMs} />],
              [t('job.ended'), job.endedMs === null ? undefined : <Moment key="ended" atMs={job.endedMs} />],
              [t('jobs.took'), <JobDuration key="took" job={job} />],
              [t('job.exit'), job.exitCode ?? undefined],
              [t('job.signal'), job.signal ?? undefined],
            ]}
          />
        </Panel>
        <div className="cy-columns">
          <Panel title={t('job.log')}>
            <LiveLog job={job} />
          </Panel>
          <div className="cy-stack">
            <Panel title={t('job.resources')}>
              <Resources job={job} />
            </Panel>
            <Panel title={t('job.outputs')}>
              <Outputs job={job} />
            </Panel>
          </div>
        </div>
      </div>
    </>
  )
}

function Resources(props: { job: Job }): ReactNode {
  const { request, used } = props.job
  const cores = t('job.cores', { count: request.cpuMilli / 1000 })
  const asked = (text: string): ReactNode => (
    <span className="cy-quiet cy-small">{t('job.asked', { asked: text })}</span>
  )
  return (
    <>
      <Facts
        items={[
          [
            t('jobs.cpu'),
            <>
              {used === null ? '–' : `${significant(used.cpuSeconds, 3)} s`} {asked(cores)}
            </>,
          ],
          [
            t('jobs.memory'),
            <>
              {used === null ? '–' : formatBytes(used.peakMemoryBytes)}{' '}
              {asked(formatBytes(request.memoryMiB * 1_048_576))}
            </>,
          ],
          [
            t('jobs.took'),
            <>
              {used === null ? '–' : shortDuration(used.wallSeconds * 1000)} {asked(shortDuration(request.walltimeMs))}
            </>,
          ],
        ]}
      />
      {used === null && <p className="cy-quiet cy-small">{t('job.notMeasured')}</p>}
    </>
  )
}

function Outputs(props: { job: Job }): ReactNode {
  const { job } = props
  if (job.outputs.length === 0)
    return <p className="cy-quiet">{alive.has(job.state) ? t('job.noOutputsYet') : t('job.noOutputs')}</p>
  return (
    <ul className="cy-plain-list">
      {job.outputs.map((output) => (
        <li key={output.name} className="cy-row">
          {output.published ? (
            <span>{output.name}</span>
          ) : (
            <a
              href={addressOf(computeContract.routes.readOutput, {
                params: { job: job.id },
                query: { name: output.name },
              })}
              download={output.name.split('/').at(-1)}
            >
              {output.name}
            </a>
          )}
          <Bytes sizeBytes={output.sizeBytes} />
          {output.published && <span className="cy-quiet cy-small">{t('job.published')}</span>}
        </li>
      ))}
    </ul>
  )
}

/** Two steps instead of a dialog: the second button says what is lost. */
function Cancel(props: { experiment: string; job: Job }): ReactNode {
  const may = useMay()
  const me = useMe()
  const queries = useQueryClient()
  const [asked, setAsked] = useState(false)
  const cancel = useMutation({
    mutationFn: () => apiOf(computeContract).cancelJob({ params: { job: props.job.id } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['compute'] }),
  })
  if (!may('jobs.cancel', props.experiment) && me?.id !== props.job.ownerId) return null
  if (cancel.error !== null) return <Problem error={cancel.error} />
  if (!asked)
    return (
      <Button size="compact-sm" variant="default" onClick={() => setAsked(true)}>
        {t('job.cancel')}
      </Button>
    )
  return (
    <>
      <Button size="compact-sm" color="red" loading={cancel.isPending} onClick={() => cancel.mutate()}>
        {t('job.cancelSure')}
      </Button>
      <Button size="compact-sm" variant="subtle" onClick={() => setAsked(false)}>
        {t('job.keep')}
      </Button>
    </>
  )
}
