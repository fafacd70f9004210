/** /site/identity-providers: institutes, whether they answer, and which of their groups give what here. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import {
  Age,
  Answer,
  CopyLine,
  Empty,
  PageHead,
  Panel,
  Problem,
  StateMark,
  apiOf,
  useAnswer,
  useMay,
  useTitle,
} from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { callbackPath, upstreamLogoutPath, type issuerSchema } from '../federation/contract.ts'
import { ImportRules } from './import-rules.tsx'
import { AddProvider } from './provider-form.tsx'
import { t } from './providers-messages.ts'
import { TwoStep } from './two-step.tsx'

type Issuer = z.infer<typeof issuerSchema>

export default function ProvidersPage(): ReactNode {
  useTitle(t('providers.title'))
  const may = useMay()
  const allowed = may('site.admin')
  return (
    <>
      <PageHead title={t('providers.title')} />
      {allowed ? (
        <Providers />
      ) : (
        <Empty title={t('providers.not')}>
          <p>{t('providers.notHint')}</p>
        </Empty>
      )}
    </>
  )
}

function Providers(): ReactNode {
  const issuers = useAnswer(['identity', 'issuers'], (signal) => apiOf(identityContract).listIssuers({}, { signal }), {
    everyMs: 30_000,
  })
  return (
    <div className="cy-stack">
      <Panel title={t('providers.list')}>
        <Answer to={issuers}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={t('providers.none')}>
                <p>{t('providers.noneHint')}</p>
              </Empty>
            ) : (
              <IssuerTable items={items} />
            )
          }
        </Answer>
      </Panel>
      <Panel title={t('rules.title')}>
        <ImportRules issuers={(issuers.data?.items ?? []).filter(({ clientId }) => clientId !== null)} />
      </Panel>
      <div className="cy-columns">
        <Panel title={t('providers.add')}>
          <AddProvider />
        </Panel>
        <Panel title={t('providers.register')}>
          <Registration />
        </Panel>
      </div>
    </div>
  )
}

function Registration(): ReactNode {
  const { origin } = window.location
  const addresses = [
    [t('providers.redirect'), `${origin}${callbackPath}`],
    [t('providers.logout'), `${origin}${upstreamLogoutPath}`],
    [t('providers.afterLogout'), `${origin}/sign-in`],
  ] as const
  return (
    <div className="cy-stack">
      {addresses.map(([name, address]) => (
        <div key={name}>
          <p className="cy-small cy-quiet">{name}</p>
          <CopyLine text={address} label={t('providers.copy')} />
        </div>
      ))}
    </div>
  )
}

function IssuerTable(props: { items: Issuer[] }): ReactNode {
  const queries = useQueryClient()
  const set = useMutation({
    mutationFn: ({ id, state }: Pick<Issuer, 'id' | 'state'>) =>
      apiOf(identityContract).setIssuerState({ params: { issuer: id }, body: { state } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <>
      {set.error !== null && <Problem error={set.error} />}
      <div className="cy-table-scroll">
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('providers.label')}</th>
              <th scope="col">{t('providers.issuer')}</th>
              <th scope="col">{t('providers.use')}</th>
              <th scope="col">{t('providers.people')}</th>
              <th scope="col">{t('providers.lag')}</th>
              <th scope="col">{t('providers.state')}</th>
              <th scope="col">
                <span className="cy-visually-hidden">{t('providers.disable')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {props.items.map((issuer) => (
              <tr key={issuer.id}>
                <td className="cy-key">{issuer.label}</td>
                <td className="cy-text">
                  <span className="cy-mono">{issuer.issuer}</span>
                  {issuer.problem !== null && (
                    <p className="cy-tone-warning cy-small">
                      {t('providers.problem', { problem: issuer.problem, hours: (issuer.recheckMinutes * 24) / 60 })}
                    </p>
                  )}
                </td>
                <td>
                  {[
                    issuer.clientId === null ? undefined : t('providers.useLogin'),
                    issuer.trust === null
                      ? undefined
                      : t('providers.useTokens', { experiment: issuer.trust.experiment }),
                  ]
                    .filter((word) => word !== undefined)
                    .join(', ')}
                </td>
                <td className="cy-number">{issuer.identities}</td>
                <td>
                  <Lag issuer={issuer} />
                </td>
                <td>
                  <StateMark tone={issuer.state === 'disabled' ? 'warning' : 'quiet'}>
                    {issuer.state === 'disabled' ? t('providers.disabled') : t('providers.enabled')}
                  </StateMark>
                </td>
                <td className="cy-right">
                  <TwoStep
                    label={issuer.state === 'enabled' ? t('providers.disable') : t('providers.enable')}
                    sure={issuer.state === 'enabled' ? t('providers.disableSure') : t('providers.enable')}
                    busy={set.isPending}
                    onSure={() =>
                      set.mutate({ id: issuer.id, state: issuer.state === 'enabled' ? 'disabled' : 'enabled' })
                    }
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function Lag(props: { issuer: Issuer }): ReactNode {
  const { clientId, identities, oldestCheckAtMs, recheckMinutes } = props.issuer
  if (clientId === null) return '–'
  if (identities === 0) return <span className="cy-quiet">{t('providers.never')}</span>
  if (oldestCheckAtMs === null) return <span className="cy-quiet">{t('providers.noRefresh')}</span>
  return (
    <>
      {t('providers.lagEvery', { minutes: recheckMinutes })}
      <span className="cy-quiet cy-small">
        {' '}
        {t('providers.lagOldest')} <Age atMs={oldestCheckAtMs} />
      </span>
    </>
  )
}
