/** My access keys: made here, shown once, revoked at once. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import type { z } from 'zod'
import { Answer, CopyButton, CopyLine, Moment, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { accessKeySchema, newAccessKeySchema } from '../contract.ts'
import { t } from './me-messages.ts'
import { TwoStep } from './two-step.tsx'

type AccessKey = z.infer<typeof accessKeySchema>
type NewAccessKey = z.infer<typeof newAccessKeySchema>
const dayMs = 86_400_000

export function AccessKeys(): ReactNode {
  const keys = useAnswer(['identity', 'keys'], (signal) =>
    apiOf(identityContract).listAccessKeys({ query: {} }, { signal }),
  )
  const queries = useQueryClient()
  const revoke = useMutation({
    mutationFn: (accessKey: string) => apiOf(identityContract).revokeAccessKey({ params: { accessKey } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity', 'keys'] }),
  })
  return (
    <div className="cy-stack">
      <p className="cy-quiet">{t('me.keysHint')}</p>
      <CreateKey />
      {revoke.error !== null && <Problem error={revoke.error} />}
      <Answer to={keys}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet">{t('me.noKeys')}</p>
          ) : (
            <KeyTable keys={items} busy={revoke.isPending} onRevoke={(key) => revoke.mutate(key.accessKeyId)} />
          )
        }
      </Answer>
    </div>
  )
}

function KeyTable(props: { keys: AccessKey[]; busy: boolean; onRevoke: (key: AccessKey) => void }): ReactNode {
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col">{t('me.accessKey')}</th>
            <th scope="col">{t('me.label')}</th>
            <th scope="col">{t('me.made')}</th>
            <th scope="col">{t('me.ends')}</th>
            <th scope="col">{t('me.limits')}</th>
            <th scope="col">
              <span className="cy-visually-hidden">{t('me.revoke')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.keys.map((key) => (
            <tr key={key.accessKeyId}>
              <td className="cy-mono">{key.accessKeyId}</td>
              <td>{key.label}</td>
              <td>
                <Moment atMs={key.createdAtMs} />
              </td>
              <td>{key.expiresAtMs === null ? t('me.never') : <Moment atMs={key.expiresAtMs} />}</td>
              <td className="cy-mono">
                {[key.limits.prefix, key.limits.actions?.join(' ')].filter(Boolean).join(' · ') || '–'}
              </td>
              <td className="cy-right">
                <TwoStep
                  label={t('me.revoke')}
                  sure={t('me.revokeSure')}
                  busy={props.busy}
                  onSure={() => props.onRevoke(key)}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function CreateKey(): ReactNode {
  const queries = useQueryClient()
  const [label, setLabel] = useState('')
  const [days, setDays] = useState('90')
  const create = useMutation({
    mutationFn: () =>
      apiOf(identityContract).createAccessKey({
        body: { label, ...(days === '' ? {} : { lifetimeMs: Number(days) * dayMs }) },
      }),
    onSuccess: async () => {
      setLabel('')
      await queries.invalidateQueries({ queryKey: ['identity', 'keys'] })
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  if (create.data !== undefined) {
    return (
      <div className="cy-notice" role="status">
        <strong>{t('me.created')}</strong>
        <KeySecret made={create.data} />
        <div>
          <Button size="compact-sm" onClick={() => create.reset()}>
            {t('me.stored')}
          </Button>
        </div>
      </div>
    )
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      <TextInput
        size="xs"
        label={t('me.label')}
        placeholder={t('me.labelHint')}
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
      />
      <NativeSelect
        size="xs"
        label={t('me.lifetime')}
        value={days}
        onChange={(event) => setDays(event.currentTarget.value)}
        data={[
          ...['1', '30', '90', '365'].map((value) => ({ value, label: t('me.days', { count: value }) })),
          { value: '', label: t('me.never') },
        ]}
      />
      <Button size="xs" type="submit" loading={create.isPending}>
        {t('me.newKey')}
      </Button>
      {create.error !== null && <Problem error={create.error} />}
    </form>
  )
}

export function KeySecret(props: { made: NewAccessKey }): ReactNode {
  const { accessKeyId, secretAccessKey } = props.made
  const profile = `[cygnet]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`
  return (
    <>
      <span className="cy-small">{t('me.accessKey')}</span>
      <CopyLine text={accessKeyId} label={t('me.copy')} />
      <span className="cy-small">{t('me.secret')}</span>
      <CopyLine text={secretAccessKey} label={t('me.copy')} />
      <div>
        <CopyButton text={profile} label={t('me.copyProfile')} />
      </div>
    </>
  )
}
