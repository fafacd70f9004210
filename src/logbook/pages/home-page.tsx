/** Home of an experiment: is everything fine, and what should I do next? */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Age,
  Answer,
  CopyLine,
  Empty,
  Lazily,
  Moment,
  PageHead,
  Panel,
  StateMark,
  apiOf,
  useAnswer,
  useSlots,
  useTitle,
} from '../../foundation/browser.tsx'
import type { HomePanel, PageProps } from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import type { Recording } from '../contract.ts'
import { FaultList } from './fault-list.tsx'
import { runAddress } from './marks.tsx'
import { t } from './messages.ts'
import { NotesPanel } from './notes-panel.tsx'
import { RunTable } from './run-table.tsx'
import { Today } from './today.tsx'

export default function HomePage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('nav.home'))
  const home = useAnswer(['logbook', 'experiment', experiment], (signal) =>
    apiOf(logbookContract).showExperiment({ params: { experiment } }, { signal }),
  )
  const lastRuns = useAnswer(['logbook', 'runs', experiment, 'last'], (signal) =>
    apiOf(logbookContract).listRuns({ params: { experiment }, query: { limit: 8 } }, { signal }),
  )
  const panels = useSlots('homePanels')
  return (
    <>
      <PageHead
        title={home.data?.experiment.title ?? experiment}
        aside={
          home.data === undefined ? undefined : (
            <span>{home.data.setups.map((setup) => setup.title || setup.name).join(' · ')}</span>
          )
        }
      />
      <div className="cy-columns">
        <div className="cy-stack">
          <Panel title={t('home.recording')}>
            <Answer to={home}>
              {({ recording, runs, setups, series }) => (
                <>
                  {recording.map((row) => (
                    <RecordingRow key={row.setup} experiment={experiment} row={row} />
                  ))}
                  {runs === 0 && (
                    <Empty title={t('home.noRuns')}>
                      <p>{t('home.noRunsHint')}</p>
                      {watchCommands(
                        experiment,
                        setups[0]?.name ?? 'lime',
                        series[0]?.name ?? 'sim',
                        location.origin,
                      ).map((text) => (
                        <CopyLine key={text} label={t('home.watch')} text={text} />
                      ))}
                    </Empty>
                  )}
                </>
              )}
            </Answer>
          </Panel>
          <Panel title={t('home.today')}>
            <Today experiment={experiment} />
          </Panel>
          {(lastRuns.data?.items.length ?? 1) > 0 && (
            <Panel title={t('home.runs')} aside={<Link href={`/e/${experiment}/runs`}>{t('home.allRuns')}</Link>}>
              <Answer to={lastRuns}>{({ items }) => <RunTable experiment={experiment} rows={items} brief />}</Answer>
            </Panel>
          )}
          <Slots panels={panels} column="main" experiment={experiment} />
        </div>
        <div className="cy-stack">
          <Panel title={t('home.faults')}>
            <Answer to={home}>
              {({ faults }) =>
                faults.length === 0 ? (
                  <p className="cy-quiet">{t('home.noFaults')}</p>
                ) : (
                  <FaultList experiment={experiment} faults={faults} />
                )
              }
            </Answer>
          </Panel>
          <Slots panels={panels} column="side" experiment={experiment} />
          <Panel title={t('home.notes')}>
            <NotesPanel experiment={experiment} limit={5} />
          </Panel>
        </div>
      </div>
    </>
  )
}

/** Where somebody is signed in: a key for the machine. On the DAQ machine, with that file: the agent. */
function watchCommands(experiment: string, setup: string, series: string, platformUrl: string): string[] {
  return [
    `(umask 077; cygnet credentials create --client daq-${setup} --experiment ${experiment} --json > daq.key)`,
    `cygnet daq watch /data/run --experiment ${experiment} --setup ${setup} --series ${series} --server ${platformUrl} --key-file daq.key`,
  ]
}

function Slots(props: { panels: HomePanel[]; column: HomePanel['column']; experiment: string }): ReactNode {
  return props.panels
    .filter((panel) => panel.column === props.column)
    .map((panel) => (
      <Panel key={panel.id} title={panel.title}>
        <Lazily load={panel.load} with={{ experiment: props.experiment }} />
      </Panel>
    ))
}

function RecordingRow(props: { experiment: string; row: Recording }): ReactNode {
  const { row } = props
  const on = row.status === 'recording'
  return (
    <div className="cy-recording">
      <StateMark tone={on ? 'info' : 'stale'} className={`cy-recording-word ${on ? '' : 'cy-recording-no'}`}>
        {on ? t('home.yes') : t('home.no')}
      </StateMark>
      <div>
        <div>
          <strong>{row.setup}</strong>
          {row.sinceMs !== null && (
            <>
              {' '}
              {t('home.since')} <Moment atMs={row.sinceMs} />
            </>
          )}
          {' · '}
          {row.run === null ? (
            t('home.neverSeen')
          ) : (
            <>
              {on ? t('home.run') : t('home.lastRun')}{' '}
              <Link href={runAddress(props.experiment, row.run)}>{row.run}</Link>
            </>
          )}
          {on && row.lastSeenMs !== null && (
            <span className="cy-quiet">
              {' · '}
              {t('home.seen')} <Age atMs={row.lastSeenMs} />
            </span>
          )}
        </div>
        {row.advice !== '' && <div className="cy-quiet">{row.advice}</div>}
      </div>
    </div>
  )
}
