/** Is the audit whole? Asked for by a site admin, because it reads all of it. */
import { Button, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import type { z } from 'zod'
import { Moment, Panel, Problem, StateMark, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { auditReportSchema } from '../contract.ts'
import { t } from './audit-messages.ts'

type Report = z.infer<typeof auditReportSchema>

export function AuditWhole(): ReactNode {
  const [report, setReport] = useState<Report | undefined>(undefined)
  const verify = useMutation({ mutationFn: () => apiOf(identityContract).verifyAudit({}), onSuccess: setReport })
  return (
    <Panel
      title={t('audit.whole')}
      aside={
        <Button size="compact-sm" variant="default" loading={verify.isPending} onClick={() => verify.mutate()}>
          {t('audit.verify')}
        </Button>
      }
    >
      <p className="cy-quiet">{t('audit.wholeHint')}</p>
      {verify.error !== null && <Problem error={verify.error} />}
      {report !== undefined && <Found report={report} onReport={setReport} />}
    </Panel>
  )
}

function Found(props: { report: Report; onReport: (report: Report) => void }): ReactNode {
  const { whole, rows, files, faults, checkedAtMs } = props.report
  return (
    <div role="status">
      <p className="cy-row">
        <StateMark tone={whole ? 'verified' : 'alarm'}>
          {whole ? t('audit.isWhole', { rows, files }) : t('audit.isBroken')}
        </StateMark>
        <span className="cy-quiet">
          <Moment atMs={checkedAtMs} />
        </span>
      </p>
      {faults.length > 0 && (
        <div className="cy-table-scroll">
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('audit.row')}</th>
                <th scope="col">{t('audit.fault')}</th>
                <th scope="col">{t('audit.known')}</th>
              </tr>
            </thead>
            <tbody>
              {faults.map((fault) => (
                <tr key={`${fault.sequence} ${fault.what}`}>
                  <td className="cy-number">{fault.sequence}</td>
                  <td className="cy-text">{fault.what}</td>
                  <td>{fault.accepted ? t('audit.yes') : t('audit.no')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!whole && <Accept onReport={props.onReport} />}
    </div>
  )
}

function Accept(props: { onReport: (report: Report) => void }): ReactNode {
  const [reason, setReason] = useState('')
  const accept = useMutation({
    mutationFn: () => apiOf(identityContract).acceptAuditLoss({ body: { reason } }),
    onSuccess: props.onReport,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    accept.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      <TextInput
        size="xs"
        label={t('audit.reason')}
        placeholder={t('audit.reasonHint')}
        required
        minLength={10}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
      <Button size="xs" type="submit" color="red" loading={accept.isPending}>
        {t('audit.accept')}
      </Button>
      {accept.error !== null && <Problem error={accept.error} />}
    </form>
  )
}
