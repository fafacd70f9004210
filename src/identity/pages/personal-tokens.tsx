/** My personal tokens: made here for something, shown once, revoked at once. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Age, Answer, CopyLine, Moment, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './tokens-messages.ts'
import { TwoStep } from './two-step.tsx'

const dayMs = 86_400_000
/** What programs usually need; anything finer is for the command line (cygnet tokens create --may). */
const bundles = {
  read: ['logbook.read', 'data.read', 'jobs.read'],
  write: ['logbook.read', 'logbook.write', 'data.read', 'data.create', 'data.modify', 'jobs.read'],
  jobs: ['logbook.read', 'data.read', 'jobs.read', 'jobs.submit', 'jobs.cancel', 'reconstruction.run'],
} as const
type Bundle = keyof typeof bundles

const key = ['identity', 'personal-tokens']

export function PersonalTokens(): ReactNode {
  const queries = useQueryClient()
  const tokens = useAnswer(key, (signal) => apiOf(identityContract).listPersonalTokens({ query: {} }, { signal }))
  const revoke = useMutation({
    mutationFn: (token: string) => apiOf(identityContract).revokePersonalToken({ params: { token } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: key }),
  })
  return (
    <div className="cy-stack">
      <p className="cy-quiet">{t('tokens.hint')}</p>
      <CreateToken />
      {revoke.error !== null && <Problem error={revoke.error} />}
      <Answer to={tokens}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet">{t('tokens.none')}</p>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('tokens.label')}</th>
                    <th scope="col">{t('tokens.may')}</th>
                    <th scope="col">{t('tokens.only')}</th>
                    <th scope="col">{t('tokens.used')}</th>
                    <th scope="col">{t('tokens.ends')}</th>
                    <th scope="col">
                      <span className="cy-visually-hidden">{t('tokens.revoke')}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((token) => (
                    <tr key={token.id}>
                      <td>{token.label}</td>
                      <td className="cy-mono">{token.capabilities.join(' ')}</td>
                      <td>{token.experiment ?? t('tokens.everywhere')}</td>
                      <td>{token.lastUsedAtMs === null ? t('tokens.never') : <Age atMs={token.lastUsedAtMs} />}</td>
                      <td>
                        <Moment atMs={token.expiresAtMs} />
                      </td>
                      <td className="cy-right">
                        <TwoStep
                          label={t('tokens.revoke')}
                          sure={t('tokens.revokeSure')}
                          busy={revoke.isPending}
                          onSure={() => revoke.mutate(token.id)}
                        />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
    </div>
  )
}

function CreateToken(): ReactNode {
  const queries = useQueryClient()
  const me = useAnswer(['identity', 'me'], (signal) => apiOf(identityContract).me({}, { signal }))
  const experiments = [...new Set((me.data?.roles ?? []).map(({ experiment }) => experiment))]
  const [label, setLabel] = useState('')
  const [bundle, setBundle] = useState<Bundle>('read')
  const [experiment, setExperiment] = useState('')
  const [days, setDays] = useState('90')
  const create = useMutation({
    mutationFn: () =>
      apiOf(identityContract).createPersonalToken({
        body: {
          label,
          capabilities: [...bundles[bundle]],
          lifetimeMs: Number(days) * dayMs,
          ...(experiment === '' ? {} : { experiment }),
        },
      }),
    onSuccess: async () => {
      setLabel('')
      await queries.invalidateQueries({ queryKey: key })
    },
  })
  if (create.data !== undefined) {
    return (
      <div className="cy-notice" role="status">
        <strong>{t('tokens.made')}</strong>
        <CopyLine text={create.data.token} label={t('tokens.copy')} />
        <div>
          <Button size="compact-sm" onClick={() => create.reset()}>
            {t('tokens.stored')}
          </Button>
        </div>
      </div>
    )
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      <TextInput
        size="xs"
        label={t('tokens.label')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
      />
      <NativeSelect
        size="xs"
        label={t('tokens.may')}
        value={bundle}
        data={(Object.keys(bundles) as Bundle[]).map((name) => ({ value: name, label: t(`tokens.${name}`) }))}
        onChange={(event) => setBundle(event.currentTarget.value as Bundle)}
      />
      <NativeSelect
        size="xs"
        label={t('tokens.only')}
        value={experiment}
        data={[
          { value: '', label: t('tokens.everywhere') },
          ...experiments.map((name) => ({ value: name, label: name })),
        ]}
        onChange={(event) => setExperiment(event.currentTarget.value)}
      />
      <NativeSelect
        size="xs"
        label={t('tokens.lifetime')}
        value={days}
        data={[7, 30, 90, 365].map((count) => ({ value: String(count), label: t('tokens.days', { count }) }))}
        onChange={(event) => setDays(event.currentTarget.value)}
      />
      <Button size="xs" type="submit" loading={create.isPending}>
        {t('tokens.create')}
      </Button>
      {create.error !== null && <Problem error={create.error} />}
    </form>
  )
}
