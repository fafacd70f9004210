/** Guests: until when, what comes next, and one click to renew or end. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Moment, Problem, StateMark, apiOf } from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { guestSchema } from '../invitations/contract.ts'
import { t } from './invitations-messages.ts'
import { TwoStep } from './two-step.tsx'

export type Guest = z.output<typeof guestSchema>

const tones: Record<Guest['state'], Tone> = {
  active: 'quiet',
  grace: 'warning',
  suspended: 'stale',
  archived: 'stale',
  erased: 'stale',
}

export function GuestTable(props: { guests: Guest[]; label: string; decide: boolean }): ReactNode {
  const queries = useQueryClient()
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity'] })
  const renew = useMutation({
    mutationFn: (person: string) => apiOf(identityContract).renewGuest({ params: { person }, body: {} }),
    onSuccess: refresh,
  })
  const end = useMutation({
    mutationFn: (person: string) => apiOf(identityContract).endAccess({ params: { person } }),
    onSuccess: refresh,
  })
  return (
    <>
      {renew.error !== null && <Problem error={renew.error} />}
      {end.error !== null && <Problem error={end.error} />}
      <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={props.label}>
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('guests.person')}</th>
              <th scope="col">{t('guests.groups')}</th>
              <th scope="col">{t('invite.sponsor')}</th>
              <th scope="col">{t('guests.ends')}</th>
              <th scope="col">{t('invite.state')}</th>
              {props.decide && (
                <th scope="col">
                  <span className="cy-visually-hidden">{t('invite.actions')}</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {props.guests.map((guest) => (
              <tr key={guest.id}>
                <td className="cy-text" title={guest.email ?? undefined}>
                  {guest.displayName} <span className="cy-quiet">{guest.name}</span>
                </td>
                <td className="cy-mono">{guest.groups.join(' ')}</td>
                <td>
                  {guest.orphan ? <StateMark tone="warning">{t('guests.orphan')}</StateMark> : guest.sponsor?.name}
                </td>
                <td>
                  <Moment atMs={guest.accessEndMs} />
                </td>
                <td>
                  <StateMark tone={tones[guest.state]}>{t(`guests.state.${guest.state}`)}</StateMark>
                  {guest.nextStepAtMs !== null && (
                    <span className="cy-quiet cy-small">
                      {' '}
                      {t('guests.next')} <Moment atMs={guest.nextStepAtMs} />
                    </span>
                  )}
                </td>
                {props.decide && (
                  <td className="cy-right">
                    {guest.state !== 'archived' && guest.state !== 'erased' && (
                      <span className="cy-row cy-row-end">
                        <Button
                          size="compact-sm"
                          variant="default"
                          loading={renew.isPending && renew.variables === guest.id}
                          onClick={() => renew.mutate(guest.id)}
                        >
                          {t('guests.renew')}
                        </Button>
                        {guest.state === 'active' && (
                          <TwoStep
                            label={t('guests.end')}
                            sure={t('guests.endSure')}
                            busy={end.isPending}
                            onSure={() => end.mutate(guest.id)}
                          />
                        )}
                      </span>
                    )}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
