/** Machines of an experiment: who answers for them, their keys, their end; and new ones with a create-only access key. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Answer, CopyLine, Moment, Problem, StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { KeySecret } from './access-keys.tsx'
import { t } from './messages.ts'
import { t as words } from './machines-messages.ts'
import { TwoStep } from './two-step.tsx'

export function Machines(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const queries = useQueryClient()
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity', 'clients'] })
  const machines = useAnswer(['identity', 'clients', experiment], (signal) =>
    apiOf(identityContract).listMachines({ query: { experiment } }, { signal }),
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
  const renew = useMutation({
    mutationFn: (machine: string) => apiOf(identityContract).renewMachine({ params: { machine }, body: {} }),
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
                    <th scope="col">{words('machines.keys')}</th>
                    <th scope="col">{words('machines.owners')}</th>
                    <th scope="col">{words('machines.ends')}</th>
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
                      <td className="cy-mono">
                        {[...client.keys.map(({ keyId }) => keyId.slice(0, 12)), ...client.accessKeyIds].join(' ')}
                      </td>
                      <td>
                        {client.expiresAtMs === null ? (
                          words('machines.noKeys')
                        ) : client.owners.length === 0 ? (
                          <StateMark tone="alarm">{words('machines.noOwner')}</StateMark>
                        ) : (
                          client.owners.map(({ displayName }) => displayName).join(', ')
                        )}
                      </td>
                      <td>
                        {client.expiresAtMs !== null && (
                          <>
                            <Moment atMs={client.expiresAtMs} />{' '}
                            <Button
                              size="compact-xs"
                              variant="subtle"
                              loading={renew.isPending}
                              onClick={() => renew.mutate(client.id)}
                            >
                              {words('machines.renew')}
                            </Button>
                          </>
                        )}
                      </td>
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
      {renew.error !== null && <Problem error={renew.error} />}
      <p className="cy-quiet">{words('machines.enrol')}</p>
      <CopyLine
        text={`cygnet daq enrol --experiment ${experiment} --name NAME --out FILE`}
        label={words('machines.copy')}
      />
      {register.data !== undefined && (
        <div className="cy-notice" role="status">
          <strong>{t('people.machineKey', { name: register.data.client.name })}</strong>
          <KeySecret made={register.data.accessKey} />
        </div>
      )}
    </div>
  )
}
