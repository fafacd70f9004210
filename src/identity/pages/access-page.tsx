/** Who may do what in an experiment, and why; and every time that a site admin took a right to read there. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Answer,
  Empty,
  Moment,
  PageEnd,
  PageHead,
  Panel,
  Problem,
  StateMark,
  Waiting,
  apiOf,
  useAnswer,
  useMay,
  usePages,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps } from '../../foundation/browser.tsx'
import { decisionActions, identityContract } from '../contract.ts'
import type { Decided } from '../contract.ts'
import { t } from './access-messages.ts'
import { t as auditWords } from './audit-messages.ts'
import { BrokenGlass } from './broken-glass.tsx'

type Action = (typeof decisionActions)[number]
type Dashed<Text extends string> = Text extends `${infer Room}.${infer Verb}` ? `${Room}-${Verb}` : never
const wordOf = (action: Action): string => t(`action.${action.replace('.', '-') as Dashed<Action>}`)

interface Question {
  subject: string
  action: Action
  place: string
}

export default function AccessPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('access.title', { experiment }))
  const sees = useMay()('audit.read', experiment)
  return (
    <>
      <PageHead title={t('access.title', { experiment })}>
        {sees && (
          <Button component={Link} size="compact-sm" variant="default" href={`/e/${experiment}/audit`}>
            {auditWords('audit.site')}
          </Button>
        )}
      </PageHead>
      <div className="cy-stack">
        <Panel title={t('access.why')}>
          <p className="cy-quiet">{t('access.whyHint')}</p>
          <Why experiment={experiment} ofOthers={sees} />
        </Panel>
        {sees && (
          <Panel title={t('access.who')}>
            <p className="cy-quiet">{t('access.whoHint')}</p>
            <WhoCan experiment={experiment} />
          </Panel>
        )}
        {sees && <BrokenGlass experiment={experiment} />}
      </div>
    </>
  )
}

function AskForm(props: { withPerson: boolean; onAsk: (question: Question) => void }): ReactNode {
  const [question, setQuestion] = useState<Question>({ subject: '', action: 'data.read', place: '' })
  const change = (part: Partial<Question>): void => setQuestion({ ...question, ...part })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    props.onAsk({ ...question, subject: question.subject.trim(), place: question.place.trim() })
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      {props.withPerson && (
        <TextInput
          size="xs"
          label={t('access.person')}
          placeholder={t('access.personHint')}
          value={question.subject}
          onChange={(event) => change({ subject: event.currentTarget.value })}
        />
      )}
      <NativeSelect
        size="xs"
        label={t('access.action')}
        value={question.action}
        onChange={(event) => change({ action: event.currentTarget.value as Action })}
        data={decisionActions.map((value) => ({ value, label: wordOf(value) }))}
      />
      <TextInput
        size="xs"
        label={t('access.place')}
        placeholder={t('access.placeHint')}
        value={question.place}
        onChange={(event) => change({ place: event.currentTarget.value })}
      />
      <Button size="xs" type="submit">
        {t('access.ask')}
      </Button>
    </form>
  )
}

function Why(props: { experiment: string; ofOthers: boolean }): ReactNode {
  const [asked, setAsked] = useState<Question | undefined>(undefined)
  return (
    <>
      <AskForm withPerson={props.ofOthers} onAsk={setAsked} />
      {asked !== undefined && <Explained experiment={props.experiment} asked={asked} />}
    </>
  )
}

function Explained(props: { experiment: string; asked: Question }): ReactNode {
  const { experiment, asked } = props
  const { subject, action, place } = asked
  const answer = useAnswer(['identity', 'decisions', 'why', experiment, subject, action, place], (signal) =>
    apiOf(identityContract).explainDecision(
      { query: { experiment, action, ...(subject !== '' && { subject }), ...(place !== '' && { place }) } },
      { signal },
    ),
  )
  return (
    <Answer to={answer}>
      {(found) => (
        <div role="status">
          <p className="cy-row">
            <Verdict decided={found} />
            <span>{t('access.answer', { name: found.subject.name, reason: found.reason })}</span>
          </p>
          {found.grants.length === 0 ? (
            <p className="cy-quiet">{t('access.noRoles')}</p>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table" aria-label={t('access.roles')}>
                <thead>
                  <tr>
                    <th scope="col">{t('access.role')}</th>
                    <th scope="col">{t('access.group')}</th>
                    <th scope="col">{t('access.verdict')}</th>
                    <th scope="col">{t('access.left')}</th>
                    <th scope="col">{t('access.ends')}</th>
                  </tr>
                </thead>
                <tbody>
                  {found.grants.map((grant) => (
                    <tr key={JSON.stringify(grant)}>
                      <td>{grant.role}</td>
                      <td className="cy-mono">{grant.group}</td>
                      <td>
                        <Verdict decided={grant} />
                      </td>
                      <td className="cy-text">
                        {grant.capabilities === null ? t('access.whole') : grant.capabilities.join(', ')}
                      </td>
                      <td>{grant.untilMs === null ? '–' : <Moment atMs={grant.untilMs} />}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </div>
      )}
    </Answer>
  )
}

function Verdict(props: { decided: Decided }): ReactNode {
  const { allow, cut, reason } = props.decided
  return (
    <StateMark tone={allow ? 'verified' : 'warning'} title={reason}>
      {allow ? t('access.yes') : cut === null ? t('access.no') : t(`cut.${cut}`)}
    </StateMark>
  )
}

function WhoCan(props: { experiment: string }): ReactNode {
  const [asked, setAsked] = useState<Question | undefined>(undefined)
  return (
    <>
      <AskForm withPerson={false} onAsk={setAsked} />
      {asked !== undefined && <People experiment={props.experiment} asked={asked} />}
    </>
  )
}

function People(props: { experiment: string; asked: Question }): ReactNode {
  const { experiment } = props
  const { action, place } = props.asked
  const rows = usePages(['identity', 'decisions', 'who', experiment, action, place], (cursor, signal) =>
    apiOf(identityContract).whoCan(
      {
        query: {
          experiment,
          action,
          limit: 50,
          ...(place !== '' && { place }),
          ...(cursor === undefined ? {} : { cursor }),
        },
      },
      { signal },
    ),
  )
  if (rows.waiting) return <Waiting rows={5} height={24} />
  if (rows.error !== null && rows.items.length === 0) return <Problem error={rows.error} onRetry={rows.retry} />
  if (rows.items.length === 0)
    return (
      <Empty title={t('access.nobody')}>
        <p>{t('access.nobodyHint')}</p>
      </Empty>
    )
  return (
    <>
      <div className="cy-table-scroll" role="status">
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('access.person')}</th>
              <th scope="col">{t('access.by')}</th>
            </tr>
          </thead>
          <tbody>
            {rows.items.map((row) => (
              <tr key={row.id} data-row>
                <td className="cy-key">{row.name}</td>
                <td>{row.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <PageEnd of={rows} />
    </>
  )
}
