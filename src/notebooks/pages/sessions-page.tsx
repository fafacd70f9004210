/** What of mine is running? */
import { Button, SegmentedControl } from '@mantine/core'
import type { ReactNode } from 'react'
import {
  Answer,
  Empty,
  Facts,
  PageHead,
  Panel,
  StateMark,
  apiOf,
  useAnswer,
  useMay,
  useQueryState,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps, Tone } from '../../foundation/browser.tsx'
import { notebooksContract } from '../contract.ts'
import type { EnvironmentStatus } from '../contract.ts'
import { t } from './messages.ts'
import { SessionTable } from './session-list.tsx'

export default function SessionsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('sessions.title'))
  const state = useQueryState()
  const may = useMay()
  const all = state.get('whose') === 'all'
  const sessions = useAnswer(['notebooks', 'sessions', experiment, all], (signal) =>
    apiOf(notebooksContract).listSessions({ query: { experiment, all: all ? 'yes' : 'no' } }, { signal }),
  )
  const start = may('sessions.start', experiment) && (
    <Button component="a" size="compact-sm" target="_blank" rel="noopener" href={`/e/${experiment}/sessions/open`}>
      {t('sessions.start')}
    </Button>
  )
  return (
    <>
      <PageHead title={t('sessions.title')}>
        {may('sessions.stop', experiment) && (
          <SegmentedControl
            size="xs"
            aria-label={t('sessions.whose')}
            value={all ? 'all' : 'mine'}
            onChange={(next) => state.set({ whose: next === 'all' ? 'all' : undefined })}
            data={[
              { value: 'mine', label: t('sessions.mine') },
              { value: 'all', label: t('sessions.all') },
            ]}
          />
        )}
        {start}
      </PageHead>
      <div className="cy-stack">
        <Answer to={sessions}>
          {({ items }) =>
            items.length === 0 ? (
              <Panel title={t('sessions.none')}>
                <Empty title={t('sessions.noneHint')}>{start}</Empty>
              </Panel>
            ) : (
              <SessionTable rows={items} owners={all} />
            )
          }
        </Answer>
        <Panel title={t('software.title')}>
          <Software />
        </Panel>
      </div>
    </>
  )
}

const tones: Record<EnvironmentStatus['state'], Tone> = {
  absent: 'quiet',
  building: 'info',
  ready: 'verified',
  failed: 'alarm',
}

function Software(): ReactNode {
  const environment = useAnswer(['notebooks', 'environment'], (signal) =>
    apiOf(notebooksContract).showEnvironment({}, { signal }),
  )
  return (
    <Answer to={environment}>
      {(answer) => (
        <div className="cy-stack">
          <div className="cy-row">
            <strong>{answer.name}</strong>
            <StateMark tone={tones[answer.state]}>{t(`software.${answer.state}`)}</StateMark>
            {answer.step !== null && <span className="cy-quiet">{answer.step}</span>}
            {answer.reason !== null && <span>{answer.reason}</span>}
          </div>
          <Facts
            items={[
              [t('software.python'), answer.python ?? undefined],
              [t('software.hash'), <code key="hash">{answer.hash.slice(0, 16)}</code>],
            ]}
          />
          {answer.packages.length > 0 && (
            <details>
              <summary>{t('software.packages', { count: answer.packages.length })}</summary>
              <p className="cy-mono cy-packages">
                {answer.packages.map((item) => `${item.name} ${item.version}`).join('  ')}
              </p>
            </details>
          )}
        </div>
      )}
    </Answer>
  )
}
