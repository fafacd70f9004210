/** Registered DAQ machines: each with a create-only key, shown once. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Answer, Moment, Problem, StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { KeySecret } from './access-keys.tsx'
import { t } from './messages.ts'
import { TwoStep } from './two-step.tsx'

export function Machines(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const queries = useQueryClient()
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity', 'clients'] })
  const machines = useAnswer(['identity', 'clients', experiment], (signal) =>
    apiOf(identityContract).listClients({ query: { experiment } }, { signal }),
  )
  const [name, setName] = useState('')
  const register = useMutation({
    mutationFn: () => apiOf(identityContract).registerClient({ body: { experiment, name } }),
    onSuccess: refresh,
  })
  const revoke = useMutation({
    mutationFn: (client: string) => apiOf(identityContract).revokeClient({ params: { client } }),
    onSuccess: refresh,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    register.mutate()
  }
  return (
    <div className="cy-stack">
      <p className="cy-quiet">{t('people.machinesHint')}</p>
      <Answer to={machines}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet">{t('people.noMachines')}</p>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('people.machine')}</th>
                    <th scope="col">{t('me.accessKey')}</th>
                    <th scope="col">{t('people.state')}</th>
                    <th scope="col">{t('people.since')}</th>
                    <th scope="col">
                      <span className="cy-visually-hidden">{t('me.revoke')}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((client) => (
                    <tr key={client.id}>
                      <td className="cy-key">{client.name}</td>
                      <td className="cy-mono">{client.accessKeyIds.join(' ')}</td>
                      <td>
                        <StateMark tone={client.state === 'active' ? 'quiet' : 'warning'}>
                          {t(`people.${client.state}`)}
                        </StateMark>
                      </td>
                      <td>
                        <Moment atMs={client.createdAtMs} />
                      </td>
                      <td className="cy-right">
                        {client.state === 'active' && (
                          <TwoStep
                            label={t('me.revoke')}
                            sure={t('me.revokeSure')}
                            busy={revoke.isPending}
                            onSure={() => revoke.mutate(client.id)}
                          />
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
      <form onSubmit={submit} className="cy-filters">
        <TextInput
          size="xs"
          label={t('people.machine')}
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button size="xs" type="submit" loading={register.isPending}>
          {t('people.register')}
        </Button>
      </form>
      {register.error !== null && <Problem error={register.error} />}
      {register.data !== undefined && (
        <div className="cy-notice" role="status">
          <strong>{t('people.machineKey', { name: register.data.client.name })}</strong>
          <KeySecret made={register.data.accessKey} />
        </div>
      )}
    </div>
  )
}
