/** The two ways to invite: one person, or a class. */
import { Button, NativeSelect, NumberInput, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Panel, Problem, apiOf, useAnswer, useMay } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { PersonRole } from '../contract.ts'
import type { NewInvitation } from './invitations-page.tsx'
import { t } from './invitations-messages.ts'
import { t as peopleWords } from './messages.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const lifetimes = [24 * hourMs, 72 * hourMs, 7 * dayMs, 14 * dayMs]

interface FormProps {
  experiment: string
  onMade: (made: NewInvitation) => void
}

/** Groups into which the person may invite, with the roles he may give there; sponsors who give none invite guests. */
function usePlaces(experiment: string, onlyManaged = false): { group: string; roles: PersonRole[] }[] {
  const groups = useAnswer(['identity', 'groups', experiment], (signal) =>
    apiOf(identityContract).listGroups({ params: { experiment } }, { signal }),
  )
  const items = groups.data?.items ?? []
  const places = items
    .filter(({ archived, may, mine }) => !archived && (may.give.length > 0 || (!onlyManaged && mine.length > 0)))
    .map(({ group, may }) => ({ group, roles: may.give.includes('guest') ? may.give : (['guest'] as PersonRole[]) }))
  return places.length > 0 ? places : [{ group: `/${experiment}`, roles: ['guest'] }]
}

export function InviteForms(props: FormProps): ReactNode {
  const may = useMay()
  return (
    <div className="cy-invite-forms">
      <Panel title={t('invite.new')}>
        <InvitePerson {...props} />
      </Panel>
      {may('people.manage', props.experiment) && (
        <Panel title={t('invite.class')}>
          <InviteClass {...props} />
        </Panel>
      )}
    </div>
  )
}

function InvitePerson({ experiment, onMade }: FormProps): ReactNode {
  const places = usePlaces(experiment)
  const queries = useQueryClient()
  const [group, setGroup] = useState('')
  const [role, setRole] = useState<PersonRole>('guest')
  const [addressedTo, setAddress] = useState('')
  const [message, setMessage] = useState('')
  const [end, setEnd] = useState('')
  const [language, setLanguage] = useState<'en' | 'it'>('en')
  const [lifetimeMs, setLifetime] = useState(72 * hourMs)
  const place = places.find((one) => one.group === group) ?? places[0]!
  const chosen = place.roles.includes(role) ? role : 'guest'
  const make = useMutation({
    mutationFn: () =>
      apiOf(identityContract).createInvitation({
        body: {
          experiment,
          group: place.group,
          role: chosen,
          message,
          language,
          lifetimeMs,
          ...(addressedTo.trim() !== '' && { addressedTo: addressedTo.trim() }),
          ...(end !== '' && { accessEndMs: endOfDay(end) }),
        },
      }),
    onSuccess: async (made) => {
      setAddress('')
      onMade(made)
      await queries.invalidateQueries({ queryKey: ['identity', 'invitations'] })
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    make.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-stack">
      <p className="cy-quiet">{t('invite.newHint')}</p>
      <div className="cy-filters">
        <NativeSelect
          size="xs"
          label={t('invite.group')}
          value={place.group}
          onChange={(event) => setGroup(event.currentTarget.value)}
          data={places.map((one) => one.group)}
        />
        <NativeSelect
          size="xs"
          label={t('invite.role')}
          value={chosen}
          onChange={(event) => setRole(event.currentTarget.value as PersonRole)}
          data={place.roles.map((value) => ({ value, label: peopleWords(`role.${value}`) }))}
        />
        <TextInput
          size="xs"
          type="email"
          label={t('invite.address')}
          placeholder={t('invite.addressHint')}
          autoComplete="off"
          value={addressedTo}
          onChange={(event) => setAddress(event.currentTarget.value)}
        />
        <TextInput
          size="xs"
          type="date"
          label={t('invite.end')}
          title={t('invite.endHint')}
          value={end}
          onChange={(event) => setEnd(event.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          label={t('invite.link')}
          value={String(lifetimeMs)}
          onChange={(event) => setLifetime(Number(event.currentTarget.value))}
          data={lifetimes.map((value) => ({ value: String(value), label: lifetimeWords(value) }))}
        />
        <NativeSelect
          size="xs"
          label={t('invite.language')}
          value={language}
          onChange={(event) => setLanguage(event.currentTarget.value === 'it' ? 'it' : 'en')}
          data={[
            { value: 'en', label: 'English' },
            { value: 'it', label: 'Italiano' },
          ]}
        />
      </div>
      <TextInput
        size="xs"
        label={t('invite.message')}
        maxLength={500}
        value={message}
        onChange={(event) => setMessage(event.currentTarget.value)}
      />
      {make.error !== null && <Problem error={make.error} />}
      <div>
        <Button size="xs" type="submit" loading={make.isPending}>
          {t('invite.make')}
        </Button>
      </div>
    </form>
  )
}

function InviteClass({ experiment, onMade }: FormProps): ReactNode {
  const places = usePlaces(experiment, true)
  const queries = useQueryClient()
  const [group, setGroup] = useState('')
  const [seats, setSeats] = useState<number | string>(20)
  const [end, setEnd] = useState('')
  const place = places.find((one) => one.group === group) ?? places[0]!
  const make = useMutation({
    mutationFn: () =>
      apiOf(identityContract).createClassLink({
        body: {
          experiment,
          group: place.group,
          seats: Number(seats),
          accessEndMs: endOfDay(end),
          lifetimeMs: 14 * dayMs,
        },
      }),
    onSuccess: async (made) => {
      onMade(made)
      await queries.invalidateQueries({ queryKey: ['identity', 'invitations'] })
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    make.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-stack">
      <p className="cy-quiet">{t('invite.classHint')}</p>
      <div className="cy-filters">
        <NativeSelect
          size="xs"
          label={t('invite.group')}
          value={place.group}
          onChange={(event) => setGroup(event.currentTarget.value)}
          data={places.map((one) => one.group)}
        />
        <NumberInput size="xs" label={t('invite.seats')} min={1} max={500} value={seats} onChange={setSeats} required />
        <TextInput
          size="xs"
          type="date"
          label={t('invite.end')}
          required
          value={end}
          onChange={(event) => setEnd(event.currentTarget.value)}
        />
      </div>
      {make.error !== null && <Problem error={make.error} />}
      <div>
        <Button size="xs" type="submit" loading={make.isPending}>
          {t('invite.makeClass')}
        </Button>
      </div>
    </form>
  )
}

function lifetimeWords(lifetimeMs: number): string {
  const hours = lifetimeMs / hourMs
  return hours <= 72 ? t('invite.hours', { count: hours }) : t('invite.days', { count: hours / 24 })
}

/** The last moment of that day, UTC. */
function endOfDay(day: string): number {
  return Date.parse(`${day}T23:59:59Z`)
}
