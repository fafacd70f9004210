/** Can our numbers be believed? Studies of the experiment, and one report beside published values. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Answer,
  Bytes,
  Empty,
  Moment,
  PageEnd,
  PageHead,
  Panel,
  Problem,
  StateMark,
  Waiting,
  addressOf,
  apiOf,
  useAnswer,
  usePages,
  useQueryState,
  useTitle,
} from '../../../foundation/browser.tsx'
import type { PageProps, Tone } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { Study } from '../../contract.ts'
import { t } from '../messages.ts'
import { ReportView } from './report-view.tsx'
import { StartValidation } from './start-validation.tsx'
import { useLastLine } from './use-last-line.ts'

const stateTone: Record<Study['state'], Tone> = { submitted: 'info', done: 'verified', failed: 'alarm' }

export default function ValidationPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('validation.title'))
  const state = useQueryState()
  const chosen = state.get('study')
  return (
    <>
      <PageHead title={t('validation.title')} aside={chosen === '' ? t('validation.what') : undefined}>
        {chosen !== '' && (
          <Button size="compact-sm" variant="default" onClick={() => state.set({ study: undefined })}>
            {t('validation.back')}
          </Button>
        )}
      </PageHead>
      {chosen === '' ? (
        <div className="cy-stack">
          <StartValidation experiment={experiment} onStarted={(study) => state.set({ study: study.id })} />
          <StudyList experiment={experiment} onPick={(id) => state.set({ study: id })} />
        </div>
      ) : (
        <OneStudy experiment={experiment} id={chosen} />
      )}
    </>
  )
}

function StudyList(props: { experiment: string; onPick: (id: string) => void }): ReactNode {
  const { experiment } = props
  const studies = usePages(['reconstruction', 'studies', experiment], (cursor, signal) =>
    apiOf(reconstructionContract).listStudies(
      { params: { experiment }, query: { limit: 50, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  if (studies.waiting) return <Waiting rows={4} />
  if (studies.error !== null && studies.items.length === 0)
    return <Problem error={studies.error} onRetry={studies.retry} />
  if (studies.items.length === 0)
    return (
      <Empty title={t('validation.none')}>
        <p>{t('validation.noneHint')}</p>
      </Empty>
    )
  return (
    <Panel title={t('validation.list')}>
      <div className="cy-table-scroll">
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('validation.study')}</th>
              <th scope="col">{t('validation.started')}</th>
              <th scope="col">{t('validation.result')}</th>
            </tr>
          </thead>
          <tbody>
            {studies.items.map((study) => (
              <tr key={study.id}>
                <td className="cy-key">
                  <Button size="compact-xs" variant="subtle" onClick={() => props.onPick(study.id)}>
                    {t(`validation.kind.${study.kind}`)}
                  </Button>
                </td>
                <td>
                  <Moment atMs={study.createdAtMs} />
                </td>
                <td>
                  <Outcome of={study} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <PageEnd of={studies} />
    </Panel>
  )
}

function Outcome(props: { of: Study }): ReactNode {
  const { state, headline, reason } = props.of
  if (state !== 'done' || headline === null)
    return (
      <StateMark tone={stateTone[state]}>
        {t(`validation.state.${state}`)}
        {reason === null ? '' : `: ${reason}`}
      </StateMark>
    )
  const { requirements, failing } = headline
  return (
    <span className="cy-row">
      <StateMark tone={failing > 0 ? 'alarm' : 'verified'}>
        {failing > 0
          ? t('validation.failing', { failing })
          : t('validation.requirements', { held: requirements, all: requirements })}
      </StateMark>
      <span className="cy-quiet">{t('validation.published', { ...headline })}</span>
    </span>
  )
}

function OneStudy(props: { experiment: string; id: string }): ReactNode {
  const { experiment, id } = props
  const answer = useAnswer(
    ['reconstruction', 'study', experiment, id],
    (signal) => apiOf(reconstructionContract).showStudy({ params: { experiment, study: id } }, { signal }),
    { keepPrevious: true },
  )
  return (
    <Answer to={answer} waiting={<Waiting rows={6} height={60} />}>
      {({ study, report }) => (
        <div className="cy-stack">
          {study.state === 'submitted' && <Running study={study} />}
          {study.state === 'failed' && (
            <Empty title={t('validation.noReport')}>
              <Outcome of={study} />
              <JobLink study={study} />
            </Empty>
          )}
          {study.files.length > 0 && <Files study={study} />}
          {report !== null && <ReportView study={study} report={report} />}
        </div>
      )}
    </Answer>
  )
}

function Running(props: { study: Study }): ReactNode {
  const line = useLastLine(props.study.jobId)
  return (
    <Panel title={t('validation.state.submitted')}>
      <p>{t('validation.running')}</p>
      <p role="status" className="cy-mono">
        {line ?? t('validation.waitingLine')}
      </p>
      <JobLink study={props.study} />
    </Panel>
  )
}

function JobLink(props: { study: Study }): ReactNode {
  const { jobId, experiment } = props.study
  if (jobId === null) return null
  return <Link href={`/e/${experiment}/jobs/${jobId}`}>{t('validation.job')}</Link>
}

function Files(props: { study: Study }): ReactNode {
  const { experiment, id, files } = props.study
  return (
    <Panel title={t('validation.files')}>
      <p className="cy-row">
        {files.map(({ name, sizeBytes }) => (
          <span key={name}>
            <a
              href={addressOf(reconstructionContract.routes.readStudyFile, { params: { experiment, study: id, name } })}
            >
              {name}
            </a>{' '}
            <span className="cy-quiet">
              <Bytes sizeBytes={sizeBytes} />
            </span>
          </span>
        ))}
        <JobLink study={props.study} />
      </p>
    </Panel>
  )
}
