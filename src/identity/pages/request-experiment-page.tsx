/** /request-experiment: a principal investigator asks; nobody needs an account for it. */
import { Button, NumberInput, Textarea, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Panel, Problem, apiOf, useLanguage, useMe, useTitle } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { codeOfFragment } from './fragment.ts'
import { t } from './join-messages.ts'

const yearMs = 365 * 86_400_000

// Taken once per load of the page.
let taken: string | undefined

function takeCode(): string | undefined {
  const code = codeOfFragment(window.location.hash)
  if (code !== undefined) {
    taken = code
    window.history.replaceState(window.history.state, '', window.location.pathname)
  }
  return code
}

export default function RequestExperimentPage(): ReactNode {
  useTitle(t('ask.title'))
  const [code] = useState(takeCode)
  return (
    <div className="cy-join">
      <h1>{t('ask.title')}</h1>
      {code === undefined ? <Request /> : <Confirm />}
    </div>
  )
}

function Confirm(): ReactNode {
  const { mutate, data, error } = useMutation({
    mutationFn: (code: string) => apiOf(identityContract).confirmRequest({ body: { code } }),
  })
  useEffect(() => {
    if (taken === undefined) return
    mutate(taken)
    taken = undefined
  }, [mutate])
  if (error !== null) return <Problem error={error} title={t('ask.failed')} />
  if (data === undefined) return <p role="status">{t('ask.confirming')}</p>
  return (
    <Panel title={t('ask.confirmed')}>
      <p role="status">{t('ask.confirmedHint', { name: data.name })}</p>
    </Panel>
  )
}

function Request(): ReactNode {
  const me = useMe()
  const language = useLanguage()
  const [end, setEnd] = useState(() => new Date(Date.now() + 3 * yearMs).toISOString().slice(0, 10))
  const [people, setPeople] = useState<number | string>(10)
  const [storage, setStorage] = useState<number | string>(1)
  const ask = useMutation({
    mutationFn: (body: Parameters<ReturnType<typeof apiOf<typeof identityContract>>['requestExperiment']>[0]['body']) =>
      apiOf(identityContract).requestExperiment({ body }),
  })
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (name: string): string => String(form.get(name) ?? '').trim()
    ask.mutate({
      name: text('name'),
      title: text('title'),
      purpose: text('purpose'),
      people: Number(people),
      storageBytes: Math.round(Number(storage) * 1e12),
      endsAtMs: Date.parse(`${end}T23:59:59Z`),
      applicant: text('applicant'),
      email: text('email'),
      language,
    })
  }
  if (ask.data !== undefined) {
    const { email } = ask.variables
    const waits = ask.data.state === 'unconfirmed'
    return (
      <Panel title={waits ? t('ask.confirm') : t('ask.sent')}>
        <p role="status">{waits ? t('ask.confirmHint', { email }) : t('ask.sentHint', { email })}</p>
      </Panel>
    )
  }
  return (
    <form onSubmit={submit} className="cy-stack">
      <p>{t('ask.lead')}</p>
      <Panel title={t('ask.about')}>
        <div className="cy-stack">
          <TextInput
            name="name"
            label={t('ask.name')}
            description={t('ask.nameHint')}
            pattern="[a-z][a-z0-9\-]{0,38}[a-z0-9]"
            required
            autoComplete="off"
          />
          <TextInput name="title" label={t('ask.experiment')} maxLength={200} required autoComplete="off" />
          <Textarea name="purpose" label={t('ask.purpose')} maxLength={2000} autosize minRows={3} />
          <div className="cy-filters">
            <NumberInput label={t('ask.people')} min={1} max={10_000} value={people} onChange={setPeople} required />
            <NumberInput label={t('ask.storage')} min={0} max={10_000} value={storage} onChange={setStorage} required />
            <TextInput
              type="date"
              label={t('ask.end')}
              value={end}
              onChange={(event) => setEnd(event.currentTarget.value)}
              required
            />
          </div>
        </div>
      </Panel>
      <Panel title={t('ask.you')}>
        <div className="cy-stack">
          <TextInput
            name="applicant"
            label={t('ask.applicant')}
            defaultValue={me?.displayName ?? ''}
            maxLength={100}
            autoComplete="name"
            required
          />
          <TextInput name="email" type="email" label={t('ask.email')} autoComplete="email" required />
        </div>
      </Panel>
      {ask.error !== null && <Problem error={ask.error} />}
      <div>
        <Button type="submit" loading={ask.isPending}>
          {t('ask.send')}
        </Button>
      </div>
    </form>
  )
}
