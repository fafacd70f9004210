/** Whom this experiment has invited, and inviting: one person, or a class. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import {
  Answer,
  CopyLine,
  Empty,
  Moment,
  PageEnd,
  PageHead,
  Panel,
  Problem,
  StateMark,
  apiOf,
  formatMoment,
  useAnswer,
  useMay,
  usePages,
  useTitle,
  useZone,
} from '../../foundation/browser.tsx'
import type { PageProps, Tone } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { invitationSchema, newInvitationSchema } from '../invitations/contract.ts'
import { ClassPeople } from './class-people.tsx'
import { GuestTable } from './guest-table.tsx'
import { InviteForms } from './invite-forms.tsx'
import { t } from './invitations-messages.ts'
import { WaitingPeople } from './waiting-people.tsx'
import { TwoStep } from './two-step.tsx'

export type Invitation = z.output<typeof invitationSchema>
export type NewInvitation = z.output<typeof newInvitationSchema>

const tones: Record<Invitation['state'], Tone> = {
  open: 'info',
  used: 'quiet',
  expired: 'stale',
  revoked: 'stale',
  declined: 'warning',
}

export default function InvitationsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('invite.title', { experiment }))
  const may = useMay()
  const [made, setMade] = useState<NewInvitation | undefined>(undefined)
  const invitations = usePages(['identity', 'invitations', experiment], (cursor, signal) =>
    apiOf(identityContract).listInvitations(
      { query: { experiment, ...(cursor !== undefined && { cursor }) } },
      { signal },
    ),
  )
  const { items } = invitations
  return (
    <>
      <PageHead title={t('invite.title', { experiment })} />
      <div className="cy-stack">
        {items
          .filter(({ waiting }) => waiting.length > 0)
          .map((invitation) => (
            <WaitingPeople key={invitation.id} invitation={invitation} />
          ))}
        {made !== undefined && <MadeLink made={made} />}
        <InviteForms experiment={experiment} onMade={setMade} />
        <Panel title={t('invite.list')}>
          {invitations.error !== null && items.length === 0 ? (
            <Problem error={invitations.error} onRetry={invitations.retry} />
          ) : items.length === 0 ? (
            <Empty title={t('invite.none')} />
          ) : (
            <InvitationTable items={items} onMade={setMade} />
          )}
          <PageEnd of={invitations} />
        </Panel>
        {may('people.manage', experiment) && <AllGuests experiment={experiment} />}
      </div>
    </>
  )
}

/** The only moment at which the link is there. */
function MadeLink(props: { made: NewInvitation }): ReactNode {
  const { made } = props
  const zone = useZone()
  return (
    <div className="cy-notice" role="status">
      <strong>{t('invite.made', { until: formatMoment(made.expiresAtMs, zone) })}</strong>
      <CopyLine text={made.url} label={t('invite.copy')} />
      {made.addressedTo !== null && <MailNote address={made.addressedTo} />}
    </div>
  )
}

function MailNote(props: { address: string }): ReactNode {
  const contact = useAnswer(['identity', 'contact'], (signal) => apiOf(identityContract).showContact({}, { signal }))
  if (contact.data === undefined) return null
  return (
    <span>{contact.data.mailGoesOut ? t('invite.mailed', { address: props.address }) : t('invite.notMailed')}</span>
  )
}

function InvitationTable(props: { items: Invitation[]; onMade: (made: NewInvitation) => void }): ReactNode {
  const queries = useQueryClient()
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity', 'invitations'] })
  const [openClass, setOpenClass] = useState<string | undefined>(undefined)
  const revoke = useMutation({
    mutationFn: (invitation: string) => apiOf(identityContract).revokeInvitation({ params: { invitation } }),
    onSuccess: refresh,
  })
  const renew = useMutation({
    mutationFn: (invitation: string) => apiOf(identityContract).renewInvitation({ params: { invitation }, body: {} }),
    onSuccess: async (made) => {
      props.onMade(made)
      await refresh()
    },
  })
  return (
    <>
      {revoke.error !== null && <Problem error={revoke.error} />}
      {renew.error !== null && <Problem error={renew.error} />}
      <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={t('invite.list')}>
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('invite.for')}</th>
              <th scope="col">{t('invite.group')}</th>
              <th scope="col">{t('invite.role')}</th>
              <th scope="col">{t('invite.sponsor')}</th>
              <th scope="col">{t('invite.state')}</th>
              <th scope="col">{t('invite.ends')}</th>
              <th scope="col">{t('invite.access')}</th>
              <th scope="col">
                <span className="cy-visually-hidden">{t('invite.actions')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {props.items.map((one) => (
              <tr key={one.id}>
                <td className="cy-text">
                  {one.kind === 'class'
                    ? t('invite.ofClass', { used: one.used, seats: one.maxUses })
                    : (one.addressedTo ?? t('invite.anybody'))}
                </td>
                <td className="cy-mono">{one.group}</td>
                <td>{one.role}</td>
                <td>{one.sponsor.name}</td>
                <td>
                  <StateMark tone={tones[one.state]}>{t(`invite.state.${one.state}`)}</StateMark>
                  {one.mail !== 'none' && one.state === 'open' && (
                    <span className="cy-quiet cy-small"> {t(`invite.mail.${one.mail}`)}</span>
                  )}
                </td>
                <td>
                  <Moment atMs={one.expiresAtMs} />
                </td>
                <td>
                  <Moment atMs={one.accessEndMs} />
                </td>
                <td className="cy-right">
                  <span className="cy-row cy-row-end">
                    {one.kind === 'class' && (
                      <Button
                        size="compact-sm"
                        variant="default"
                        aria-expanded={openClass === one.id}
                        onClick={() => setOpenClass(openClass === one.id ? undefined : one.id)}
                      >
                        {t('invite.people')}
                      </Button>
                    )}
                    {['open', 'expired', 'declined'].includes(one.state) && (
                      <Button
                        size="compact-sm"
                        variant="default"
                        loading={renew.isPending && renew.variables === one.id}
                        onClick={() => renew.mutate(one.id)}
                      >
                        {t('invite.renew')}
                      </Button>
                    )}
                    {one.state === 'open' && (
                      <TwoStep
                        label={t('invite.revoke')}
                        sure={t('invite.revokeSure')}
                        busy={revoke.isPending}
                        onSure={() => revoke.mutate(one.id)}
                      />
                    )}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {openClass !== undefined && <ClassPeople invitation={openClass} />}
    </>
  )
}

function AllGuests(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const guests = useAnswer(['identity', 'guests', experiment], (signal) =>
    apiOf(identityContract).listGuests({ query: { experiment } }, { signal }),
  )
  const title = t('guests.all', { experiment })
  return (
    <Answer to={guests}>
      {({ items }) =>
        items.length === 0 ? null : (
          <Panel title={title}>
            <GuestTable guests={items} label={title} decide />
          </Panel>
        )
      }
    </Answer>
  )
}
