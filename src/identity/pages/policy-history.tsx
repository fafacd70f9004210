/** Every version of a policy: who, when, why, what; and the way back. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Moment, PageEnd, Panel, Problem, Waiting, apiOf, usePages } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './groups-messages.ts'
import { TwoStep } from './two-step.tsx'

export function PolicyHistory(props: { group: string; version: number; mayUndo: boolean }): ReactNode {
  const { group, version } = props
  const queries = useQueryClient()
  const versions = usePages(['identity', 'policy-versions', group, version], (cursor, signal) =>
    apiOf(identityContract).listPolicyVersions(
      { query: { group, limit: 20, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  const undo = useMutation({
    mutationFn: (toVersion: number) =>
      apiOf(identityContract).undoPolicy({ body: { group, toVersion, ifVersion: version } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <Panel title={t('policy.history')}>
      {undo.error !== null && <Problem error={undo.error} />}
      {versions.waiting ? (
        <Waiting />
      ) : versions.items.length === 0 ? (
        <p className="cy-quiet">{t('policy.noHistory')}</p>
      ) : (
        <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={t('policy.history')}>
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('policy.what')}</th>
                <th scope="col">{t('policy.why')}</th>
                <th scope="col">{t('policy.who')}</th>
                <th scope="col">{t('policy.when')}</th>
                <th scope="col">
                  <span className="cy-visually-hidden">{t('policy.undo')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {versions.items.map((one) => (
                <tr key={one.version}>
                  <td>
                    <span className="cy-key">{t('policy.version', { version: one.version })}</span>
                    <ul className="cy-plain-list">
                      {one.differences.length === 0 ? <li>{t('policy.same')}</li> : null}
                      {one.differences.map((line) => (
                        <li key={line}>{line}</li>
                      ))}
                    </ul>
                  </td>
                  <td>{one.note}</td>
                  <td>{one.author.name}</td>
                  <td>
                    <Moment atMs={one.atMs} />
                  </td>
                  <td className="cy-right">
                    {props.mayUndo && one.version !== version && (
                      <TwoStep
                        label={t('policy.undo')}
                        sure={t('policy.undoSure', { version: one.version })}
                        busy={undo.isPending}
                        onSure={() => undo.mutate(one.version)}
                      />
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <PageEnd of={versions} />
    </Panel>
  )
}
