/** `/`: goes to the experiment; without one it teaches how to make the first. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Redirect, useLocation } from 'wouter'
import {
  Answer,
  CopyLine,
  Empty,
  PageHead,
  Panel,
  Problem,
  apiOf,
  useAnswer,
  useMe,
  useTitle,
} from '../../foundation/browser.tsx'
import { logbookContract } from '../../logbook/contract.ts'
import { t } from './messages.ts'
import { remembered } from './remember.ts'

export default function StartPage(): ReactNode {
  useTitle(t('home.title'))
  const me = useMe()
  const experiments = useAnswer(['logbook', 'experiments'], (signal) =>
    apiOf(logbookContract).listExperiments({}, { signal }),
  )
  return (
    <Answer to={experiments}>
      {({ items }) => {
        const last = items.find((item) => item.name === remembered('experiment')) ?? items[0]
        if (last !== undefined) return <Redirect to={`/e/${last.name}`} replace />
        return (
          <>
            <PageHead title={t('app.noExperiment')} />
            {me?.siteAdmin === true ? (
              <CreateExperiment />
            ) : (
              <Empty title={t('home.notMember')}>
                <p>{t('home.notMemberHint', { name: me?.name ?? '' })}</p>
              </Empty>
            )}
          </>
        )
      }}
    </Answer>
  )
}

function CreateExperiment(): ReactNode {
  const queries = useQueryClient()
  const [, navigate] = useLocation()
  const [form, setForm] = useState({ name: '', title: '', setup: '', series: '' })
  const create = useMutation({
    mutationFn: () => apiOf(logbookContract).createExperiment({ body: { ...form, template: 'single-setup' } }),
    onSuccess: async (experiment) => {
      await queries.invalidateQueries({ queryKey: ['logbook'] })
      navigate(`/e/${experiment.name}`)
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  const field = (name: keyof typeof form, label: string, description?: string): ReactNode => (
    <TextInput
      label={label}
      description={description}
      required
      value={form[name]}
      onChange={(event) => setForm({ ...form, [name]: event.currentTarget.value })}
    />
  )
  return (
    <Panel title={t('home.create')}>
      <p className="cy-quiet">{t('home.noExperimentHint')}</p>
      <CopyLine
        label={t('home.create')}
        text="cygnet experiments create demo --title 'Demonstration' --setup lime --series sim"
      />
      <form onSubmit={submit} className="cy-stack cy-form">
        {field('name', t('home.name'), t('home.nameHint'))}
        {field('title', t('home.fullTitle'))}
        {field('setup', t('home.setup'), t('home.setupHint'))}
        {field('series', t('home.series'), t('home.seriesHint'))}
        {create.error !== null && <Problem error={create.error} />}
        <div>
          <Button type="submit" loading={create.isPending}>
            {t('home.make')}
          </Button>
        </div>
      </form>
    </Panel>
  )
}
