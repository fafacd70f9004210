/** Is the machine beside the detector there, and does anything wait on its disk? */
import type { ReactNode } from 'react'
import { Age, Answer, StateMark, apiOf, formatBytes, useAnswer } from '../../foundation/browser.tsx'
import { ingestContract } from '../contract.ts'
import { t } from './messages.ts'

export default function AgentsPanel(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const agents = useAnswer(
    ['ingest', 'agents', experiment],
    (signal) => apiOf(ingestContract).listAgents({ params: { experiment } }, { signal }),
    { everyMs: 10_000 },
  )
  return (
    <Answer to={agents}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="cy-quiet">{t('agents.none')}</p>
        ) : (
          <div className="cy-stack">
            {items.map((agent) => (
              <div key={agent.name}>
                <div className="cy-row">
                  <StateMark tone={agent.state === 'working' ? 'quiet' : 'warning'}>
                    <strong>{agent.name}</strong> {t(`agents.${agent.state}`)}
                  </StateMark>
                  <span className="cy-quiet cy-small cy-row-end">
                    {t('agents.heard')} <Age atMs={agent.lastSeenMs} />
                  </span>
                </div>
                <p className="cy-quiet cy-small">
                  <span className="cy-mono">
                    {agent.host}:{agent.directory}
                  </span>{' '}
                  · {t('agents.waiting', { count: agent.waitingRuns })}
                  {agent.waitingBytes > 0 && ` (${formatBytes(agent.waitingBytes)})`}
                  {agent.freeBytes !== null && ` · ${t('agents.free', { size: formatBytes(agent.freeBytes) })}`}
                </p>
                {agent.trouble !== '' && (
                  <StateMark tone="warning" className="cy-wrap">
                    {agent.trouble}
                  </StateMark>
                )}
              </div>
            ))}
          </div>
        )
      }
    </Answer>
  )
}
