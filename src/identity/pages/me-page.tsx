/** Who am I here, what keys do I have, where am I signed in? */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useLocation } from 'wouter'
import {
  Age,
  Answer,
  Facts,
  Moment,
  PageHead,
  Panel,
  Problem,
  apiOf,
  useAnswer,
  useTitle,
} from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { AccessKeys } from './access-keys.tsx'
import { t } from './messages.ts'
import { TwoStep } from './two-step.tsx'

export default function MePage(): ReactNode {
  useTitle(t('me.title'))
  const me = useAnswer(['identity', 'me'], (signal) => apiOf(identityContract).me({}, { signal }))
  const signOut = useSignOut(() => apiOf(identityContract).signOut({}))
  const everywhere = useSignOut(() => apiOf(identityContract).signOutEverywhere({}))
  return (
    <>
      <PageHead title={t('me.title')}>
        <Button size="compact-sm" variant="default" loading={signOut.isPending} onClick={() => signOut.mutate()}>
          {t('me.signOut')}
        </Button>
      </PageHead>
      {signOut.error !== null && <Problem error={signOut.error} />}
      <div className="cy-stack">
        <Panel title={t('me.who')}>
          <Answer to={me}>
            {(answer) => (
              <Facts
                items={[
                  [t('me.name'), answer.displayName],
                  [t('me.account'), answer.name],
                  [t('me.admin'), answer.siteAdmin ? t('me.yes') : undefined],
                  [
                    t('me.roles'),
                    answer.roles.length === 0
                      ? answer.siteAdmin
                        ? undefined
                        : t('me.noRoles')
                      : answer.roles.map((grant) => `${grant.experiment}: ${t(`role.${grant.role}`)}`).join(', '),
                  ],
                  [
                    t('me.until'),
                    answer.expiresAtMs === null ? undefined : <Moment key="until" atMs={answer.expiresAtMs} />,
                  ],
                ]}
              />
            )}
          </Answer>
        </Panel>
        <Panel title={t('me.keys')}>
          <AccessKeys />
        </Panel>
        <Panel
          title={t('me.sessions')}
          aside={
            <TwoStep
              label={t('me.signOutEverywhere')}
              sure={t('me.signOutEverywhere')}
              busy={everywhere.isPending}
              onSure={() => everywhere.mutate()}
            />
          }
        >
          <Sessions />
        </Panel>
        <Panel title={t('me.audit')}>
          <Audit />
        </Panel>
      </div>
    </>
  )
}

function useSignOut(end: () => Promise<unknown>): ReturnType<typeof useMutation<unknown, Error, void>> {
  const queries = useQueryClient()
  const [, navigate] = useLocation()
  return useMutation({
    mutationFn: end,
    onSuccess: () => {
      navigate('/sign-in')
      queries.clear()
    },
  })
}

function Sessions(): ReactNode {
  const sessions = useAnswer(['identity', 'sessions'], (signal) => apiOf(identityContract).listSessions({}, { signal }))
  return (
    <Answer to={sessions}>
      {({ items }) => (
        <div className="cy-table-scroll">
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('me.browser')}</th>
                <th scope="col">{t('me.address')}</th>
                <th scope="col">{t('me.made')}</th>
                <th scope="col">{t('me.seen')}</th>
                <th scope="col">{t('me.ends')}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((session) => (
                <tr key={session.id}>
                  <td className="cy-text" title={session.userAgent}>
                    {session.current ? <strong>{t('me.this')}</strong> : browserName(session.userAgent)}
                  </td>
                  <td className="cy-mono">{session.address}</td>
                  <td>
                    <Moment atMs={session.createdAtMs} />
                  </td>
                  <td>
                    <Age atMs={session.lastSeenAtMs} />
                  </td>
                  <td>
                    <Moment atMs={session.expiresAtMs} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Answer>
  )
}

/** `Firefox on Linux` from a user agent string; the whole string is in the tooltip. */
export function browserName(userAgent: string): string {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\/[\d.]+/.exec(userAgent)?.[1] ?? userAgent.split('/')[0] ?? ''
  const system = /(Windows|Mac OS X|Android|iPhone|Linux)/.exec(userAgent)?.[1]
  return system === undefined ? browser : `${browser} on ${system}`
}

function Audit(): ReactNode {
  const audit = useAnswer(['identity', 'audit'], (signal) =>
    apiOf(identityContract).listAudit({ query: { mine: 'true', limit: 20 } }, { signal }),
  )
  return (
    <Answer to={audit}>
      {({ items }) => (
        <div className="cy-table-scroll">
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('me.when')}</th>
                <th scope="col">{t('me.what')}</th>
                <th scope="col">{t('me.target')}</th>
                <th scope="col">{t('me.address')}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((entry) => (
                <tr key={entry.id}>
                  <td>
                    <Moment atMs={entry.atMs} />
                  </td>
                  <td>{entry.action}</td>
                  <td className="cy-mono">{entry.target}</td>
                  <td className="cy-mono">{entry.address}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Answer>
  )
}
