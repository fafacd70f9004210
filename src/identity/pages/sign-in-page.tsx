/** /sign-in: the ways in; /sign-in#code=… redeems a one-time link; ?interaction=… is where an application's request is confirmed. */
import { Button } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation, useSearch } from 'wouter'
import { Panel, Problem, Waiting, apiOf, useAnswer, useTitle } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { codeOfFragment, safeNext } from './fragment.ts'
import { Grant } from './grant.tsx'
import { InstituteButtons } from './institute-buttons.tsx'
import { t } from './entry-messages.ts'
import { t as joinWords } from './join-messages.ts'
import { LinkWay, PasskeyWay, PasswordWay } from './sign-in-ways.tsx'

// The code is taken once per load of the page: a second render must not find the fragment already cleared.
let taken: string | undefined

function takeCode(): string | undefined {
  const code = codeOfFragment(window.location.hash)
  if (code !== undefined) {
    taken = code
    window.history.replaceState(window.history.state, '', `${window.location.pathname}${window.location.search}`)
  }
  return taken
}

export default function SignInPage(): ReactNode {
  useTitle(t('signIn.title'))
  const search = useSearch()
  const [, navigate] = useLocation()
  const queries = useQueryClient()
  const [code, setCode] = useState(takeCode)
  const [error, setError] = useState<unknown>(undefined)
  useEffect(() => {
    // A second link opened in this tab only changes the fragment; the page is not loaded anew.
    const again = (): void => {
      if (codeOfFragment(window.location.hash) === undefined) return
      setError(undefined)
      setCode(takeCode())
    }
    window.addEventListener('hashchange', again)
    return () => window.removeEventListener('hashchange', again)
  }, [])
  const interaction = new URLSearchParams(search).get('interaction')

  useEffect(() => {
    if (code === undefined || taken === undefined) return
    taken = undefined
    apiOf(identityContract)
      .redeemCode({ body: { code } })
      .then(async () => {
        await queries.resetQueries()
        navigate(safeNext(window.location.search), { replace: true })
      })
      .catch((caught: unknown) => setError(caught))
  }, [code, navigate, queries])

  return (
    <div className="cy-sign-in">
      <h1>
        <img src="/cygnet.svg" alt="" width="34" height="34" /> {t('signIn.title')}
      </h1>
      {code !== undefined && error === undefined ? (
        <p role="status">{t('signIn.working')}</p>
      ) : (
        <Entrance error={error} interaction={code === undefined ? interaction : null} />
      )}
    </div>
  )
}

/** Whoever is not signed in does that first, and an application that asks waits for it on the same page. */
function Entrance(props: { error: unknown; interaction: string | null }): ReactNode {
  const { error, interaction } = props
  const search = useSearch()
  const me = useAnswer(['identity', 'me'], (signal) => apiOf(identityContract).me({}, { signal }), { everyMs: 0 })
  if (me.data !== undefined && error === undefined) {
    if (interaction !== null) return <Request interaction={interaction} />
    return (
      <Panel title={t('signIn.already')}>
        <Button component={Link} href={safeNext(search)}>
          {t('signIn.home')}
        </Button>
      </Panel>
    )
  }
  if (interaction !== null && me.error === null) return <Waiting />
  const next = interaction === null ? safeNext(search) : `/sign-in?interaction=${encodeURIComponent(interaction)}`
  return <Ways error={error} next={next} />
}

function Ways(props: { error: unknown; next: string }): ReactNode {
  const [, navigate] = useLocation()
  const queries = useQueryClient()
  const onDone = (): void => {
    void queries.resetQueries().then(() => navigate(props.next, { replace: true }))
  }
  return (
    <>
      {props.error !== undefined && (
        <>
          <Problem error={props.error} title={t('signIn.failed')} />
          <p>{t('signIn.failedHint')}</p>
        </>
      )}
      <PasskeyWay onDone={onDone} />
      <InstituteButtons next={props.next} />
      <PasswordWay onDone={onDone} />
      <LinkWay open={props.error !== undefined} />
      <p className="cy-quiet cy-small">
        <Link href="/request-experiment">{joinWords('ask.title')}</Link>
      </p>
    </>
  )
}

function Request(props: { interaction: string }): ReactNode {
  const params = { interaction: props.interaction }
  const request = useAnswer(['identity', 'interaction', props.interaction], (signal) =>
    apiOf(identityContract).showInteraction({ params }, { signal }),
  )
  return (
    <Grant
      title={t('grant.title')}
      request={request}
      decide={async (decision) => {
        const { location } = await apiOf(identityContract).decideInteraction({ params, body: { decision } })
        window.location.assign(location)
      }}
    />
  )
}
