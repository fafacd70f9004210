/** The tree of groups of an experiment; of the chosen one its people, its policy, and what became of it. */
import { Button, Checkbox, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Link } from 'wouter'
import type { z } from 'zod'
import {
  Answer,
  Empty,
  Fault,
  PageHead,
  Panel,
  Problem,
  StateMark,
  apiOf,
  useAnswer,
  useQueryState,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { groupSchema } from '../groups/contract.ts'
import { GroupMembers } from './group-members.tsx'
import { t } from './groups-messages.ts'
import { GroupPolicy } from './policy-panel.tsx'
import { TwoStep } from './two-step.tsx'

type Group = z.infer<typeof groupSchema>

export default function GroupsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('groups.title', { experiment }))
  const query = useQueryState()
  const [archived, setArchived] = useState(false)
  const groups = useAnswer(
    ['identity', 'groups', experiment, archived],
    (signal) => apiOf(identityContract).listGroups({ params: { experiment }, query: { archived } }, { signal }),
    { keepPrevious: true },
  )
  const isStranger = groups.error instanceof Fault && groups.error.code === 'identity.no_such_group'
  if (isStranger)
    return (
      <>
        <PageHead title={t('groups.title', { experiment })} />
        <Empty title={t('groups.not')}>
          <p>{t('groups.notHint')}</p>
        </Empty>
      </>
    )
  return (
    <>
      <PageHead title={t('groups.title', { experiment })} />
      <Answer to={groups}>
        {({ items }) => {
          const chosen = items.find(({ group }) => group === query.get('group')) ?? items[0]
          return (
            <div className="cy-groups">
              <Panel title={t('groups.tree')}>
                <nav aria-label={t('groups.tree')}>
                  <ul className="cy-tree">
                    {items.map((group) => (
                      <TreeRow key={group.group} group={group} isChosen={group === chosen} />
                    ))}
                  </ul>
                </nav>
                {items.some(({ may }) => may.administer) && (
                  <Checkbox
                    size="xs"
                    label={t('groups.showArchived')}
                    checked={archived}
                    onChange={(event) => setArchived(event.currentTarget.checked)}
                  />
                )}
              </Panel>
              {chosen !== undefined && <Chosen key={chosen.group} group={chosen} />}
            </div>
          )
        }}
      </Answer>
    </>
  )
}

function TreeRow({ group, isChosen }: { group: Group; isChosen: boolean }): ReactNode {
  const parts = group.group.split('/').slice(1)
  return (
    <li style={{ paddingLeft: (parts.length - 1) * 14 }}>
      <Link
        href={`/e/${group.experiment}/groups?group=${group.group}`}
        aria-current={isChosen ? 'true' : undefined}
        title={group.title}
      >
        <span>{parts.at(-1)}</span>
        <span className="cy-quiet cy-small">{t('groups.memberCount', { count: group.members })}</span>
        {group.mine.length > 0 && <StateMark tone="info">{t('groups.mine')}</StateMark>}
        {group.optional && (
          <span className="cy-quiet cy-small" title={t('groups.optionalHint')}>
            {t('groups.optional')}
          </span>
        )}
        {group.archived && <StateMark tone="stale">{t('groups.archived')}</StateMark>}
      </Link>
    </li>
  )
}

function Chosen({ group }: { group: Group }): ReactNode {
  return (
    <div className="cy-stack">
      <GroupMembers group={group} />
      <GroupPolicy group={group.group} />
      {group.may.administer && <Administer group={group} />}
    </div>
  )
}

function Administer({ group }: { group: Group }): ReactNode {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [title, setTitle] = useState('')
  const [optional, setOptional] = useState(false)
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity'] })
  const create = useMutation({
    mutationFn: () =>
      apiOf(identityContract).createGroup({ body: { group: `${group.group}/${name.trim()}`, title, optional } }),
    onSuccess: () => {
      setName('')
      setTitle('')
      return refresh()
    },
  })
  const archive = useMutation({
    mutationFn: (archived: boolean) => apiOf(identityContract).archiveGroup({ body: { group: group.group, archived } }),
    onSuccess: refresh,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  const isRoot = group.group.split('/').length === 2
  return (
    <Panel title={t('groups.new', { group: group.group })}>
      <form onSubmit={submit} className="cy-filters">
        <TextInput
          size="xs"
          label={t('groups.newName')}
          required
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <TextInput
          size="xs"
          label={t('groups.newTitle')}
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
        />
        <Checkbox
          size="xs"
          label={t('groups.newOptional')}
          title={t('groups.optionalHint')}
          checked={optional}
          onChange={(event) => setOptional(event.currentTarget.checked)}
        />
        <Button size="xs" type="submit" loading={create.isPending} disabled={group.archived}>
          {t('groups.create')}
        </Button>
      </form>
      {create.error !== null && <Problem error={create.error} />}
      {archive.error !== null && <Problem error={archive.error} />}
      {!isRoot &&
        (group.archived ? (
          <Button size="compact-sm" variant="default" loading={archive.isPending} onClick={() => archive.mutate(false)}>
            {t('groups.restore')}
          </Button>
        ) : (
          <TwoStep
            label={t('groups.archive')}
            sure={t('groups.archiveSure', { group: group.group })}
            busy={archive.isPending}
            onSure={() => archive.mutate(true)}
          />
        ))}
    </Panel>
  )
}
