/** /join#code=…: who invites, to what, until when, under which rules; and from there to being signed in. */
import { Button, Checkbox } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import type { z } from 'zod'
import {
  Answer,
  Facts,
  Moment,
  Panel,
  Problem,
  apiOf,
  useAnswer,
  useLanguage,
  useMe,
  useTitle,
} from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { joinSchema } from '../invitations/contract.ts'
import { codeOfFragment } from './fragment.ts'
import { InstituteButtons } from './institute-buttons.tsx'
import { JoinedPanel } from './joined-panel.tsx'
import { JoinForm } from './join-form.tsx'
import { t } from './join-messages.ts'

export type Join = z.output<typeof joinSchema>

// Taken once per load of the page: a second render must not find the fragment already cleared.
let taken: string | undefined

function takeCode(): string | undefined {
  const code = codeOfFragment(window.location.hash)
  if (code !== undefined) {
    taken = code
    window.history.replaceState(window.history.state, '', `${window.location.pathname}${window.location.search}`)
  }
  return code
}

export default function JoinPage(): ReactNode {
  useTitle(t('join.title'))
  const language = useLanguage()
  const [code, setCode] = useState(takeCode)
  const [opening, setOpening] = useState<{ state: 'busy' | 'done' } | { state: 'failed'; error: unknown }>({
    state: taken === undefined ? 'done' : 'busy',
  })
  useEffect(() => {
    // A second link opened in this tab only changes the fragment; the page is not loaded anew.
    const again = (): void => {
      if (takeCode() === undefined) return
      setOpening({ state: 'busy' })
      setCode(taken)
    }
    window.addEventListener('hashchange', again)
    return () => window.removeEventListener('hashchange', again)
  }, [])
  const queries = useQueryClient()
  useEffect(() => {
    if (taken === undefined) return
    const body = { code: taken, language }
    taken = undefined
    apiOf(identityContract)
      .openJoin({ body })
      .then((join) => {
        queries.setQueryData(['identity', 'join', language], join)
        setOpening({ state: 'done' })
      })
      .catch((error: unknown) => setOpening({ state: 'failed', error }))
  }, [code, language, queries])
  return (
    <div className="cy-join">
      {opening.state === 'done' ? (
        <Opened language={language} />
      ) : (
        <>
          <h1>{t('join.title')}</h1>
          {opening.state === 'failed' ? (
            <NoInvitation error={opening.error} />
          ) : (
            <p role="status">{t('join.opening')}</p>
          )}
        </>
      )}
    </div>
  )
}

function Opened(props: { language: 'en' | 'it' }): ReactNode {
  const { language } = props
  const [declined, setDeclined] = useState<string | undefined>(undefined)
  const join = useAnswer(
    ['identity', 'join', language],
    (signal) => apiOf(identityContract).showJoin({ query: { language } }, { signal }),
    { everyMs: 10_000, enabled: declined === undefined },
  )
  if (join.data?.state === 'in') return <JoinedPanel join={join.data} />
  return (
    <>
      <h1>{t('join.title')}</h1>
      {declined !== undefined ? (
        <p role="status">{t('join.declined', { sponsor: declined })}</p>
      ) : join.error !== null && join.data === undefined ? (
        <NoInvitation error={undefined} />
      ) : (
        <Answer to={join}>
          {(data) =>
            data.state === 'waiting' ? (
              <Panel title={t('join.waiting', { sponsor: data.sponsor })}>
                <p role="status">
                  {t('join.waitingHint', { sponsor: data.sponsor, address: data.addressedTo ?? '–' })}
                </p>
              </Panel>
            ) : (
              <Invitation join={data} language={language} onDeclined={() => setDeclined(data.sponsor)} />
            )
          }
        </Answer>
      )}
    </>
  )
}

function NoInvitation(props: { error: unknown }): ReactNode {
  return (
    <div className="cy-stack">
      {props.error === undefined ? (
        <p>{t('join.none')}</p>
      ) : (
        <>
          <Problem error={props.error} title={t('join.failed')} />
          <p>{t('join.failedHint')}</p>
        </>
      )}
      <div>
        <Button component={Link} href="/sign-in" variant="default">
          {t('join.signIn')}
        </Button>
      </div>
    </div>
  )
}

function Invitation(props: { join: Join; language: 'en' | 'it'; onDeclined: () => void }): ReactNode {
  const { join, language } = props
  const { terms } = join
  const me = useMe()
  const role = t(`role.of.${join.role}`)
  const rulesTitle = terms.version === 0 ? t('join.firstRules') : t('join.rules', { version: terms.version })
  const [agreed, setAgreed] = useState<number | undefined>(undefined)
  const agree = useMutation({
    mutationFn: (version: number) => apiOf(identityContract).acceptJoinTerms({ body: { version, language } }),
    onSuccess: (_, version) => setAgreed(version),
  })
  const isAgreed = agreed === terms.version
  return (
    <div className="cy-stack">
      <p className="cy-lead">{t('join.lead', { sponsor: join.sponsor, group: join.group })}</p>
      {join.message !== '' && <blockquote className="cy-notice">{join.message}</blockquote>}
      <Facts
        items={[
          [t('join.role'), role],
          [t('join.until'), join.accessEndMs === null ? t('join.noEnd') : <Moment key="end" atMs={join.accessEndMs} />],
          [t('join.linkUntil'), <Moment key="link" atMs={join.expiresAtMs} />],
          [t('join.for'), join.addressedTo],
        ]}
      />
      <Panel title={t('join.can')}>
        <p>{join.role === 'guest' ? t('join.canGuest') : t('join.canMore', { role })}</p>
        <p className="cy-quiet">{t('join.data')}</p>
      </Panel>
      <Panel title={rulesTitle}>
        <div className="cy-rules" tabIndex={0} role="region" aria-label={rulesTitle}>
          {terms.text}
        </div>
        <Checkbox
          label={t('join.agree')}
          checked={isAgreed}
          disabled={agree.isPending}
          onChange={(event) => (event.currentTarget.checked ? agree.mutate(terms.version) : setAgreed(undefined))}
        />
        {agree.error !== null && <Problem error={agree.error} />}
      </Panel>
      <Panel title={t('join.how')}>
        <div className="cy-stack">
          {!isAgreed && <p className="cy-quiet">{t('join.first')}</p>}
          <fieldset disabled={!isAgreed} className="cy-plain-fieldset cy-stack">
            {me === undefined ? <Newcomer join={join} language={language} /> : <AsMyself name={me.name} join={join} />}
          </fieldset>
          <Decline onDeclined={props.onDeclined} />
        </div>
      </Panel>
    </div>
  )
}

function Newcomer(props: { join: Join; language: 'en' | 'it' }): ReactNode {
  const { join, language } = props
  const institutes = useAnswer(
    ['identity', 'institutes'],
    (signal) => apiOf(identityContract).listInstitutes({}, { signal }),
    { everyMs: 0 },
  )
  const { issuers } = join
  const usable = (institutes.data?.items ?? []).filter(({ issuer }) => issuers?.includes(issuer) ?? true)
  return (
    <>
      {issuers !== null && <p>{t('join.onlyInstitute')}</p>}
      {issuers !== null && institutes.data !== undefined && usable.length === 0 && <p>{t('join.noInstitute')}</p>}
      <InstituteButtons purpose="join" next="/join" issuers={issuers} />
      {issuers === null && <JoinForm termsVersion={join.terms.version} language={language} />}
    </>
  )
}

/** Who has an account keeps it. */
function AsMyself(props: { name: string; join: Join }): ReactNode {
  const queries = useQueryClient()
  const accept = useMutation({
    mutationFn: () => apiOf(identityContract).joinAsMyself({ body: { termsVersion: props.join.terms.version } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <>
      <p className="cy-quiet">{t('join.asMeHint')}</p>
      {accept.error !== null && <Problem error={accept.error} />}
      <div>
        <Button loading={accept.isPending} onClick={() => accept.mutate()}>
          {t('join.asMe', { name: props.name })}
        </Button>
      </div>
    </>
  )
}

function Decline(props: { onDeclined: () => void }): ReactNode {
  const [asked, setAsked] = useState(false)
  const decline = useMutation({
    mutationFn: () => apiOf(identityContract).declineJoin({}),
    onSuccess: props.onDeclined,
  })
  if (!asked)
    return (
      <div>
        <Button size="compact-sm" variant="subtle" color="gray" onClick={() => setAsked(true)}>
          {t('join.decline')}
        </Button>
      </div>
    )
  return (
    <div className="cy-row">
      {decline.error !== null && <Problem error={decline.error} />}
      <Button size="compact-sm" color="red" loading={decline.isPending} onClick={() => decline.mutate()}>
        {t('join.declineSure')}
      </Button>
      <Button size="compact-sm" variant="subtle" onClick={() => setAsked(false)}>
        {t('join.keep')}
      </Button>
    </div>
  )
}
