/** Rows of sessions with their buttons. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Age, Problem, StateMark, apiOf, useMay, useMe } from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import { notebooksContract } from '../contract.ts'
import type { Session } from '../contract.ts'
import { t } from './messages.ts'

const tones: Record<Session['state'], Tone> = {
  waiting: 'quiet',
  starting: 'info',
  running: 'info',
  stopping: 'quiet',
  stopped: 'stale',
  failed: 'alarm',
}
export const livingStates = new Set<Session['state']>(['waiting', 'starting', 'running'])

export function SessionMark(props: { session: Pick<Session, 'state' | 'reason'> }): ReactNode {
  return (
    <StateMark
      tone={tones[props.session.state]}
      {...(props.session.reason === null ? {} : { title: props.session.reason })}
    >
      {t(`state.${props.session.state}`)}
    </StateMark>
  )
}

export function SessionTable(props: { rows: Session[]; owners: boolean }): ReactNode {
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col">{t('sessions.session')}</th>
            {props.owners && <th scope="col">{t('sessions.owner')}</th>}
            <th scope="col">{t('sessions.state')}</th>
            <th scope="col">{t('sessions.since')}</th>
            <th scope="col">{t('sessions.files')}</th>
            <th scope="col">{t('sessions.why')}</th>
            <th scope="col">
              <span className="cy-visually-hidden">{t('sessions.open')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.rows.map((session) => (
            <tr key={session.id}>
              <td className="cy-mono">{session.id.slice(-8)}</td>
              {props.owners && <td>{session.ownerName}</td>}
              <td>
                <SessionMark session={session} />
              </td>
              <td>
                <Age atMs={session.sinceMs} />
              </td>
              <td className="cy-mono">{session.openPath}</td>
              <td className="cy-text cy-quiet" title={session.reason ?? ''}>
                {session.reason}
              </td>
              <td className="cy-right">
                <Buttons session={session} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Buttons(props: { session: Session }): ReactNode {
  const { session } = props
  const me = useMe()
  const may = useMay()
  const queries = useQueryClient()
  const [asked, setAsked] = useState(false)
  const stop = useMutation({
    mutationFn: () => apiOf(notebooksContract).stopSession({ params: { session: session.id } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['notebooks'] }),
  })
  const living = livingStates.has(session.state)
  const mine = me?.id === session.ownerId
  return (
    <span className="cy-row cy-row-tail">
      {stop.error !== null && <Problem error={stop.error} />}
      {living && mine && (
        <Button
          component="a"
          size="compact-sm"
          target="_blank"
          rel="noopener"
          href={`/e/${session.experiment}/sessions/open?session=${session.id}`}
        >
          {t('sessions.open')}
        </Button>
      )}
      <Link href={`/e/${session.experiment}/jobs/${session.jobId}`}>{t('sessions.log')}</Link>
      {living && (mine || may('sessions.stop', session.experiment)) && !asked && (
        <Button size="compact-sm" variant="default" onClick={() => setAsked(true)}>
          {t('sessions.stop')}
        </Button>
      )}
      {living && asked && (
        <>
          <Button size="compact-sm" color="red" loading={stop.isPending} onClick={() => stop.mutate()}>
            {t('sessions.stopSure')}
          </Button>
          <Button size="compact-sm" variant="subtle" onClick={() => setAsked(false)}>
            {t('sessions.keep')}
          </Button>
        </>
      )}
    </span>
  )
}
