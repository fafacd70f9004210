/** Which runs do I want? Filtered and paged on the server, the filters in the address. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import {
  Answer,
  CopyButton,
  Empty,
  PageEnd,
  PageHead,
  Problem,
  Waiting,
  apiOf,
  useAnswer,
  useHeldRows,
  usePages,
  useQueryState,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps, QueryState } from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import { t } from './messages.ts'
import { commandOf, filterNames, filterOf, unusedFilters } from './run-filter.ts'
import type { FilterName } from './run-filter.ts'
import { RunTable } from './run-table.tsx'

export default function RunsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('runs.title'))
  const state = useQueryState()
  const filter = filterOf(state.get)
  const question = JSON.stringify(filter)
  const runs = usePages(['logbook', 'runs', experiment, question], (cursor, signal) =>
    apiOf(logbookContract).listRuns(
      {
        params: { experiment },
        query: { ...filter, limit: 100, total: 'yes', ...(cursor === undefined ? {} : { cursor }) },
      },
      { signal },
    ),
  )
  const held = useHeldRows(runs.items, (run) => run.id, question)
  const active = filterNames.filter((name) => state.get(name) !== '')
  const unused = unusedFilters(state.get)
  return (
    <>
      <PageHead
        title={t('runs.title')}
        aside={
          runs.total === undefined ? undefined : (
            <span className="cy-number">{t('runs.count', { count: runs.total })}</span>
          )
        }
      >
        <CopyButton text={window.location.href} label={t('runs.copyLink')} />
        <CopyButton text={commandOf(experiment, filterOf(state.get))} label={t('runs.copyCommand')} />
      </PageHead>
      <Filters experiment={experiment} state={state} unused={unused} active={active.length > 0} />
      {held.fresh > 0 && (
        <button type="button" className="cy-banner" onClick={held.show}>
          {t('runs.fresh', { count: held.fresh })}
        </button>
      )}
      {runs.waiting ? (
        <Waiting rows={14} height={24} />
      ) : runs.error !== null && runs.items.length === 0 ? (
        <Problem error={runs.error} onRetry={runs.retry} />
      ) : held.rows.length === 0 ? (
        <NoRuns experiment={experiment} state={state} active={active} />
      ) : (
        <>
          <RunTable experiment={experiment} rows={held.rows} />
          <PageEnd of={runs} />
        </>
      )}
    </>
  )
}

function NoRuns(props: { experiment: string; state: QueryState; active: FilterName[] }): ReactNode {
  if (props.active.length === 0) {
    return (
      <Empty title={t('home.noRuns')}>
        <p>{t('home.noRunsHint')}</p>
      </Empty>
    )
  }
  const filters = props.active.map((name) => `${labelOf(name)} ${props.state.get(name)}`).join(', ')
  return (
    <Empty title={t('runs.none')}>
      <p>{t('runs.noneHint', { experiment: props.experiment, filters })}</p>
      <Button
        size="compact-sm"
        variant="default"
        onClick={() => props.state.set(Object.fromEntries(props.active.map((name) => [name, undefined])))}
      >
        {t('runs.clear')}
      </Button>
    </Empty>
  )
}

function labelOf(name: FilterName): string {
  return t(`runs.${name}`)
}

function Filters(props: { experiment: string; state: QueryState; unused: FilterName[]; active: boolean }): ReactNode {
  const { state } = props
  const about = useAnswer(['logbook', 'experiment', props.experiment], (signal) =>
    apiOf(logbookContract).showExperiment({ params: { experiment: props.experiment } }, { signal }),
  )
  const choice = (name: FilterName, values: Array<{ value: string; label: string }>): ReactNode => (
    <NativeSelect
      size="xs"
      label={labelOf(name)}
      value={state.get(name)}
      onChange={(event) => state.set({ [name]: event.currentTarget.value })}
      data={[{ value: '', label: t('runs.any') }, ...values]}
    />
  )
  const plain = (values: readonly string[]): Array<{ value: string; label: string }> =>
    values.map((value) => ({ value, label: value }))
  return (
    <div className="cy-filters" role="search">
      <Typed name="text" state={state} width={190} filter />
      <Typed
        name="numbers"
        state={state}
        width={110}
        placeholder={t('runs.numbersHint')}
        wrong={props.unused.includes('numbers')}
      />
      {choice(
        'kind',
        (['data', 'pedestal', 'calibration', 'simulation'] as const).map((value) => ({
          value,
          label: t(`kind.${value}`),
        })),
      )}
      {choice(
        'state',
        (['recording', 'closing', 'closed', 'crashed'] as const).map((value) => ({
          value,
          label: t(`state.${value}`),
        })),
      )}
      {choice(
        'quality',
        (['unjudged', 'good', 'partial', 'bad'] as const).map((value) => ({ value, label: t(`quality.${value}`) })),
      )}
      {choice('fault', [
        { value: 'yes', label: t('runs.yes') },
        { value: 'no', label: t('runs.no') },
      ])}
      <Answer to={about} waiting="">
        {({ series, setups }) => (
          <>
            {setups.length > 1 && choice('setup', plain(setups.map((setup) => setup.name)))}
            {series.length > 1 && choice('series', plain(series.map((item) => item.name)))}
          </>
        )}
      </Answer>
      <TextInput
        size="xs"
        type="date"
        label={t('runs.from')}
        value={state.get('from')}
        onChange={(event) => state.set({ from: event.currentTarget.value })}
      />
      <TextInput
        size="xs"
        type="date"
        label={t('runs.to')}
        value={state.get('to')}
        onChange={(event) => state.set({ to: event.currentTarget.value })}
      />
      {props.active && (
        <Button
          size="xs"
          variant="subtle"
          onClick={() => state.set(Object.fromEntries(filterNames.map((name) => [name, undefined])))}
        >
          {t('runs.clear')}
        </Button>
      )}
    </div>
  )
}

/** A text filter that asks the server when the typing pauses, not at each letter. */
function Typed(props: {
  name: FilterName
  state: QueryState
  width: number
  placeholder?: string
  wrong?: boolean
  filter?: boolean
}): ReactNode {
  const known = props.state.get(props.name)
  const [text, setText] = useState(known)
  useEffect(() => setText(known), [known])
  useEffect(() => {
    if (text === known) return
    const timer = setTimeout(() => props.state.set({ [props.name]: text }), 300)
    return () => clearTimeout(timer)
  })
  return (
    <TextInput
      size="xs"
      style={{ width: props.width }}
      label={labelOf(props.name)}
      placeholder={props.placeholder}
      error={props.wrong === true}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      {...(props.filter === true ? { 'data-filter': true } : {})}
    />
  )
}
