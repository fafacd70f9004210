/** People of an experiment with their groups, roles and ends; who manages them gives and takes roles here. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import {
  Answer,
  Empty,
  Fault,
  Panel,
  Problem,
  StateMark,
  apiOf,
  useAnswer,
  useMe,
  useQueryState,
} from '../../foundation/browser.tsx'
import { identityContract, personRoles } from '../contract.ts'
import type { experimentPersonSchema } from '../groups/contract.ts'
import { GiveRole } from './give-role.tsx'
import { t as words } from './groups-messages.ts'
import { MembershipCells, MembershipHeads } from './membership-row.tsx'
import { t } from './messages.ts'
import { SignInLink } from './sign-in-link.tsx'

type Person = z.infer<typeof experimentPersonSchema>

const roleFilter = [...personRoles]

export function PeopleTable(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const me = useMe()
  const query = useQueryState()
  const [search, group] = [query.get('name'), query.get('group')]
  const role = roleFilter.find((one) => one === query.get('role'))
  const filtered = search !== '' || group !== '' || role !== undefined
  const people = useAnswer(
    ['identity', 'people', experiment, search, group, role],
    (signal) =>
      apiOf(identityContract).listExperimentPeople(
        {
          params: { experiment },
          query: {
            limit: 500,
            ...(search === '' ? {} : { search }),
            ...(group === '' ? {} : { group }),
            ...(role === undefined ? {} : { role }),
          },
        },
        { signal },
      ),
    { keepPrevious: true },
  )
  const [linkFor, setLinkFor] = useState<Person | undefined>(undefined)
  const link = useMutation({
    mutationFn: (person: Person) => apiOf(identityContract).createSignInLink({ params: { person: person.id } }),
  })
  const groups = people.data?.manages ?? []
  if (people.error instanceof Fault && people.error.code === 'identity.not_allowed')
    return (
      <Empty title={t('people.not')}>
        <p>{t('people.notHint')}</p>
      </Empty>
    )
  return (
    <>
      <Panel title={words('groups.giveTitle')}>
        <Answer to={people}>{({ manages }) => <GiveRole groups={manages} />}</Answer>
      </Panel>
      <Panel title={t('people.nav')}>
        {link.error !== null && <Problem error={link.error} />}
        {link.data !== undefined && linkFor !== undefined && <SignInLink name={linkFor.displayName} link={link.data} />}
        <div className="cy-filters" role="search">
          <TextInput
            size="xs"
            label={words('groups.search')}
            value={search}
            onChange={(event) => query.set({ name: event.currentTarget.value })}
          />
          <NativeSelect
            size="xs"
            label={words('groups.group')}
            value={group}
            onChange={(event) => query.set({ group: event.currentTarget.value })}
            data={[{ value: '', label: words('groups.all') }, ...groups.map((one) => one.group)]}
          />
          <NativeSelect
            size="xs"
            label={words('groups.role')}
            value={role ?? ''}
            onChange={(event) => query.set({ role: event.currentTarget.value })}
            data={[
              { value: '', label: words('groups.all') },
              ...roleFilter.map((value) => ({ value, label: t(`role.${value}`) })),
            ]}
          />
        </div>
        <Answer to={people}>
          {({ items, manages }) =>
            items.length === 0 ? (
              <Empty title={words(filtered ? 'groups.noMatch' : 'groups.nobody')}>
                <p>{words(filtered ? 'groups.noMatchHint' : 'groups.nobodyHint')}</p>
              </Empty>
            ) : (
              <div className="cy-table-scroll">
                <table className="cy-table">
                  <thead>
                    <tr>
                      <th scope="col">{t('people.person')}</th>
                      <th scope="col">{t('people.state')}</th>
                      <th scope="col">{words('groups.group')}</th>
                      <MembershipHeads />
                    </tr>
                  </thead>
                  <tbody>
                    {items.flatMap((person) =>
                      person.memberships.map((membership, index) => (
                        <tr key={`${person.id} ${membership.group} ${membership.role} ${membership.source}`}>
                          {index === 0 && (
                            <PersonCells
                              person={person}
                              rows={person.memberships.length}
                              onLink={
                                me?.siteAdmin === true
                                  ? () => {
                                      setLinkFor(person)
                                      link.mutate(person)
                                    }
                                  : undefined
                              }
                            />
                          )}
                          <td>{membership.group}</td>
                          <MembershipCells
                            person={person.name}
                            membership={membership}
                            give={manages.find((one) => one.group === membership.group)?.give ?? []}
                          />
                        </tr>
                      )),
                    )}
                  </tbody>
                </table>
              </div>
            )
          }
        </Answer>
      </Panel>
    </>
  )
}

function PersonCells(props: { person: Person; rows: number; onLink: (() => void) | undefined }): ReactNode {
  const { person } = props
  return (
    <>
      <td rowSpan={props.rows}>
        <span className="cy-key">{person.displayName}</span>
        <div className="cy-quiet cy-small">
          {person.name}
          {person.siteAdmin ? `, ${t('people.siteAdmin')}` : ''}
        </div>
        {props.onLink !== undefined && (
          <Button size="compact-xs" variant="subtle" onClick={props.onLink}>
            {t('people.newLink')}
          </Button>
        )}
      </td>
      <td rowSpan={props.rows}>
        <StateMark tone={person.state === 'active' ? 'quiet' : 'warning'}>
          {person.state === 'active' ? t('people.active') : t('people.suspended')}
        </StateMark>
      </td>
    </>
  )
}
