/** Institutes by which I sign in: linked, linked anew, unlinked. A panel of the page Me. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Age, Answer, Moment, Problem, StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { InstituteButtons } from './institute-buttons.tsx'
import { t } from './institute-messages.ts'
import { TwoStep } from './two-step.tsx'

export function Identities(): ReactNode {
  const queries = useQueryClient()
  const identities = useAnswer(['identity', 'identities'], (signal) =>
    apiOf(identityContract).listIdentities({}, { signal }),
  )
  const unlink = useMutation({
    mutationFn: (identity: string) => apiOf(identityContract).unlinkIdentity({ params: { identity } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <div className="cy-stack">
      {unlink.error !== null && <Problem error={unlink.error} />}
      <Answer to={identities}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet">{t('identities.none')}</p>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('identities.institute')}</th>
                    <th scope="col">{t('identities.as')}</th>
                    <th scope="col">{t('identities.since')}</th>
                    <th scope="col">{t('identities.used')}</th>
                    <th scope="col">{t('identities.checked')}</th>
                    <th scope="col">
                      <span className="cy-visually-hidden">{t('identities.unlink')}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((identity) => (
                    <tr key={identity.id}>
                      <td className="cy-text" title={identity.issuer}>
                        {identity.issuerLabel}
                        {!identity.usable && <StateMark tone="warning">{t('identities.disabled')}</StateMark>}
                      </td>
                      <td className="cy-key" title={identity.subject}>
                        {identity.label}
                      </td>
                      <td>
                        <Moment atMs={identity.createdAtMs} />
                      </td>
                      <td>
                        <Age atMs={identity.lastUsedAtMs} />
                      </td>
                      <td>{identity.checkedAtMs === null ? '–' : <Age atMs={identity.checkedAtMs} />}</td>
                      <td className="cy-right">
                        <TwoStep
                          label={t('identities.unlink')}
                          sure={t('identities.unlinkSure')}
                          busy={unlink.isPending}
                          onSure={() => unlink.mutate(identity.id)}
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
      <InstituteButtons purpose="link" />
    </div>
  )
}
