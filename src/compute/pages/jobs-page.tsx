/** Will it finish, why is it waiting, why did it fail? */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import {
  CopyLine,
  Empty,
  PageEnd,
  PageHead,
  Problem,
  Waiting,
  apiOf,
  useHeldRows,
  usePages,
  useQueryState,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps } from '../../foundation/browser.tsx'
import { computeContract, jobState } from '../contract.ts'
import { JobTable, kindWords } from './job-table.tsx'
import { t } from './messages.ts'

export default function JobsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('jobs.title'))
  const state = useQueryState()
  const wanted = jobState.safeParse(state.get('state'))
  const filter = {
    ...(wanted.success ? { state: wanted.data } : {}),
    ...(state.get('kind') === '' ? {} : { kind: state.get('kind') }),
    ...(state.get('subject') === '' ? {} : { subject: state.get('subject') }),
  }
  const question = JSON.stringify(filter)
  const filtered = question !== '{}'
  const jobs = usePages(['compute', 'jobs', experiment, question], (cursor, signal) =>
    apiOf(computeContract).listJobs(
      { params: { experiment }, query: { ...filter, limit: 50, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  const held = useHeldRows(jobs.items, (job) => job.id, question)
  const clear = (): void => state.set({ state: undefined, kind: undefined, subject: undefined })
  return (
    <>
      <PageHead title={t('jobs.title')} />
      <div className="cy-filters" role="search">
        <TextInput
          size="xs"
          label={t('jobs.subject')}
          placeholder={t('jobs.subjectHint')}
          defaultValue={state.get('subject')}
          key={state.get('subject')}
          onBlur={(event) => state.set({ subject: event.currentTarget.value.trim() })}
          onKeyDown={(event) => {
            if (event.key === 'Enter') state.set({ subject: event.currentTarget.value.trim() })
          }}
          data-filter
        />
        <NativeSelect
          size="xs"
          label={t('jobs.state')}
          value={state.get('state')}
          onChange={(event) => state.set({ state: event.currentTarget.value })}
          data={[
            { value: '', label: t('jobs.any') },
            ...jobState.options.map((value) => ({ value, label: t(`state.${value}`) })),
          ]}
        />
        <NativeSelect
          size="xs"
          label={t('jobs.kind')}
          value={state.get('kind')}
          onChange={(event) => state.set({ kind: event.currentTarget.value })}
          data={[
            { value: '', label: t('jobs.any') },
            ...['reconstruction', 'pedestal', 'script', 'session', 'command'].map((value) => ({
              value,
              label: kindWords(value),
            })),
          ]}
        />
        {filtered && (
          <Button size="xs" variant="subtle" onClick={clear}>
            {t('jobs.clear')}
          </Button>
        )}
      </div>
      {held.fresh > 0 && (
        <button type="button" className="cy-banner" onClick={held.show}>
          {t('jobs.fresh', { count: held.fresh })}
        </button>
      )}
      {jobs.waiting ? (
        <Waiting rows={10} height={24} />
      ) : jobs.error !== null && jobs.items.length === 0 ? (
        <Problem error={jobs.error} onRetry={jobs.retry} />
      ) : held.rows.length === 0 ? (
        <Empty title={filtered ? t('jobs.none') : t('jobs.noneYet')}>
          {!filtered && (
            <>
              <p>{t('jobs.noneYetHint')}</p>
              <CopyLine
                label={t('jobs.submitCopy')}
                text={`cygnet jobs submit --experiment ${experiment} -- python3 -c 'print("hello")'`}
              />
            </>
          )}
        </Empty>
      ) : (
        <>
          <JobTable experiment={experiment} rows={held.rows} />
          <PageEnd of={jobs} />
        </>
      )}
    </>
  )
}
