/** What waits to be mailed, and what could not be. What a mail says is shown to nobody. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Answer, Empty, Moment, Panel, Problem, StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './invitations-messages.ts'

const tones: Record<string, Tone> = { waiting: 'info', sending: 'info', dead: 'alarm' }

export function Outbox(): ReactNode {
  const queries = useQueryClient()
  const mail = useAnswer(['identity', 'mail'], (signal) =>
    apiOf(identityContract).listMail({ query: { limit: 50 } }, { signal }),
  )
  const retry = useMutation({
    mutationFn: (id: string) => apiOf(identityContract).retryMail({ params: { mail: id } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity', 'mail'] }),
  })
  return (
    <Panel title={t('mail.title')}>
      {retry.error !== null && <Problem error={retry.error} />}
      <Answer to={mail}>
        {({ items, configured }) => (
          <div className="cy-stack">
            {!configured && <p className="cy-quiet">{t('mail.off')}</p>}
            {items.length === 0 ? (
              <Empty title={t('mail.none')} />
            ) : (
              <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={t('mail.title')}>
                <table className="cy-table">
                  <thead>
                    <tr>
                      <th scope="col">{t('mail.to')}</th>
                      <th scope="col">{t('mail.about')}</th>
                      <th scope="col">{t('mail.state')}</th>
                      <th scope="col">{t('mail.made')}</th>
                      <th scope="col">{t('mail.reason')}</th>
                      <th scope="col">
                        <span className="cy-visually-hidden">{t('mail.retry')}</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {items.map((one) => (
                      <tr key={one.id}>
                        <td className="cy-text">{one.recipient}</td>
                        <td>{one.template}</td>
                        <td>
                          <StateMark tone={tones[one.state] ?? 'quiet'}>{t(`mail.state.${one.state}`)}</StateMark>
                        </td>
                        <td>
                          <Moment atMs={one.createdAtMs} />
                        </td>
                        <td className="cy-text">{one.reason ?? ''}</td>
                        <td className="cy-right">
                          {one.state === 'dead' && (
                            <Button
                              size="compact-sm"
                              variant="default"
                              loading={retry.isPending && retry.variables === one.id}
                              onClick={() => retry.mutate(one.id)}
                            >
                              {t('mail.retry')}
                            </Button>
                          )}
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </div>
        )}
      </Answer>
    </Panel>
  )
}
