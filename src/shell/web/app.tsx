/** The app: who is signed in, which page, and what all pages share. */
import { useQuery } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { Redirect, Route, Switch, useLocation } from 'wouter'
import {
  FrameContext,
  LanguageSwitch,
  Lazily,
  MeContext,
  Problem,
  ShortcutContext,
  SlotContext,
  ZoneContext,
  apiOf,
  createKeyReader,
  useLanguage,
} from '../../foundation/browser.tsx'
import type { PageRoute, ShortcutRegistry, Zone } from '../../foundation/browser.tsx'
import { Fault } from '../../foundation/errors.ts'
import { identityContract } from '../../identity/contract.ts'
import { Frame } from './frame.tsx'
import { t } from './messages.ts'
import { NotFound } from './not-found.tsx'
import { meKey } from './queries.ts'
import { rooms } from './rooms.ts'
import { remember, remembered } from './remember.ts'

const routes = rooms.flatMap((slot) => slot.routes)
const overlays = rooms.flatMap((slot) => slot.overlays ?? [])

export function App(): ReactNode {
  const [zone, setZone] = useState<Zone>(() => (remembered('zone') === 'local' ? 'local' : 'utc'))
  const zoneValue = useMemo(
    () => ({
      zone,
      setZone: (next: Zone) => {
        remember('zone', next)
        setZone(next)
      },
    }),
    [zone],
  )
  const [title, setTitle] = useState('')
  useEffect(() => {
    document.title = title === '' ? t('app.name') : `${title} · ${t('app.name')}`
  }, [title])
  const frame = useMemo(() => ({ setTitle }), [])
  return (
    <SlotContext value={rooms}>
      <ZoneContext value={zoneValue}>
        <FrameContext value={frame}>
          <Keyboard>
            <Pages />
          </Keyboard>
        </FrameContext>
      </ZoneContext>
    </SlotContext>
  )
}

function Keyboard(props: { children: ReactNode }): ReactNode {
  const registry = useMemo<ShortcutRegistry>(
    () => ({ shortcuts: new Set(), enabled: () => remembered('shortcuts') !== 'off' }),
    [],
  )
  useEffect(() => {
    const read = createKeyReader(registry, () => performance.now())
    window.addEventListener('keydown', read)
    return () => window.removeEventListener('keydown', read)
  }, [registry])
  return <ShortcutContext value={registry}>{props.children}</ShortcutContext>
}

function Pages(): ReactNode {
  const [path] = useLocation()
  useLanguage()
  const api = apiOf(identityContract)
  const me = useQuery({ queryKey: meKey, queryFn: ({ signal }) => api.me({}, { signal }), staleTime: 60_000 })
  const signedOut = me.error instanceof Fault && me.error.status === 401
  const open = routes.filter((route) => route.open === true)
  const isOpen = open.some((route) => route.path === path)
  useFocusOnNewPage(path)

  if (isOpen && (signedOut || path === '/sign-in' || path === '/institute')) return <Bare>{switchOf(open)}</Bare>
  if (signedOut) {
    const next = `${window.location.pathname}${window.location.search}`
    return <Redirect to={next === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(next)}`} replace />
  }
  if (me.data?.recovering === true && path !== '/me') return <Redirect to="/me" replace />
  if (me.data === undefined) {
    return (
      <Bare>
        {me.error === null ? (
          <p className="cy-quiet" role="status">
            {t('app.starting')}
          </p>
        ) : (
          <Problem error={me.error} onRetry={() => void me.refetch()} />
        )}
      </Bare>
    )
  }
  return (
    <MeContext value={me.data}>
      <Frame>{switchOf(routes)}</Frame>
      {overlays.map((load, index) => (
        <Lazily key={index} load={load} with={{}} waiting={<></>} />
      ))}
    </MeContext>
  )
}

/** A page without the frame: signing in. */
function Bare(props: { children: ReactNode }): ReactNode {
  return (
    <main id="content" tabIndex={-1} className="cy-bare">
      <div className="cy-bare-inside">
        {props.children}
        <LanguageSwitch />
      </div>
    </main>
  )
}

function switchOf(list: PageRoute[]): ReactNode {
  return (
    <Switch>
      {list.map((route) => (
        <Route key={route.path} path={route.path}>
          {(params) => (
            <div className={route.wide === true ? 'cy-page cy-page-wide' : 'cy-page'}>
              <Lazily load={route.load} with={{ params: params as Record<string, string> }} />
            </div>
          )}
        </Route>
      ))}
      <Route>
        <NotFound />
      </Route>
    </Switch>
  )
}

/** After a change of page the reading place moves to the content, as a full page load would do. */
function useFocusOnNewPage(path: string): void {
  const before = useRef(path)
  const focus = useCallback(() => document.getElementById('content')?.focus({ preventScroll: true }), [])
  useEffect(() => {
    // Steps within one event display keep the focus where the person works.
    const same = before.current.split('/events/')[0] === path.split('/events/')[0]
    before.current = path
    if (same) return
    window.scrollTo(0, 0)
    focus()
  }, [path, focus])
}
