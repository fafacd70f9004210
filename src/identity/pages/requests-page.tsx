/** /site/requests: who asks for an experiment, what the outbox holds, which rules the site has. */
import { Button, NumberInput, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import {
  Age,
  CopyLine,
  Empty,
  Facts,
  Moment,
  PageEnd,
  PageHead,
  Panel,
  Problem,
  StateMark,
  apiOf,
  usePages,
  useTitle,
} from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { experimentRequestSchema } from '../invitations/contract.ts'
import { t } from './invitations-messages.ts'
import { Outbox } from './outbox-panel.tsx'
import { SiteRules } from './site-rules-panel.tsx'

type Request = z.output<typeof experimentRequestSchema>

const tones: Record<Request['state'], Tone> = {
  unconfirmed: 'stale',
  waiting: 'warning',
  approved: 'quiet',
  rejected: 'stale',
}

export default function RequestsPage(): ReactNode {
  useTitle(t('requests.title'))
  const requests = usePages(['identity', 'requests'], (cursor, signal) =>
    apiOf(identityContract).listRequests({ query: cursor === undefined ? {} : { cursor } }, { signal }),
  )
  const { items } = requests
  return (
    <>
      <PageHead title={t('requests.title')} />
      <div className="cy-stack">
        <Panel title={t('requests.list')}>
          {requests.error !== null && items.length === 0 ? (
            <Problem error={requests.error} onRetry={requests.retry} />
          ) : items.length === 0 && !requests.waiting ? (
            <Empty title={t('requests.none', { page: '/request-experiment' })} />
          ) : (
            <ul className="cy-plain-list cy-stack">
              {items.map((request) => (
                <Row key={request.id} request={request} />
              ))}
            </ul>
          )}
          <PageEnd of={requests} />
        </Panel>
        <Outbox />
        <SiteRules />
      </div>
    </>
  )
}

function Row(props: { request: Request }): ReactNode {
  const { request } = props
  const [open, setOpen] = useState(false)
  return (
    <li className="cy-request">
      <div className="cy-row">
        <strong>{request.name}</strong>
        <span>{request.title}</span>
        <StateMark tone={tones[request.state]}>{t(`requests.state.${request.state}`)}</StateMark>
        {request.decidedBy !== null && (
          <span className="cy-quiet cy-small">{t('requests.decided', { name: request.decidedBy })}</span>
        )}
        <span className="cy-quiet cy-small">
          <Age atMs={request.createdAtMs} />
        </span>
        <Button
          size="compact-sm"
          variant="default"
          className="cy-row-tail"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? t('requests.close') : t('requests.open')}
        </Button>
      </div>
      {open && <Details request={request} />}
    </li>
  )
}

function Details(props: { request: Request }): ReactNode {
  const { request } = props
  return (
    <div className="cy-stack">
      {request.purpose !== '' && <p className="cy-pre">{request.purpose}</p>}
      <Facts
        items={[
          [
            t(`requests.known.${request.knownBy}`),
            t('requests.by', { applicant: request.applicant, email: request.email }),
          ],
          [t('requests.people'), request.people],
          [t('requests.until'), <Moment key="until" atMs={request.endsAtMs} />],
          [t('requests.asked'), <Moment key="asked" atMs={request.createdAtMs} />],
          [t('mail.reason'), request.reason],
        ]}
      />
      <Decision request={request} />
    </div>
  )
}

function Decision(props: { request: Request }): ReactNode {
  const { request } = props
  const queries = useQueryClient()
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity', 'requests'] })
  const [step, setStep] = useState<'choose' | 'approve' | 'reject'>('choose')
  const [terabytes, setTerabytes] = useState<number | string>(request.storageBytes / 1e12)
  const [reason, setReason] = useState('')
  const params = { request: request.id }
  const approve = useMutation({
    mutationFn: () =>
      apiOf(identityContract).approveRequest({
        params,
        body: { quotaBytes: Math.round(Number(terabytes) * 1e12) },
      }),
    onSuccess: refresh,
  })
  const reject = useMutation({
    mutationFn: () => apiOf(identityContract).rejectRequest({ params, body: { reason } }),
    onSuccess: refresh,
  })
  if (approve.data !== undefined) {
    const { url } = approve.data
    return (
      <div className="cy-notice" role="status">
        {url === null ? (
          t('requests.approved', { name: request.name })
        ) : (
          <>
            <span>{t('requests.approvedLink', { name: request.name, applicant: request.applicant })}</span>
            <CopyLine text={url} label={t('invite.copy')} />
          </>
        )}
      </div>
    )
  }
  if (request.state !== 'waiting') return null
  return (
    <>
      {approve.error !== null && <Problem error={approve.error} />}
      {reject.error !== null && <Problem error={reject.error} />}
      {step === 'choose' && (
        <div className="cy-row">
          <Button size="compact-sm" onClick={() => setStep('approve')}>
            {t('requests.approve')}
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => setStep('reject')}>
            {t('requests.reject')}
          </Button>
        </div>
      )}
      {step === 'approve' && (
        <div className="cy-filters">
          <NumberInput size="xs" label={t('requests.storage')} min={0} value={terabytes} onChange={setTerabytes} />
          <Button size="xs" loading={approve.isPending} onClick={() => approve.mutate()}>
            {t('requests.approveSure', { name: request.name })}
          </Button>
          <Button size="xs" variant="subtle" onClick={() => setStep('choose')}>
            {t('requests.keep')}
          </Button>
        </div>
      )}
      {step === 'reject' && (
        <form
          className="cy-filters"
          onSubmit={(event) => {
            event.preventDefault()
            reject.mutate()
          }}
        >
          <TextInput
            size="xs"
            label={t('requests.reason')}
            required
            maxLength={1000}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          <Button size="xs" type="submit" color="red" loading={reject.isPending}>
            {t('requests.reject')}
          </Button>
          <Button size="xs" variant="subtle" onClick={() => setStep('choose')}>
            {t('requests.keep')}
          </Button>
        </form>
      )}
    </>
  )
}
