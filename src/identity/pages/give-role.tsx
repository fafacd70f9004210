/** Gives somebody who has an account a role in a group. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Problem, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { PersonRole } from '../contract.ts'
import { t } from './groups-messages.ts'
import { t as words } from './messages.ts'

export interface ManagedGroup {
  group: string
  give: PersonRole[]
}

export function GiveRole(props: { groups: ManagedGroup[] }): ReactNode {
  const queries = useQueryClient()
  const [person, setPerson] = useState('')
  const [group, setGroup] = useState(props.groups[0]?.group ?? '')
  const [role, setRole] = useState<PersonRole>('member')
  const [until, setUntil] = useState('')
  const chosen = props.groups.find((one) => one.group === group) ?? props.groups[0]
  const give = useMutation({
    mutationFn: (body: { group: string; person: string; role: PersonRole; untilMs: number | null }) =>
      apiOf(identityContract).setMember({ body }),
    onSuccess: () => {
      setPerson('')
      return queries.invalidateQueries({ queryKey: ['identity'] })
    },
  })
  if (chosen === undefined) return null
  const roles = chosen.give.includes(role) ? role : (chosen.give.at(-1) ?? 'member')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    give.mutate({ group: chosen.group, person: person.trim(), role: roles, untilMs: endOfDay(until) })
  }
  return (
    <>
      <form onSubmit={submit} className="cy-filters">
        <TextInput
          size="xs"
          label={t('groups.account')}
          placeholder={t('groups.accountHint')}
          required
          autoComplete="off"
          value={person}
          onChange={(event) => setPerson(event.currentTarget.value)}
        />
        {props.groups.length > 1 && (
          <NativeSelect
            size="xs"
            label={t('groups.group')}
            value={chosen.group}
            onChange={(event) => setGroup(event.currentTarget.value)}
            data={props.groups.map((one) => one.group)}
          />
        )}
        <NativeSelect
          size="xs"
          label={t('groups.role')}
          value={roles}
          onChange={(event) => setRole(event.currentTarget.value as PersonRole)}
          data={chosen.give.map((value) => ({ value, label: words(`role.${value}`) }))}
        />
        <TextInput
          size="xs"
          type="date"
          label={t('groups.until')}
          title={t('groups.untilHint')}
          value={until}
          onChange={(event) => setUntil(event.currentTarget.value)}
        />
        <Button size="xs" type="submit" loading={give.isPending}>
          {t('groups.give')}
        </Button>
      </form>
      {give.error !== null && <Problem error={give.error} />}
      {give.isSuccess && (
        <p role="status" className="cy-quiet">
          {t('groups.given', {
            name: give.variables.person,
            role: words(`role.${give.variables.role}`),
            group: give.variables.group,
          })}
        </p>
      )}
    </>
  )
}

/** The end of that day, UTC; null for none. */
export function endOfDay(date: string): number | null {
  const atMs = Date.parse(`${date}T23:59:59Z`)
  return date === '' || Number.isNaN(atMs) ? null : atMs
}

export function dayOf(atMs: number | null): string {
  return atMs === null ? '' : new Date(atMs).toISOString().slice(0, 10)
}
