/** Who am I here, by what do I sign in, what keys do I have, where am I signed in? */
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
  useMe,
  useTitle,
} from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { AccessKeys } from './access-keys.tsx'
import { browserName } from './browser-name.ts'
import { Devices } from './devices.tsx'
import { Factors } from './factors.tsx'
import { Identities } from './identities.tsx'
import { t } from './me-messages.ts'
import { t as peopleWords } from './messages.ts'
import { MyGroups } from './my-groups.tsx'
import { MyGuests } from './my-guests.tsx'
import { PersonalTokens } from './personal-tokens.tsx'
import { t as tokenWords } from './tokens-messages.ts'
import { TwoStep } from './two-step.tsx'

export default function MePage(): ReactNode {
  useTitle(t('me.title'))
  const recovering = useMe()?.recovering === true
  const signOut = useSignOut(() => apiOf(identityContract).signOut({}))
  return (
    <>
      <PageHead title={t('me.title')}>
        <Button size="compact-sm" variant="default" loading={signOut.isPending} onClick={() => signOut.mutate()}>
          {t('me.signOut')}
        </Button>
      </PageHead>
      {signOut.error !== null && <Problem error={signOut.error} />}
      <div className="cy-stack">
        {recovering ? (
          <Factors />
        ) : (
          <>
            <Who />
            <MyGroups />
            <Factors />
            <Panel title={t('me.institutes')}>
              <Identities />
            </Panel>
            <Panel title={t('me.keys')}>
              <AccessKeys />
            </Panel>
            <Panel title={tokenWords('tokens.title')}>
              <PersonalTokens />
            </Panel>
            <Panel title={tokenWords('devices.title')}>
              <Devices />
            </Panel>
            <MyGuests />
            <SignedIn />
            <Panel title={t('me.audit')}>
              <Audit />
            </Panel>
          </>
        )}
      </div>
    </>
  )
}

function Who(): ReactNode {
  const me = useAnswer(['identity', 'me'], (signal) => apiOf(identityContract).me({}, { signal }))
  return (
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
                  : [
                      ...new Set(
                        answer.roles.map(
                          (grant) => `${grant.group ?? grant.experiment}: ${peopleWords(`role.${grant.role}`)}`,
                        ),
                      ),
                    ].join(', '),
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
  )
}

interface SignedOut {
  signedOut: true
  /** The page that offers to sign out at the institute too. */
  next?: string | undefined
}

function useSignOut(end: () => Promise<SignedOut>): ReturnType<typeof useMutation<SignedOut, Error, void>> {
  const queries = useQueryClient()
  const [, navigate] = useLocation()
  return useMutation({
    mutationFn: end,
    onSuccess: ({ next }) => {
      navigate(next ?? '/sign-in')
      queries.clear()
    },
  })
}

function SignedIn(): ReactNode {
  const everywhere = useSignOut(() => apiOf(identityContract).signOutEverywhere({}))
  return (
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
      {everywhere.error !== null && <Problem error={everywhere.error} />}
      <Sessions />
    </Panel>
  )
}

function Sessions(): ReactNode {
  const sessions = useAnswer(['identity', 'sessions'], (signal) => apiOf(identityContract).listSessions({}, { signal }))
  return (
    <Answer to={sessions}>
      {({ items }) => (
        <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={t('me.sessions')}>
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

function Audit(): ReactNode {
  const audit = useAnswer(['identity', 'audit'], (signal) =>
    apiOf(identityContract).listAudit({ query: { mine: 'true', limit: 20 } }, { signal }),
  )
  return (
    <Answer to={audit}>
      {({ items }) => (
        <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={t('me.audit')}>
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('me.when')}</th>
                <th scope="col">{t('me.what')}</th>
                <th scope="col">{t('me.address')}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((entry) => (
                <tr key={entry.id}>
                  <td>
                    <Moment atMs={entry.atMs} />
                  </td>
                  <td>{entry.action.replaceAll('-', ' ')}</td>
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
