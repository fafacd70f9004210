/** What acts for me besides browsers: command lines, applications, and the S3 keys they were lent. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Age, Answer, Moment, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './tokens-messages.ts'
import { TwoStep } from './two-step.tsx'

const key = ['identity', 'devices']
const temporaryKey = ['identity', 'temporary-keys']

export function Devices(): ReactNode {
  const queries = useQueryClient()
  const refresh = async (): Promise<void> => {
    await queries.invalidateQueries({ queryKey: key })
    await queries.invalidateQueries({ queryKey: temporaryKey })
  }
  const devices = useAnswer(key, (signal) => apiOf(identityContract).listDevices({ query: {} }, { signal }))
  const keys = useAnswer(temporaryKey, (signal) => apiOf(identityContract).listTemporaryKeys({ query: {} }, { signal }))
  const signOut = useMutation({
    mutationFn: (device: string) => apiOf(identityContract).revokeDevice({ params: { device } }),
    onSuccess: refresh,
  })
  const revoke = useMutation({
    mutationFn: (accessKey: string) => apiOf(identityContract).revokeAccessKey({ params: { accessKey } }),
    onSuccess: refresh,
  })
  return (
    <div className="cy-stack">
      <p className="cy-quiet">{t('devices.hint')}</p>
      {signOut.error !== null && <Problem error={signOut.error} />}
      <Answer to={devices}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet">{t('devices.none')}</p>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('devices.application')}</th>
                    <th scope="col">{t('devices.scopes')}</th>
                    <th scope="col">{t('devices.from')}</th>
                    <th scope="col">{t('devices.since')}</th>
                    <th scope="col">{t('devices.used')}</th>
                    <th scope="col">
                      <span className="cy-visually-hidden">{t('devices.signOut')}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((device) => (
                    <tr key={device.id}>
                      <td>{device.application}</td>
                      <td>{device.scopes.includes('api') ? t('devices.everything') : device.scopes.join(' ')}</td>
                      <td className="cy-mono">{device.address}</td>
                      <td>
                        <Moment atMs={device.createdAtMs} />
                      </td>
                      <td>
                        <Age atMs={device.lastUsedAtMs} />
                      </td>
                      <td className="cy-right">
                        <TwoStep
                          label={t('devices.signOut')}
                          sure={t('devices.signOutSure')}
                          busy={signOut.isPending}
                          onSure={() => signOut.mutate(device.id)}
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
      {revoke.error !== null && <Problem error={revoke.error} />}
      <Answer to={keys}>
        {({ items }) =>
          items.length === 0 ? null : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <caption>{t('devices.temporary')}</caption>
                <thead>
                  <tr>
                    <th scope="col">{t('devices.key')}</th>
                    <th scope="col">{t('devices.for')}</th>
                    <th scope="col">{t('tokens.ends')}</th>
                    <th scope="col">
                      <span className="cy-visually-hidden">{t('tokens.revoke')}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((one) => (
                    <tr key={one.accessKeyId}>
                      <td className="cy-mono">{one.accessKeyId}</td>
                      <td>{one.actor ?? one.label}</td>
                      <td>
                        <Moment atMs={one.expiresAtMs} />
                      </td>
                      <td className="cy-right">
                        <TwoStep
                          label={t('tokens.revoke')}
                          sure={t('tokens.revokeSure')}
                          busy={revoke.isPending}
                          onSure={() => revoke.mutate(one.accessKeyId)}
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
