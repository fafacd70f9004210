/** Who is in, with which role; the machines that may write. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import type { z } from 'zod'
import {
  Answer,
  CopyLine,
  Empty,
  Moment,
  PageHead,
  Panel,
  Problem,
  StateMark,
  apiOf,
  formatMoment,
  useAnswer,
  useMay,
  useMe,
  useTitle,
  useZone,
} from '../../foundation/browser.tsx'
import type { PageProps } from '../../foundation/browser.tsx'
import { identityContract, personRoles } from '../contract.ts'
import type { PersonRole, personSchema } from '../contract.ts'
import { Machines } from './machines.tsx'
import { t } from './messages.ts'

type Person = z.infer<typeof personSchema>

export default function PeoplePage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('people.title', { experiment }))
  const may = useMay()
  const me = useMe()
  const allowed = may('people.manage', experiment)
  return (
    <>
      <PageHead title={t('people.title', { experiment })} />
      {allowed ? (
        <div className="cy-stack">
          <Panel title={t('people.nav')}>
            <PeopleTable experiment={experiment} />
          </Panel>
          {me?.siteAdmin === true && (
            <Panel title={t('people.add')}>
              <NewPerson experiment={experiment} />
            </Panel>
          )}
          {may('experiment.admin', experiment) && (
            <Panel title={t('people.machines')}>
              <Machines experiment={experiment} />
            </Panel>
          )}
        </div>
      ) : (
        <Empty title={t('people.not')}>
          <p>{t('people.notHint')}</p>
        </Empty>
      )}
    </>
  )
}

function roleIn(person: Person, experiment: string): string {
  return person.roles.find((grant) => grant.experiment === experiment)?.role ?? ''
}

function PeopleTable(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const me = useMe()
  const queries = useQueryClient()
  // The site admin sees everybody, so that somebody from outside can be given a role here.
  const people = useAnswer(['identity', 'people', experiment], (signal) =>
    apiOf(identityContract).listPeople(
      { query: me?.siteAdmin === true ? { limit: 500 } : { experiment, limit: 500 } },
      { signal },
    ),
  )
  const setRole = useMutation({
    mutationFn: (change: { person: Person; role: PersonRole | null }) =>
      apiOf(identityContract).setRole({
        params: { person: change.person.id },
        body: { experiment, role: change.role },
      }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['identity', 'people'] }),
  })
  const [linkFor, setLinkFor] = useState<Person | undefined>(undefined)
  const link = useMutation({
    mutationFn: (person: Person) => apiOf(identityContract).createSignInLink({ params: { person: person.id } }),
  })
  return (
    <>
      {setRole.error !== null && <Problem error={setRole.error} />}
      {link.error !== null && <Problem error={link.error} />}
      {link.data !== undefined && linkFor !== undefined && <SignInLink name={linkFor.displayName} link={link.data} />}
      <Answer to={people}>
        {({ items }) => (
          <div className="cy-table-scroll">
            <table className="cy-table">
              <thead>
                <tr>
                  <th scope="col">{t('people.person')}</th>
                  <th scope="col">{t('people.account')}</th>
                  <th scope="col">{t('people.role')}</th>
                  <th scope="col">{t('people.state')}</th>
                  <th scope="col">{t('people.since')}</th>
                  <th scope="col">
                    <span className="cy-visually-hidden">{t('people.newLink')}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {items.map((person) => (
                  <tr key={person.id}>
                    <td className="cy-key">{person.displayName}</td>
                    <td>{person.name}</td>
                    <td>
                      <NativeSelect
                        size="xs"
                        aria-label={`${t('people.role')}: ${person.name}`}
                        value={roleIn(person, experiment)}
                        disabled={setRole.isPending}
                        onChange={(event) =>
                          setRole.mutate({
                            person,
                            role: personRoles.find((role) => role === event.currentTarget.value) ?? null,
                          })
                        }
                        data={[
                          { value: '', label: person.siteAdmin ? t('me.admin') : t('people.none') },
                          ...personRoles.map((role) => ({ value: role, label: t(`role.${role}`) })),
                        ]}
                      />
                    </td>
                    <td>
                      <StateMark tone={person.state === 'active' ? 'quiet' : 'warning'}>
                        {t(`people.${person.state}`)}
                      </StateMark>
                    </td>
                    <td>
                      <Moment atMs={person.createdAtMs} />
                    </td>
                    <td className="cy-right">
                      {me?.siteAdmin === true && (
                        <Button
                          size="compact-xs"
                          variant="subtle"
                          onClick={() => {
                            setLinkFor(person)
                            link.mutate(person)
                          }}
                        >
                          {t('people.newLink')}
                        </Button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Answer>
    </>
  )
}

function SignInLink(props: { name: string; link: { url: string; expiresAtMs: number } }): ReactNode {
  const zone = useZone()
  return (
    <div className="cy-notice" role="status">
      <strong>{t('people.link', { name: props.name, until: formatMoment(props.link.expiresAtMs, zone) })}</strong>
      <CopyLine text={props.link.url} label={t('me.copy')} />
    </div>
  )
}

function NewPerson(props: { experiment: string }): ReactNode {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [displayName, setDisplayName] = useState('')
  const [role, setRole] = useState<PersonRole>('member')
  const create = useMutation({
    mutationFn: () =>
      apiOf(identityContract).createPerson({
        body: { name, displayName, roles: [{ experiment: props.experiment, role }] },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity', 'people'] }),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  return (
    <>
      <form onSubmit={submit} className="cy-filters">
        <TextInput
          size="xs"
          label={t('people.fullName')}
          required
          value={displayName}
          onChange={(event) => setDisplayName(event.currentTarget.value)}
        />
        <TextInput
          size="xs"
          label={t('people.account')}
          placeholder={t('people.accountHint')}
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          label={t('people.role')}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value as PersonRole)}
          data={personRoles.map((value) => ({ value, label: t(`role.${value}`) }))}
        />
        <Button size="xs" type="submit" loading={create.isPending}>
          {t('people.create')}
        </Button>
      </form>
      {create.error !== null && <Problem error={create.error} />}
      {create.data !== undefined && <SignInLink name={create.data.person.displayName} link={create.data.signInLink} />}
    </>
  )
}
