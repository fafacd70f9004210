/** Cells of one membership: its role, its end, where it is from, and the ways to change it. */
import { NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Moment, Problem, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { PersonRole } from '../contract.ts'
import type { membershipSchema } from '../groups/contract.ts'
import { dayOf, endOfDay } from './give-role.tsx'
import { t } from './groups-messages.ts'
import { t as words } from './messages.ts'
import { TwoStep } from './two-step.tsx'

type Membership = z.infer<typeof membershipSchema> & { mayChange: boolean }

export function MembershipCells(props: { person: string; membership: Membership; give: PersonRole[] }): ReactNode {
  const { person, membership, give } = props
  const { group, role, untilMs, source } = membership
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: (to: { role: PersonRole | null; untilMs: number | null }) =>
      apiOf(identityContract).setMember({ body: { group, person, ...to } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  const about = `${person}, ${group}`
  return (
    <>
      <td>
        {membership.mayChange ? (
          <NativeSelect
            size="xs"
            className="cy-role-select"
            aria-label={`${t('groups.role')}: ${about}`}
            value={role}
            disabled={change.isPending}
            onChange={(event) => change.mutate({ role: event.currentTarget.value as PersonRole, untilMs })}
            data={[...new Set([...give, role])].map((value) => ({ value, label: words(`role.${value}`) }))}
          />
        ) : (
          words(`role.${role}`)
        )}
      </td>
      <td>
        {membership.mayChange ? (
          <TextInput
            key={untilMs}
            size="xs"
            type="date"
            aria-label={`${t('groups.until')}: ${about}`}
            defaultValue={dayOf(untilMs)}
            disabled={change.isPending}
            onBlur={(event) => {
              const day = event.currentTarget.value
              if (day !== dayOf(untilMs)) change.mutate({ role, untilMs: endOfDay(day) })
            }}
          />
        ) : untilMs === null ? (
          <span className="cy-quiet">{t('groups.noEnd')}</span>
        ) : (
          <Moment atMs={untilMs} />
        )}
      </td>
      <td className="cy-quiet">{t(`groups.source.${sourceWord(source)}`)}</td>
      <td className="cy-right">
        {membership.mayChange && (
          <TwoStep
            label={t('groups.remove')}
            sure={t('groups.removeSure', { name: person, group })}
            busy={change.isPending}
            onSure={() => change.mutate({ role: null, untilMs: null })}
          />
        )}
        {change.error !== null && <Problem error={change.error} />}
      </td>
    </>
  )
}

function sourceWord(source: string): 'direct' | 'template' | 'import' | 'invitation' {
  const word = source.split(':')[0]
  return word === 'template' || word === 'import' || word === 'invitation' ? word : 'direct'
}

export function MembershipHeads(): ReactNode {
  return (
    <>
      <th scope="col">{t('groups.role')}</th>
      <th scope="col">{t('groups.until')}</th>
      <th scope="col">{t('groups.source')}</th>
      <th scope="col">
        <span className="cy-visually-hidden">{t('groups.remove')}</span>
      </th>
    </>
  )
}
