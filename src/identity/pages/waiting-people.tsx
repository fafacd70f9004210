/** Somebody whom an institute knows by another address than the invitation: the sponsor says by name who it is. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Panel, Problem, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { Invitation } from './invitations-page.tsx'
import { t } from './invitations-messages.ts'

export function WaitingPeople(props: { invitation: Invitation }): ReactNode {
  return props.invitation.waiting.map((one) => <Waiting key={one.id} invitation={props.invitation} one={one} />)
}

function Waiting(props: { invitation: Invitation; one: Invitation['waiting'][number] }): ReactNode {
  const { one, invitation } = props
  const queries = useQueryClient()
  const [displayName, setDisplayName] = useState('')
  const decide = useMutation({
    mutationFn: (decision: 'confirm' | 'refuse') =>
      apiOf(identityContract).decideJoin({ params: { confirmation: one.id }, body: { decision, displayName } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <Panel title={t('invite.waitsHint')}>
      <div className="cy-stack">
        <p>
          {t('invite.waits', {
            name: one.displayName,
            email: one.email,
            issuer: one.issuer,
            address: invitation.addressedTo ?? '–',
          })}
        </p>
        <form
          className="cy-filters"
          onSubmit={(event) => {
            event.preventDefault()
            decide.mutate('confirm')
          }}
        >
          <TextInput
            size="xs"
            label={t('invite.confirmName')}
            required
            autoComplete="off"
            value={displayName}
            onChange={(event) => setDisplayName(event.currentTarget.value)}
          />
          <Button size="xs" type="submit" loading={decide.isPending && decide.variables === 'confirm'}>
            {t('invite.confirm')}
          </Button>
          <Button
            size="xs"
            variant="default"
            loading={decide.isPending && decide.variables === 'refuse'}
            onClick={() => decide.mutate('refuse')}
          >
            {t('invite.refuse')}
          </Button>
        </form>
        {decide.error !== null && <Problem error={decide.error} />}
      </div>
    </Panel>
  )
}
