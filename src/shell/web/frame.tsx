/** What stands around every page: experiment, recording state, live light, clock, person, navigation. */
import { AppShell, Burger, Button, Menu, Select, useMantineColorScheme } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { use, useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import {
  LiveContext,
  SlotContext,
  StateMark,
  ZoneContext,
  apiOf,
  chooseLanguage,
  formatAge,
  formatMoment,
  languages,
  useAnswer,
  useLanguage,
  useLive,
  useMe,
  useNow,
  useShortcuts,
} from '../../foundation/browser.tsx'
import type { Language, LiveState, NavigationEntry, Tone } from '../../foundation/browser.tsx'
import { identityContract } from '../../identity/contract.ts'
import { logbookContract } from '../../logbook/contract.ts'
import { KeyboardHelp } from './keyboard-help.tsx'
import { useLiveEvents } from './live-events.ts'
import { t } from './messages.ts'
import { RecordingChip } from './recording-chip.tsx'
import { remember, remembered } from './remember.ts'

/** The experiment of the address, or the one last looked at on pages that belong to none. */
function useExperiment(names: string[]): string | undefined {
  const [path] = useLocation()
  const named = /^\/e\/([^/]+)/.exec(path)?.[1]
  useEffect(() => {
    if (named !== undefined) remember('experiment', named)
  }, [named])
  if (named !== undefined) return decodeURIComponent(named)
  const last = remembered('experiment')
  return last !== undefined && names.includes(last) ? last : names[0]
}

export function Frame(props: { children: ReactNode }): ReactNode {
  const experiments = useAnswer(['logbook', 'experiments'], (signal) =>
    apiOf(logbookContract).listExperiments({}, { signal }),
  )
  const items = experiments.data?.items ?? []
  const experiment = useExperiment(items.map((item) => item.name))
  const live = useLiveEvents(experiment)
  const [navigationOpen, setNavigationOpen] = useState(false)
  const [helpOpen, setHelpOpen] = useState(false)
  const [path, navigate] = useLocation()
  useEffect(() => setNavigationOpen(false), [path])

  const entries = use(SlotContext)
    .flatMap((slot) => slot.navigation ?? [])
    .sort((a, b) => a.order - b.order)
  const addressOf = (entry: NavigationEntry): string => entry.path.replace(':experiment', experiment ?? '')
  useShortcuts([
    { keys: '?', label: t('keys.help'), run: () => setHelpOpen(true) },
    { keys: '/', label: t('keys.filter'), run: () => document.querySelector<HTMLElement>('[data-filter]')?.focus() },
    ...entries.map((entry) => ({
      keys: `g ${entry.key}`,
      label: t('keys.go', { page: entry.label }),
      run: () => {
        if (experiment !== undefined) navigate(addressOf(entry))
      },
    })),
  ])

  return (
    <LiveContext value={live}>
      <a className="cy-skip" href="#content">
        {t('app.skip')}
      </a>
      <AppShell
        header={{ height: 48 }}
        navbar={{ width: 152, breakpoint: 'sm', collapsed: { mobile: !navigationOpen } }}
        padding={0}
      >
        <AppShell.Header className="cy-header">
          <Burger
            hiddenFrom="sm"
            size="sm"
            opened={navigationOpen}
            onClick={() => setNavigationOpen((open) => !open)}
            aria-label={t('app.menu')}
          />
          <Link
            href={experiment === undefined ? '/' : `/e/${experiment}`}
            className="cy-brand"
            aria-label={t('app.name')}
          >
            <img src="/cygnet.svg" alt="" width="24" height="24" />
            <span>{t('app.name')}</span>
          </Link>
          {experiment !== undefined && items.length > 0 && (
            <Select
              className="cy-experiment"
              size="xs"
              aria-label={t('app.experiment')}
              allowDeselect={false}
              data={items.map((item) => ({ value: item.name, label: item.name }))}
              value={experiment}
              onChange={(next) => {
                if (next !== null) navigate(`/e/${next}`)
              }}
            />
          )}
          {experiment !== undefined && <RecordingChip experiment={experiment} />}
          <div className="cy-header-end">
            {experiment !== undefined && <LiveLight />}
            <Clock />
            <PersonMenu onHelp={() => setHelpOpen(true)} />
          </div>
        </AppShell.Header>
        <AppShell.Navbar className="cy-navigation" aria-label={t('app.navigation')}>
          {experiment !== undefined &&
            entries.map((entry) => {
              const address = addressOf(entry)
              const here = entry.path === '/e/:experiment' ? path === address : path.startsWith(address)
              return (
                <Link key={entry.path} href={address} aria-current={here ? 'page' : undefined}>
                  <span>{entry.label}</span>
                  <kbd aria-hidden="true">{entry.key}</kbd>
                </Link>
              )
            })}
        </AppShell.Navbar>
        <AppShell.Main>
          <div id="content" tabIndex={-1} className="cy-content">
            {props.children}
          </div>
        </AppShell.Main>
      </AppShell>
      <KeyboardHelp open={helpOpen} onClose={() => setHelpOpen(false)} />
    </LiveContext>
  )
}

const lightTones: Record<LiveState['state'], Tone> = { live: 'quiet', delayed: 'warning', disconnected: 'stale' }

function LiveLight(): ReactNode {
  const live = useLive()
  const nowMs = useNow()
  const age = formatAge(nowMs - live.heardAtMs)
  const explain =
    live.state === 'live'
      ? t('live.explainLive', { age })
      : live.state === 'delayed'
        ? t('live.explainDelayed', { age })
        : t('live.explainDisconnected')
  return (
    <span className="cy-live" role="status">
      <StateMark tone={lightTones[live.state]} title={explain} className={live.state === 'live' ? 'cy-live-on' : ''}>
        {t(`live.${live.state}`)}
        {live.state !== 'live' && live.heardAtMs > 0 && (
          <span className="cy-number" aria-hidden="true">
            {' '}
            {age}
          </span>
        )}
      </StateMark>
    </span>
  )
}

function Clock(): ReactNode {
  const { zone, setZone } = use(ZoneContext)
  const nowMs = useNow()
  const name = t(`zone.${zone}`)
  return (
    <Button
      size="compact-sm"
      variant="subtle"
      color="gray"
      className="cy-clock"
      title={t('zone.label', { zone: name })}
      onClick={() => setZone(zone === 'utc' ? 'local' : 'utc')}
    >
      <span className="cy-number" aria-hidden="true">
        {formatMoment(nowMs, zone, 'short')}
      </span>
      <span className="cy-visually-hidden">{t('zone.label', { zone: name })}</span>
    </Button>
  )
}

function PersonMenu(props: { onHelp: () => void }): ReactNode {
  const me = useMe()
  const [, navigate] = useLocation()
  const queries = useQueryClient()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const language = useLanguage()
  const sitePages = use(SlotContext)
    .flatMap((slot) => slot.sitePages ?? [])
    .sort((a, b) => a.order - b.order)
  const signOut = async (): Promise<void> => {
    await apiOf(identityContract).signOut({})
    queries.clear()
    navigate('/sign-in')
  }
  if (me === undefined) return null
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <Button size="compact-sm" variant="default" aria-label={t('me.menu', { name: me.name })}>
          {me.name}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => navigate('/me')}>{t('me.page')}</Menu.Item>
        <Menu.Item onClick={() => navigate('/status')}>{t('me.status')}</Menu.Item>
        {me.siteAdmin &&
          sitePages.map(({ label, path }) => (
            <Menu.Item key={path} onClick={() => navigate(path)}>
              {label}
            </Menu.Item>
          ))}
        <Menu.Item onClick={props.onHelp} rightSection={<kbd>?</kbd>}>
          {t('me.keys')}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>{t('me.scheme')}</Menu.Label>
        {(['auto', 'light', 'dark'] as const).map((scheme) => (
          <Menu.Item
            key={scheme}
            role="menuitemradio"
            aria-checked={colorScheme === scheme}
            onClick={() => setColorScheme(scheme)}
            rightSection={colorScheme === scheme ? '✓' : undefined}
          >
            {t(`me.${scheme}`)}
          </Menu.Item>
        ))}
        <Menu.Divider />
        {(Object.keys(languages) as Language[]).map((one) => (
          <Menu.Item
            key={one}
            lang={one}
            role="menuitemradio"
            aria-checked={language === one}
            onClick={() => chooseLanguage(one)}
            rightSection={language === one ? '✓' : undefined}
          >
            {languages[one]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>{t('me.signOut')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
