/** Who did what, when, from where, and what was denied: of one experiment, or of the whole site. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { ReactNode } from 'react'
import {
  Empty,
  PageEnd,
  PageHead,
  Problem,
  Waiting,
  addressOf,
  apiOf,
  useHeldRows,
  useMay,
  usePages,
  useQueryState,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps, QueryState } from '../../foundation/browser.tsx'
import type { z } from 'zod'
import { identityContract } from '../contract.ts'
import type { auditFilterSchema } from '../contract.ts'
import { t } from './audit-messages.ts'
import { AuditTable } from './audit-table.tsx'
import { AuditWhole } from './audit-whole.tsx'

const texts = ['actor', 'action', 'target', 'address'] as const
const days = ['from', 'until'] as const
const askAgainMs = 10_000

export default function AuditPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment']
  const title = experiment === undefined ? t('audit.site') : t('audit.of', { experiment })
  useTitle(title)
  const may = useMay()
  const allowed = experiment === undefined ? may('site.admin') : may('audit.read', experiment)
  const state = useQueryState()
  const filter = filterOf(state, experiment)
  return (
    <>
      <PageHead title={title}>
        {allowed && (
          <Button
            component="a"
            size="compact-sm"
            variant="default"
            href={addressOf(identityContract.routes.exportAudit, { query: filter })}
            download
          >
            {t('audit.export')}
          </Button>
        )}
      </PageHead>
      {allowed ? (
        <div className="cy-stack">
          {experiment === undefined && <AuditWhole />}
          <Search experiment={experiment} state={state} filter={filter} />
        </div>
      ) : (
        <Empty title={t('audit.not')}>
          <p>
            {t('audit.notHint')} <a href="/me">{t('audit.mine')}</a>
          </p>
        </Empty>
      )}
    </>
  )
}

type Filter = z.input<typeof auditFilterSchema>

function filterOf(state: QueryState, experiment: string | undefined): Filter {
  const decision = state.get('decision')
  return {
    ...(experiment === undefined ? {} : { experiment }),
    ...(decision === 'allow' || decision === 'deny' ? { decision: decision as 'allow' | 'deny' } : {}),
    ...Object.fromEntries(texts.map((name) => [name, state.get(name)] as const).filter(([, value]) => value !== '')),
    ...Object.fromEntries(
      days.map((name) => [`${name}Ms`, Date.parse(state.get(name))] as const).filter(([, value]) => value >= 0),
    ),
  }
}

function Search(props: { experiment: string | undefined; state: QueryState; filter: Filter }): ReactNode {
  const { experiment, state, filter } = props
  const question = JSON.stringify(filter)
  const isFiltered = Object.keys(filter).some((name) => name !== 'experiment')
  const key = ['identity', 'audit', 'search']
  const queries = useQueryClient()
  // Not all that is audited announces itself: sign-ins and refusals do not.
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible')
        void queries.invalidateQueries({ queryKey: ['identity', 'audit', 'search'] })
    }, askAgainMs)
    return () => clearInterval(timer)
  }, [queries])
  const rows = usePages([...key, question], (cursor, signal) =>
    apiOf(identityContract).listAudit(
      { query: { ...filter, limit: 50, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  const held = useHeldRows(rows.items, (row) => row.id, question)
  return (
    <div>
      <Filters state={state} isFiltered={isFiltered} />
      {held.fresh > 0 && (
        <button type="button" className="cy-banner" onClick={held.show}>
          {t('audit.fresh', { count: held.fresh })}
        </button>
      )}
      {rows.waiting ? (
        <Waiting rows={10} height={24} />
      ) : rows.error !== null && rows.items.length === 0 ? (
        <Problem error={rows.error} onRetry={rows.retry} />
      ) : held.rows.length === 0 ? (
        <Empty title={isFiltered ? t('audit.none') : t('audit.noneYet')}>
          <p>{isFiltered ? t('audit.noneHint') : t('audit.noneYetHint')}</p>
        </Empty>
      ) : (
        <>
          <AuditTable rows={held.rows} withExperiment={experiment === undefined} onFilter={state.set} />
          <PageEnd of={rows} />
        </>
      )}
    </div>
  )
}

function Filters(props: { state: QueryState; isFiltered: boolean }): ReactNode {
  const { state } = props
  const labels = {
    actor: [t('audit.who'), t('audit.whoHint')],
    action: [t('audit.what'), t('audit.whatHint')],
    target: [t('audit.target'), t('audit.targetHint')],
    address: [t('audit.address'), ''],
  } as const
  const clear = (): void =>
    state.set(Object.fromEntries([...texts, ...days, 'decision'].map((name) => [name, undefined])))
  return (
    <div className="cy-filters" role="search">
      {texts.map((name) => (
        <TextInput
          key={`${name} ${state.get(name)}`}
          size="xs"
          label={labels[name][0]}
          placeholder={labels[name][1]}
          defaultValue={state.get(name)}
          onBlur={(event) => state.set({ [name]: event.currentTarget.value.trim() })}
          onKeyDown={(event) => {
            if (event.key === 'Enter') state.set({ [name]: event.currentTarget.value.trim() })
          }}
          {...(name === 'actor' ? { 'data-filter': true } : {})}
        />
      ))}
      <NativeSelect
        size="xs"
        label={t('audit.decision')}
        value={state.get('decision')}
        onChange={(event) => state.set({ decision: event.currentTarget.value })}
        data={[
          { value: '', label: t('audit.any') },
          { value: 'allow', label: t('audit.allow') },
          { value: 'deny', label: t('audit.deny') },
        ]}
      />
      {days.map((name) => (
        <TextInput
          key={name}
          size="xs"
          type="date"
          label={name === 'from' ? t('audit.from') : t('audit.until')}
          value={state.get(name)}
          onChange={(event) => state.set({ [name]: event.currentTarget.value })}
        />
      ))}
      {props.isFiltered && (
        <Button size="xs" variant="subtle" onClick={clear}>
          {t('audit.clear')}
        </Button>
      )}
    </div>
  )
}
