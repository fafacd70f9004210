/** Who gains or loses what by an edited policy, and what of theirs is touched. */
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Moment, Problem, StateMark, Waiting, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { Policy, policyPreviewSchema } from '../groups/contract.ts'
import { t } from './groups-messages.ts'

type Preview = z.infer<typeof policyPreviewSchema>

export function PolicyPreview({ group, policy }: { group: string; policy: Policy }): ReactNode {
  const { data, error } = useQuery({
    queryKey: ['identity', 'policy-preview', group, policy],
    queryFn: ({ signal }) => apiOf(identityContract).previewPolicy({ body: { group, policy } }, { signal }),
    retry: false,
    placeholderData: (previous: Preview | undefined) => previous as never,
  })
  if (error !== null) return <Problem error={error} />
  if (data === undefined) return <Waiting rows={2} />
  return <ShownPreview preview={data} />
}

function ShownPreview({ preview }: { preview: Preview }): ReactNode {
  const { differences, changes, running, keys } = preview
  if (differences.length === 0) return <p className="cy-quiet">{t('policy.nothing', { version: preview.version })}</p>
  const people = new Set(changes.map(({ personId }) => personId)).size
  return (
    <div className="cy-stack" role="status" aria-live="polite">
      <Section title={t('policy.differences')}>
        {differences.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </Section>
      {changes.length === 0 ? (
        <p>{t('policy.nobody')}</p>
      ) : (
        <Section title={t('policy.people', { count: people })}>
          {changes.map((change) => (
            <Change key={`${change.personId} ${change.group} ${change.role}`} change={change} />
          ))}
        </Section>
      )}
      {running.length > 0 && (
        <Section title={t('policy.touched')}>
          {running.map((work) => (
            <li key={work.id}>
              {t(`policy.${work.kind}`)} {work.title} ({work.personName}):{' '}
              <StateMark tone={work.stops ? 'alarm' : 'quiet'}>
                {t(work.stops ? 'policy.stops' : 'policy.less')}
              </StateMark>
            </li>
          ))}
        </Section>
      )}
      {keys.length > 0 && (
        <Section title={t('policy.keys')}>
          {keys.map((key) => (
            <li key={key.accessKeyId}>
              <code>{key.accessKeyId}</code> {key.label} ({key.ownerName})
            </li>
          ))}
        </Section>
      )}
    </div>
  )
}

function Change({ change }: { change: Preview['changes'][number] }): ReactNode {
  const { displayName, name, group, role, lost, gained, limits, until } = change
  return (
    <li>
      <strong>{displayName}</strong>{' '}
      <span className="cy-quiet cy-small">
        {name}, {role}, {group}
      </span>
      <ul className="cy-plain-list">
        {lost.map((text) => (
          <li key={text}>
            <StateMark tone="warning">{t('policy.loses')}</StateMark> <code>{text}</code>
          </li>
        ))}
        {gained.map((text) => (
          <li key={text}>
            <StateMark tone="info">{t('policy.gains')}</StateMark> <code>{text}</code>
          </li>
        ))}
        {until !== undefined && (
          <li>
            {until.afterMs === null ? (
              t('policy.untilNow', { until: t('groups.noEnd') })
            ) : (
              <>
                {t('policy.untilNow', { until: '' })} <Moment atMs={until.afterMs} />
              </>
            )}
          </li>
        )}
        {limits.map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
    </li>
  )
}

function Section(props: { title: string; children: ReactNode }): ReactNode {
  return (
    <section aria-label={props.title}>
      <h3 className="cy-quiet cy-small">{props.title}</h3>
      <ul className="cy-plain-list">{props.children}</ul>
    </section>
  )
}
