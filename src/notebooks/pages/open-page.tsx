/**
 * The new tab of a notebook: starts the session (or finds it), shows what it is doing and for how long, and goes to the
 * content origin with a single-use ticket in the fragment.
 */
import { Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Panel,
  Problem,
  StateMark,
  apiOf,
  formatDuration,
  useAnswer,
  useNow,
  useQueryState,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps, Tone } from '../../foundation/browser.tsx'
import { notebooksContract } from '../contract.ts'
import type { Session } from '../contract.ts'
import { t } from './messages.ts'

export default function OpenPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('open.title'))
  const state = useQueryState()
  const run = state.get('run')
  const known = state.get('session')
  const start = useMutation({
    mutationFn: () => apiOf(notebooksContract).startSession({ body: { experiment, ...(run === '' ? {} : { run }) } }),
  })
  // Effects run twice in development; the session must be asked for once.
  const asked = useRef(false)
  const { mutate } = start
  useEffect(() => {
    if (known !== '' || asked.current) return
    asked.current = true
    mutate()
  }, [known, mutate])
  const id = known !== '' ? known : start.data?.id
  return (
    <div className="cy-narrow">
      <h1 className="cy-visually-hidden">{t('open.title')}</h1>
      <Panel title={run === '' ? t('open.title') : `${t('open.title')} ${t('open.forRun', { run })}`}>
        {start.error !== null && <Problem error={start.error} title={t('open.failed')} onRetry={() => mutate()} />}
        {start.error === null && (
          <Progress experiment={experiment} id={id} openPath={start.data?.openPath ?? null} onAgain={() => mutate()} />
        )}
      </Panel>
    </div>
  )
}

function Progress(props: {
  experiment: string
  id: string | undefined
  openPath: string | null
  onAgain: () => void
}): ReactNode {
  const { id } = props
  const session = useAnswer(
    ['notebooks', 'session', id],
    (signal) => apiOf(notebooksContract).showSession({ params: { session: id ?? '' } }, { signal }),
    {
      enabled: id !== undefined,
      everyMs: 700,
    },
  )
  const environment = useAnswer(
    ['notebooks', 'environment'],
    (signal) => apiOf(notebooksContract).showEnvironment({}, { signal }),
    { everyMs: 2000 },
  )
  const ticket = useMutation({
    mutationFn: () =>
      apiOf(notebooksContract).createTicket({
        params: { session: id ?? '' },
        ...(props.openPath === null ? {} : { body: { openPath: props.openPath } }),
      }),
    onSuccess: ({ url }) => window.location.replace(url),
  })
  const running = session.data?.state === 'running'
  const { mutate, isIdle } = ticket
  useEffect(() => {
    if (running && isIdle) mutate()
  }, [running, isIdle, mutate])

  const state = session.data?.state
  const softwareReady = environment.data?.state === 'ready' || running
  if (state === 'failed' || state === 'stopped' || state === 'stopping')
    return <Failed session={session.data} experiment={props.experiment} onAgain={props.onAgain} />
  return (
    <div className="cy-stack">
      <ol className="cy-steps">
        <Step
          name={t('open.software')}
          done={softwareReady}
          now={!softwareReady}
          detail={softwareReady ? null : (environment.data?.step ?? environment.data?.reason ?? null)}
        />
        <Step
          name={t('open.place')}
          done={state === 'starting' || running}
          now={state === 'waiting' || state === undefined}
          detail={state === 'waiting' ? (session.data?.reason ?? null) : null}
        />
        <Step
          name={t('open.lab')}
          done={running}
          now={state === 'starting'}
          detail={state === 'starting' ? (session.data?.reason ?? null) : null}
        />
        <Step name={t('open.go')} done={ticket.isSuccess} now={running && !ticket.isSuccess} detail={null} />
      </ol>
      {session.error !== null && <Problem error={session.error} />}
      {ticket.error !== null && <Problem error={ticket.error} onRetry={() => mutate()} />}
      {ticket.isSuccess ? (
        <div className="cy-row">
          <Button size="compact-sm" onClick={() => mutate()}>
            {t('sessions.open')}
          </Button>
          <span className="cy-quiet">{t('open.opened')}</span>
        </div>
      ) : (
        <p className="cy-quiet cy-small">
          {environment.data !== undefined && environment.data.state !== 'ready' ? t('open.first') : t('open.close')}
        </p>
      )}
    </div>
  )
}

function Step(props: { name: string; done: boolean; now: boolean; detail: string | null }): ReactNode {
  const tone: Tone = props.done ? 'verified' : props.now ? 'info' : 'quiet'
  const word = props.done ? t('open.stepDone') : props.now ? t('open.stepNow') : t('open.stepNext')
  return (
    <li aria-current={props.now ? 'step' : undefined} className={props.done || props.now ? '' : 'cy-quiet'}>
      <StateMark tone={tone}>{props.name}</StateMark>
      <span className="cy-visually-hidden"> {word}</span>
      {props.now && <Since />}
      {props.detail !== null && <p className="cy-quiet cy-small">{props.detail}</p>}
    </li>
  )
}

function Since(): ReactNode {
  const nowMs = useNow()
  const [sinceMs] = useState(() => Date.now())
  return (
    <span className="cy-quiet cy-small cy-number"> {t('open.for', { time: formatDuration(nowMs - sinceMs) })}</span>
  )
}

function Failed(props: { session: Session | undefined; experiment: string; onAgain: () => void }): ReactNode {
  return (
    <div className="cy-problem" role="alert">
      <strong>{t('open.failed')}</strong>
      {props.session?.reason !== null && <p>{props.session?.reason}</p>}
      <div className="cy-row">
        <Button size="compact-sm" variant="default" onClick={props.onAgain}>
          {t('open.again')}
        </Button>
        {props.session !== undefined && (
          <Link href={`/e/${props.experiment}/jobs/${props.session.jobId}`}>{t('open.log')}</Link>
        )}
      </div>
    </div>
  )
}
