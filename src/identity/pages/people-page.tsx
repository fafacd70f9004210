/** Who is in, with which roles; the machines that may write. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { PageHead, Panel, Problem, apiOf, useMay, useMe, useTitle } from '../../foundation/browser.tsx'
import type { PageProps } from '../../foundation/browser.tsx'
import { identityContract, personRoles } from '../contract.ts'
import type { PersonRole } from '../contract.ts'
import { Machines } from './machines.tsx'
import { t } from './messages.ts'
import { PeopleTable } from './people-table.tsx'
import { SignInLink } from './sign-in-link.tsx'

export default function PeoplePage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('people.title', { experiment }))
  const may = useMay()
  const me = useMe()
  return (
    <>
      <PageHead title={t('people.title', { experiment })} />
      <div className="cy-stack">
        <PeopleTable experiment={experiment} />
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
    </>
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
