/** On home: my running notebooks, one press away. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { Age, Answer, apiOf, useAnswer, useMay } from '../../foundation/browser.tsx'
import { notebooksContract } from '../contract.ts'
import { t } from './messages.ts'
import { SessionMark, livingStates } from './session-list.tsx'

export default function HomeSessions(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const may = useMay()
  const sessions = useAnswer(['notebooks', 'sessions', experiment, false], (signal) =>
    apiOf(notebooksContract).listSessions({ query: { experiment } }, { signal }),
  )
  return (
    <Answer to={sessions}>
      {({ items }) => {
        const living = items.filter((session) => livingStates.has(session.state))
        return (
          <div className="cy-stack">
            {living.map((session) => (
              <div key={session.id} className="cy-row">
                <SessionMark session={session} />
                <span className="cy-quiet">
                  <Age atMs={session.sinceMs} />
                </span>
                <Button
                  component="a"
                  className="cy-row-end"
                  size="compact-sm"
                  variant="default"
                  target="_blank"
                  rel="noopener"
                  href={`/e/${experiment}/sessions/open?session=${session.id}`}
                >
                  {t('sessions.open')}
                </Button>
              </div>
            ))}
            {living.length === 0 && <p className="cy-quiet">{t('sessions.none')}</p>}
            {living.length === 0 && may('sessions.start', experiment) && (
              <div>
                <Button
                  component="a"
                  size="compact-sm"
                  variant="default"
                  target="_blank"
                  rel="noopener"
                  href={`/e/${experiment}/sessions/open`}
                >
                  {t('sessions.start')}
                </Button>
              </div>
            )}
          </div>
        )
      }}
    </Answer>
  )
}
