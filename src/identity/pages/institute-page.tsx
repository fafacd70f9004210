/** /institute: where a browser arrives that comes back from an institute, and where it is decided what happens. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import type { z } from 'zod'
import { CopyButton, Fault, Panel, Problem, apiOf, useTitle } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { landingSchema } from '../federation/contract.ts'
import { t } from './institute-messages.ts'
import { t as roleWords } from './join-messages.ts'

type Landing = z.infer<typeof landingSchema>
type Of<Step extends Landing['step']> = Extract<Landing, { step: Step }>
type Wish = { name?: string; displayName?: string; confirm?: boolean }

export default function InstitutePage(): ReactNode {
  useTitle(t('institute.title'))
  const [, navigate] = useLocation()
  const queries = useQueryClient()
  const [landing, setLanding] = useState<Landing | undefined>(undefined)
  const go = useMutation({
    mutationFn: (wish: Wish) => apiOf(identityContract).continueInstituteLogin({ body: wish }),
    onSuccess: async (next) => {
      if (next.step !== 'signed-in' && next.step !== 'waiting') return setLanding(next)
      await queries.resetQueries()
      navigate(next.next, { replace: true })
    },
  })
  // Asked once per load of the page: an answer that was refused is told once.
  const asked = useRef(false)
  useEffect(() => {
    if (asked.current) return
    asked.current = true
    go.mutate({})
  }, [go])

  return (
    <div className="cy-sign-in">
      <h1>
        <img src="/cygnet.svg" alt="" width="34" height="34" /> {t('institute.title')}
      </h1>
      {landing === undefined ? (
        go.error === null ? (
          <p role="status">{t('institute.back')}</p>
        ) : (
          <Failed error={go.error} />
        )
      ) : (
        <>
          {go.error !== null && <Problem error={go.error} />}
          {landing.step === 'choose-name' && <Newcomer landing={landing} busy={go.isPending} onGo={go.mutate} />}
          {landing.step === 'not-invited' && <NotInvited landing={landing} />}
          {landing.step === 'confirm-link' && <ConfirmLink landing={landing} busy={go.isPending} onGo={go.mutate} />}
          {landing.step === 'linked' && <Linked landing={landing} />}
          {landing.step === 'signed-out' && <SignedOut landing={landing} />}
        </>
      )}
    </div>
  )
}

const reasons: Record<string, Parameters<typeof t>[0]> = {
  'identity.institute_said_no': 'institute.saidNo',
  'identity.institute_unreachable': 'institute.noAnswer',
  'identity.institute_refused': 'institute.refused',
  'identity.institute_disabled': 'institute.disabled',
  'identity.no_such_request': 'institute.over',
  'identity.identity_taken': 'institute.taken',
}

function Failed(props: { error: Error }): ReactNode {
  const { error } = props
  const reason = error instanceof Fault ? reasons[error.code] : undefined
  return (
    <>
      {reason === undefined ? (
        <Problem error={error} title={t('institute.failed')} />
      ) : (
        <div className="cy-problem" role="alert">
          <strong>{t('institute.failed')}</strong>
          <p>{t(reason)}</p>
          {error instanceof Fault && <code className="cy-quiet">{`${error.code} ${error.requestId ?? ''}`}</code>}
        </div>
      )}
      <Button component={Link} href="/sign-in">
        {t('institute.again')}
      </Button>
    </>
  )
}

function Newcomer(props: { landing: Of<'choose-name'>; busy: boolean; onGo: (wish: Wish) => void }): ReactNode {
  const { landing } = props
  const [name, setName] = useState(landing.proposedName)
  const [displayName, setDisplayName] = useState(landing.displayName)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    props.onGo({ name, displayName })
  }
  return (
    <Panel title={t('institute.newcomer')}>
      <form className="cy-stack" onSubmit={submit}>
        <div>
          <p>{landing.invited ? t('institute.invitation') : t('institute.gives', { institute: landing.institute })}</p>
          <ul className="cy-plain-list">
            {landing.gives.map(({ group, role }) => (
              <li key={`${group} ${role}`}>
                <strong>{group}</strong> {roleWords(`role.of.${role}`)}
              </li>
            ))}
          </ul>
        </div>
        <TextInput
          label={t('institute.fullName')}
          autoComplete="name"
          required
          maxLength={100}
          value={displayName}
          onChange={(event) => setDisplayName(event.currentTarget.value)}
        />
        <TextInput
          label={t('institute.name')}
          description={t('institute.nameHint')}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          pattern="[a-z][a-z0-9]{1,19}"
          title={t('institute.nameHint')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <p className="cy-quiet cy-small">{t('institute.choose')}</p>
        <Button type="submit" loading={props.busy}>
          {t('institute.begin')}
        </Button>
      </form>
    </Panel>
  )
}

function NotInvited(props: { landing: Of<'not-invited'> }): ReactNode {
  const { institute, knownAs, subject, platform } = props.landing
  const request = t('institute.request', { platform, institute, knownAs, subject })
  return (
    <Panel title={t('institute.notInvited')}>
      <div className="cy-stack">
        <p>{t('institute.known', { institute, knownAs })}</p>
        <p>{t('institute.ask')}</p>
        <blockquote className="cy-quote">{request}</blockquote>
        <div className="cy-row">
          <CopyButton text={request} label={t('institute.copy')} />
        </div>
        <p className="cy-quiet cy-small">{t('institute.haveAccount')}</p>
        <Button component={Link} href="/sign-in" variant="default">
          {t('institute.otherWay')}
        </Button>
      </div>
    </Panel>
  )
}

function ConfirmLink(props: { landing: Of<'confirm-link'>; busy: boolean; onGo: (wish: Wish) => void }): ReactNode {
  const { institute, knownAs, account } = props.landing
  return (
    <Panel title={t('institute.confirmTitle')}>
      <div className="cy-stack">
        <p>{t('institute.confirm', { institute, knownAs, name: account.displayName, account: account.name })}</p>
        <p className="cy-quiet">{t('institute.notYou')}</p>
        <div className="cy-row">
          <Button loading={props.busy} onClick={() => props.onGo({ confirm: true })}>
            {t('institute.yes')}
          </Button>
          <Button component={Link} href="/me" variant="default">
            {t('institute.no')}
          </Button>
        </div>
      </div>
    </Panel>
  )
}

function Linked(props: { landing: Of<'linked'> }): ReactNode {
  const { institute, knownAs, next } = props.landing
  return (
    <Panel title={t('identities.title')}>
      <div className="cy-stack">
        <p role="status">{t('institute.linked', { institute, knownAs })}</p>
        <Button component={Link} href={next}>
          {t('institute.toMe')}
        </Button>
      </div>
    </Panel>
  )
}

function SignedOut(props: { landing: Of<'signed-out'> }): ReactNode {
  const { institute, location } = props.landing
  return (
    <Panel title={t('institute.signedOut')}>
      <div className="cy-stack">
        {location !== null && (
          <>
            <p>{t('institute.stillThere', { institute })}</p>
            <Button onClick={() => window.location.assign(location)}>
              {t('institute.signOutThere', { institute })}
            </Button>
          </>
        )}
        <Button component={Link} href="/sign-in" variant="default">
          {t('institute.done')}
        </Button>
      </div>
    </Panel>
  )
}
