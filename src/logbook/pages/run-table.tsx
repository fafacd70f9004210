/** Rows of runs, shared by home (brief) and the run list. Columns of upper rooms come through their slot. */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Bytes,
  Count,
  Lazily,
  Moment,
  StateMark,
  formatDuration,
  useNow,
  useRowKeys,
  useSlots,
} from '../../foundation/browser.tsx'
import type { Run } from '../contract.ts'
import { QualityMark, RunStateMark, runAddress } from './marks.tsx'
import { t } from './messages.ts'

export function RunTable(props: { experiment: string; rows: Run[]; brief?: boolean }): ReactNode {
  const columns = useSlots('runColumns')
  const table = useRowKeys({ next: t('runs.next'), previous: t('runs.previous') })
  const full = props.brief !== true
  return (
    <div className="cy-table-scroll">
      <table className="cy-table" ref={table}>
        <thead>
          <tr>
            <th scope="col">{t('column.run')}</th>
            <th scope="col">{t('column.start')}</th>
            <th scope="col" className="cy-right">
              {t('column.duration')}
            </th>
            <th scope="col" className="cy-right">
              {t('column.images')}
            </th>
            {full && (
              <th scope="col" className="cy-right">
                {t('column.size')}
              </th>
            )}
            <th scope="col">{t('column.kind')}</th>
            <th scope="col">{t('column.state')}</th>
            {columns.map((column) => (
              <th key={column.id} scope="col">
                {column.title}
              </th>
            ))}
            {full && <th scope="col">{t('column.quality')}</th>}
            {full && <th scope="col">{t('column.description')}</th>}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((run) => (
            <tr key={run.id} data-row>
              <td className="cy-key">
                <Link href={runAddress(props.experiment, run.reference)}>{run.reference}</Link>
              </td>
              <td>
                <Moment atMs={run.startedMs} style={full ? 'full' : 'short'} />
              </td>
              <td className="cy-right">
                <Duration run={run} />
              </td>
              <td className="cy-right">
                <Count of={run.images} />
              </td>
              {full && (
                <td className="cy-right">
                  <Bytes sizeBytes={run.sizeBytes} />
                </td>
              )}
              <td>{t(`kind.${run.kind}`)}</td>
              <td>
                <span className="cy-row">
                  <RunStateMark state={run.state} />
                  {run.faults > 0 && <StateMark tone="warning">{t('fault.faults', { count: run.faults })}</StateMark>}
                </span>
              </td>
              {columns.map((column) => (
                <td key={column.id}>
                  <Lazily
                    load={column.load}
                    waiting=""
                    with={{ experiment: props.experiment, series: run.series, number: run.number, state: run.state }}
                  />
                </td>
              ))}
              {full && (
                <td>
                  <QualityMark run={run} />
                </td>
              )}
              {full && (
                <td className="cy-text cy-rest" title={run.description}>
                  {run.description}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export function Duration(props: { run: Pick<Run, 'startedMs' | 'endedMs' | 'state'> }): ReactNode {
  const { startedMs, endedMs, state } = props.run
  if (startedMs === null) return '–'
  if (endedMs !== null) return <span className="cy-number">{formatDuration(endedMs - startedMs)}</span>
  return state === 'recording' ? <Running sinceMs={startedMs} /> : '–'
}

function Running(props: { sinceMs: number }): ReactNode {
  const nowMs = useNow()
  return <span className="cy-number">{formatDuration(nowMs - props.sinceMs)}</span>
}
