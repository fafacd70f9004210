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
import { shellContract } from '../contract.ts'
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
          <Panel title={t('status.now')}>
            <div className="cy-figures">
              <Figure
                value={formatBytes(answer.disk.freeBytes)}
                label={t('status.disk', { total: formatBytes(answer.disk.totalBytes), path: answer.disk.path })}
              />
              <Figure value={answer.storageLagChanges} label={t('status.lag')} />
              <Figure value={answer.backgroundJobs.waiting} label={t('status.waiting')} />
              <Figure value={answer.backgroundJobs.running} label={t('status.running')} />
              <Figure value={answer.backgroundJobs.dead} label={t('status.dead')} />
            </div>
            <Facts
              items={[
                [
                  t('status.sandbox'),
                  <StateMark key="sandbox" tone={answer.sandbox.available ? 'quiet' : 'warning'}>
                    {answer.sandbox.detail}
                  </StateMark>,
                ],
                [t('status.up'), <Age key="up" atMs={answer.startedMs} />],
              ]}
            />
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
          <Panel title={t('status.errors')}>
            {answer.lastErrors.length === 0 ? (
              <p className="cy-quiet">{t('status.noErrors')}</p>
            ) : (
              <ul className="cy-plain-list">
                {answer.lastErrors.map((error) => (
                  <li key={`${error.atMs} ${error.what}`}>
                    <Age atMs={error.atMs} /> <span className="cy-mono">{error.what}</span>
                  </li>
                ))}
              </ul>
            )}
          </Panel>
        </>
      )}
    </Answer>
  )
}
