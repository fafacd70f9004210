/** On the page Me: people for whom I answer, and where notices about them and me go. */
import type { ReactNode } from 'react'
import { Panel, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { ContactPanel } from './contact.tsx'
import { GuestTable } from './guest-table.tsx'
import { t } from './invitations-messages.ts'

export function MyGuests(): ReactNode {
  const guests = useAnswer(['identity', 'guests', 'mine'], (signal) =>
    apiOf(identityContract).listGuests({}, { signal }),
  )
  const items = guests.data?.items ?? []
  return (
    <>
      <ContactPanel />
      {items.length > 0 && (
        <Panel title={t('guests.title')}>
          <GuestTable guests={items} label={t('guests.title')} decide />
        </Panel>
      )}
    </>
  )
}
