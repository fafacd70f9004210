/** Rows of the audit; each opens to what else is known of it. */
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Facts, Moment, StateMark } from '../../foundation/browser.tsx'
import type { auditEntrySchema } from '../contract.ts'
import { t } from './audit-messages.ts'

type Entry = z.infer<typeof auditEntrySchema>

export function AuditTable(props: {
  rows: Entry[]
  withExperiment: boolean
  onFilter: (changes: Record<string, string>) => void
}): ReactNode {
  const { rows, withExperiment, onFilter } = props
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col">{t('audit.when')}</th>
            <th scope="col">{t('audit.who')}</th>
            <th scope="col">{t('audit.what')}</th>
            <th scope="col">{t('audit.target')}</th>
            {withExperiment && <th scope="col">{t('audit.experiment')}</th>}
            <th scope="col">{t('audit.address')}</th>
            <th scope="col">{t('audit.decision')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} data-row>
              <td>
                <Moment atMs={row.atMs} />
              </td>
              <td className="cy-key">
                <FilterButton text={row.actorName} onPick={() => onFilter({ actor: row.actorName })} />
              </td>
              <td>
                <FilterButton text={row.action.replaceAll('-', ' ')} onPick={() => onFilter({ action: row.action })} />
              </td>
              <td className="cy-text">
                <Details row={row} />
              </td>
              {withExperiment && <td>{row.experiment ?? '–'}</td>}
              <td className="cy-mono">
                <FilterButton text={row.address} onPick={() => onFilter({ address: row.address })} />
              </td>
              <td>
                <StateMark tone={row.decision === 'deny' ? 'warning' : 'quiet'}>
                  {row.decision === 'deny' ? t('audit.deny') : t('audit.allow')}
                </StateMark>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function FilterButton(props: { text: string; onPick: () => void }): ReactNode {
  return (
    <button type="button" className="cy-audit-pick" onClick={props.onPick}>
      {props.text}
    </button>
  )
}

function Details(props: { row: Entry }): ReactNode {
  const { row } = props
  return (
    <details className="cy-audit-details">
      <summary title={t('audit.more', { sequence: row.sequence })}>{row.targetName ?? row.target}</summary>
      <Facts
        items={[
          [t('audit.row'), row.sequence],
          [t('audit.target'), <code key="target">{row.target}</code>],
          [t('audit.kind'), row.actorKind],
          [t('audit.by'), row.credential === '' ? undefined : row.credential],
          [t('audit.request'), <code key="request">{row.requestId}</code>],
        ]}
      />
      {Object.keys(row.detail).length > 0 && (
        <pre className="cy-audit-detail">{JSON.stringify(row.detail, null, 2)}</pre>
      )}
    </details>
  )
}
