/** `/status`: is it me or the system? */
import type { ReactNode } from 'react'
import {
  Age,
  Answer,
  Bytes,
  Facts,
  Figure,
  PageHead,
  Panel,
  StateMark,
  apiOf,
  formatBytes,
  useAnswer,
  useMay,
  useTitle,
} from '../../foundation/browser.tsx'
import type { z } from 'zod'
import { shellContract, type statusSchema } from '../contract.ts'
import { t } from './messages.ts'

export default function StatusPage(): ReactNode {
  useTitle(t('status.title'))
  const may = useMay()
  const health = useAnswer(['shell', 'health'], (signal) => apiOf(shellContract).health({}, { signal }), {
    everyMs: 5000,
  })
  return (
    <>
      <PageHead title={t('status.title')} />
      <div className="cy-stack">
        <Panel title={t('status.platform')}>
          <Answer to={health}>
            {({ version, nowMs }) => (
              <div className="cy-row">
                <StateMark tone="verified" className="cy-recording-word">
                  {t('status.serving')}
                </StateMark>
                <span className="cy-quiet">
                  {t('status.version', { version })} · <Age atMs={nowMs} />
                </span>
              </div>
            )}
          </Answer>
        </Panel>
        {may('ops.read') ? <Operations /> : <p className="cy-quiet">{t('status.more')}</p>}
      </div>
    </>
  )
}

function Operations(): ReactNode {
  const status = useAnswer(['shell', 'status'], (signal) => apiOf(shellContract).status({}, { signal }), {
    everyMs: 5000,
  })
  return (
    <Answer to={status}>
      {(answer) => (
        <>
          <Concerns concerns={answer.concerns} />
          <Panel title={t('status.now')}>
            <div className="cy-figures">
              <Figure
                value={formatBytes(answer.disk.freeBytes)}
                label={t('status.disk', { total: formatBytes(answer.disk.totalBytes), path: answer.disk.path })}
              />
              <Figure
                value={`${answer.machine.cpuMilli.used / 1000} / ${answer.machine.cpuMilli.total / 1000}`}
                label={t('status.cores')}
              />
              <Figure value={answer.machine.jobs.running} label={t('status.jobsRunning')} />
              <Figure value={answer.machine.jobs.waiting} label={t('status.jobsWaiting')} />
            </div>
            <Facts
              items={[
                [t('status.lag'), answer.storageLagChanges],
                [t('status.behind'), Math.max(0, ...answer.followers.map(({ behind }) => behind))],
                [
                  t('status.background'),
                  t('status.backgroundJobs', {
                    waiting: String(answer.backgroundJobs.waiting),
                    running: String(answer.backgroundJobs.running),
                    dead: String(answer.backgroundJobs.dead),
                  }),
                ],
                [
                  t('status.database'),
                  `${t(`status.${answer.database.kind}`)}, ${formatBytes(answer.database.sizeBytes)}`,
                ],
                [t('status.up'), <Age key="up" atMs={answer.startedMs} />],
              ]}
            />
            <p className="cy-small">
              <StateMark tone={answer.sandbox.available ? 'verified' : 'alarm'}>{t('status.sandbox')}</StateMark>{' '}
              <span className="cy-quiet">{answer.sandbox.detail}</span>
            </p>
          </Panel>
          <Panel title={t('status.processes')}>
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('status.name')}</th>
                    <th scope="col" className="cy-right">
                      {t('status.pid')}
                    </th>
                    <th scope="col">{t('status.started')}</th>
                    <th scope="col" className="cy-right">
                      {t('status.memory')}
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {answer.processes.map((process) => (
                    <tr key={process.pid}>
                      <td className="cy-key">{process.name}</td>
                      <td className="cy-right">{process.pid}</td>
                      <td>
                        <Age atMs={process.startedMs} />
                      </td>
                      <td className="cy-right">
                        <Bytes sizeBytes={process.memoryBytes} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </Panel>
          {answer.agents.length > 0 && <Agents agents={answer.agents} />}
          <Trouble status={answer} />
        </>
      )}
    </Answer>
  )
}

type Status = z.infer<typeof statusSchema>

/** First what is wrong now, or that nothing is: the question the page is opened with. */
function Concerns({ concerns }: Pick<Status, 'concerns'>): ReactNode {
  return (
    <Panel title={t('status.concerns')}>
      {concerns.length === 0 ? (
        <StateMark tone="verified">{t('status.noConcerns')}</StateMark>
      ) : (
        <ul className="cy-plain-list">
          {concerns.map(({ grave, what, hint }) => (
            <li key={what}>
              <StateMark tone={grave ? 'alarm' : 'warning'}>{what}</StateMark> <span className="cy-quiet">{hint}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

function Agents({ agents }: Pick<Status, 'agents'>): ReactNode {
  return (
    <Panel title={t('status.agents')}>
      <div className="cy-table-scroll">
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('status.experiment')}</th>
              <th scope="col">{t('status.name')}</th>
              <th scope="col">{t('status.state')}</th>
              <th scope="col">{t('status.heard')}</th>
              <th scope="col" className="cy-right">
                {t('status.waitingRuns')}
              </th>
              <th scope="col">{t('status.trouble')}</th>
            </tr>
          </thead>
          <tbody>
            {agents.map((agent) => (
              <tr key={`${agent.experiment} ${agent.name}`}>
                <td>{agent.experiment}</td>
                <td className="cy-key">{agent.name}</td>
                <td>
                  <StateMark tone={agent.state === 'working' ? 'quiet' : 'alarm'}>
                    {t(`status.agent.${agent.state}`)}
                  </StateMark>
                </td>
                <td>
                  <Age atMs={agent.lastSeenMs} />
                </td>
                <td className="cy-right">{agent.waitingRuns}</td>
                <td>{agent.trouble}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

/** What went wrong lately, with what the logs can be searched by. */
function Trouble({ status: { givenUp, recentTrouble } }: { status: Status }): ReactNode {
  return (
    <Panel title={t('status.errors')}>
      {givenUp.length + recentTrouble.length === 0 ? (
        <p className="cy-quiet">{t('status.noErrors')}</p>
      ) : (
        <ul className="cy-plain-list">
          {givenUp.map(({ atMs, what }) => (
            <li key={`${atMs} ${what}`}>
              <Age atMs={atMs} /> <StateMark tone="alarm">{t('status.givenUp')}</StateMark>{' '}
              <span className="cy-mono">{what}</span>
            </li>
          ))}
          {recentTrouble.map(({ atMs, level, process, message, requestId, jobId, run }, index) => (
            <li key={`${atMs} ${index}`}>
              <Age atMs={atMs} /> <StateMark tone={level === 'warn' ? 'warning' : 'alarm'}>{process}</StateMark>{' '}
              <span className="cy-mono">{message}</span>{' '}
              <span className="cy-quiet cy-mono">{run ?? jobId ?? requestId ?? ''}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
