/** Rows of jobs, for the list and for the panel of a run. */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Age,
  StateMark,
  formatBytes,
  formatDuration,
  significant,
  useNow,
  useRowKeys,
} from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import type { Job } from '../contract.ts'
import { t } from './messages.ts'

const tones: Record<Job['state'], Tone> = {
  waiting: 'quiet',
  starting: 'info',
  running: 'info',
  done: 'verified',
  failed: 'alarm',
  cancelled: 'stale',
}

export function JobMark(props: { job: Pick<Job, 'state' | 'reason' | 'cancelRequested'> }): ReactNode {
  const { state, cancelRequested } = props.job
  const ending = cancelRequested && (state === 'waiting' || state === 'starting' || state === 'running')
  return (
    <StateMark tone={tones[props.job.state]} {...(props.job.reason === null ? {} : { title: props.job.reason })}>
      {ending ? t('state.cancelling') : t(`state.${state}`)}
    </StateMark>
  )
}

const knownKinds = ['reconstruction', 'pedestal', 'script', 'session', 'command'] as const

function isKnown(kind: string): kind is (typeof knownKinds)[number] {
  return (knownKinds as readonly string[]).includes(kind)
}

/** The kind in words; kinds of rooms we do not know keep their own name. */
export function kindWords(kind: string): string {
  if (isKnown(kind)) return t(`kind.${kind}`)
  return kind
}

export function JobTable(props: { experiment: string; rows: Job[]; brief?: boolean }): ReactNode {
  const table = useRowKeys({ next: t('jobs.next'), previous: t('jobs.previous') })
  const full = props.brief !== true
  return (
    <div className="cy-table-scroll">
      <table className="cy-table" ref={table}>
        <thead>
          <tr>
            <th scope="col">{t('jobs.job')}</th>
            <th scope="col">{t('jobs.kind')}</th>
            {full && <th scope="col">{t('jobs.about')}</th>}
            <th scope="col">{t('jobs.state')}</th>
            <th scope="col">{t('jobs.since')}</th>
            <th scope="col" className="cy-right">
              {t('jobs.took')}
            </th>
            <th scope="col" className="cy-right">
              {t('jobs.cpu')}
            </th>
            <th scope="col" className="cy-right">
              {t('jobs.memory')}
            </th>
            <th scope="col">{t('jobs.owner')}</th>
            <th scope="col">{t('jobs.reason')}</th>
          </tr>
        </thead>
        <tbody>
          {props.rows.map((job) => (
            <tr key={job.id} data-row>
              <td className="cy-key cy-text">
                <Link href={`/e/${props.experiment}/jobs/${job.id}`}>{job.title}</Link>
              </td>
              <td>{kindWords(job.kind)}</td>
              {full && (
                <td>
                  <Subject experiment={props.experiment} subject={job.subject} />
                </td>
              )}
              <td>
                <JobMark job={job} />
              </td>
              <td>
                <Age atMs={job.sinceMs} />
              </td>
              <td className="cy-right">
                <JobDuration job={job} />
              </td>
              <td className="cy-right">{job.used === null ? '–' : `${significant(job.used.cpuSeconds, 3)} s`}</td>
              <td className="cy-right">{job.used === null ? '–' : formatBytes(job.used.peakMemoryBytes)}</td>
              <td>{job.ownerName}</td>
              <td className="cy-text cy-rest cy-quiet" title={job.reason ?? ''}>
                {job.reason}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export function Subject(props: { experiment: string; subject: string | null }): ReactNode {
  if (props.subject === null) return '–'
  if (!/^[a-z][a-z0-9-]*:\d+$/.test(props.subject)) return props.subject
  return <Link href={`/e/${props.experiment}/runs/${props.subject.replace(':', '/')}`}>{props.subject}</Link>
}

export function JobDuration(props: { job: Pick<Job, 'startedMs' | 'endedMs'> }): ReactNode {
  const { startedMs, endedMs } = props.job
  if (startedMs === null) return '–'
  return endedMs === null ? (
    <Ticking sinceMs={startedMs} />
  ) : (
    <span className="cy-number">{shortDuration(endedMs - startedMs)}</span>
  )
}

function Ticking(props: { sinceMs: number }): ReactNode {
  const nowMs = useNow()
  return <span className="cy-number">{shortDuration(nowMs - props.sinceMs)}</span>
}

/** Below a minute with tenths, since most prompt jobs are that short. */
export function shortDuration(durationMs: number): string {
  return durationMs < 60_000 ? `${(Math.max(durationMs, 0) / 1000).toFixed(1)} s` : formatDuration(durationMs)
}
