/** The line above the image: which event, step, take along. */
import { ActionIcon, Button, Checkbox, NumberInput } from '@mantine/core'
import type { FormEvent, ReactNode, RefObject } from 'react'
import { Link } from 'wouter'
import { CopyButton, Moment, formatMoment, useZone } from '../../../foundation/browser.tsx'
import { t } from '../messages.ts'
import type { EventData, EventName } from './event-data.ts'
import { captioned, download } from './export-image.ts'
import type { Frame } from './frame-levels.ts'
import type { Pedestal } from './frame-store.ts'
import type { ImageHandle } from './image-view.tsx'
import { windowOf } from './image-view.tsx'
import { pythonOfEvent } from './python-lines.ts'
import { viewWords } from './side-panel.tsx'
import { searchOfView } from './view-state.ts'
import type { ViewState, ViewStore } from './view-state.ts'

export function EventBar(props: {
  name: EventName
  last: number
  data: EventData
  store: ViewStore
  view: ViewState
  frame: Frame | undefined
  pedestal: Pedestal | null | undefined
  onNote: () => void
  handle: RefObject<ImageHandle | null>
  onStep: (event: number) => void
}): ReactNode {
  const { name, last, data, store, frame } = props
  const zone = useZone()
  const run = `${name.series}:${name.number}`
  const reference = `${run}/${name.event}`
  const about = data.events.find((event) => event.event === name.event && event.camera === store.get().camera)
  const atMs = about?.atMs ?? null
  const go = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const wanted = new FormData(event.currentTarget).get('event')
    if (typeof wanted === 'string' && wanted !== '') props.onStep(Number(wanted))
  }
  const exportPng = (): void => {
    const picture = props.handle.current?.snapshot()
    if (picture === undefined) return
    const view = store.get()
    const { low, high } = windowOf(view, frame)
    const density = window.devicePixelRatio || 1
    const lines = [
      `${name.experiment} ${reference}${atMs === null ? '' : ` · ${formatMoment(atMs, zone)}`}`,
      t('export.view', {
        low,
        high,
        map: view.inverted ? t('export.inverted', { map: view.map }) : view.map,
        view: viewWords(view.view, props.pedestal),
      }),
      addressOfView(store),
    ]
    download(
      captioned(picture, lines, density),
      `${name.experiment}-${name.series}-${name.number}-event${name.event}.png`,
    )
  }
  return (
    <header className="cy-event-bar">
      <ActionIcon.Group>
        <ActionIcon
          variant="default"
          disabled={name.event <= 0}
          aria-label={t('keys.previousEvent')}
          onClick={() => props.onStep(Math.min(name.event - 1, last))}
        >
          ◂
        </ActionIcon>
        <ActionIcon
          variant="default"
          disabled={name.event >= last}
          aria-label={t('keys.nextEvent')}
          onClick={() => props.onStep(name.event + 1)}
        >
          ▸
        </ActionIcon>
      </ActionIcon.Group>
      <h1>
        <Link href={`/e/${name.experiment}/runs/${name.series}/${name.number}`}>{run}</Link>/{name.event}
      </h1>
      <form onSubmit={go} className="cy-row" key={name.event}>
        <label className="cy-visually-hidden" htmlFor="cy-event-number">
          {t('event.go')}
        </label>
        <input
          id="cy-event-number"
          name="event"
          type="number"
          min={0}
          max={last}
          defaultValue={name.event}
          className="cy-tiny-input"
        />
        <span className="cy-quiet">{t('event.of', { last })}</span>
      </form>
      {atMs !== null && (
        <span className="cy-quiet">
          <Moment atMs={atMs} />
        </span>
      )}
      <Checkbox
        size="xs"
        label={t('event.follow')}
        title={t('event.followHint')}
        checked={props.view.follow}
        onChange={(event) => store.set({ follow: event.currentTarget.checked })}
      />
      <BesideField last={last} event={name.event} store={store} view={props.view} />
      <div className="cy-page-actions">
        <CopyButton text={() => addressOfView(store)} label={t('event.copyLink')} />
        <CopyButton
          text={() => pythonOfEvent(name, store.get(), windowOf(store.get(), frame))}
          label={t('event.copyPython')}
        />
        <CopyButton text={reference} label={t('event.copyReference')} />
        <Button size="compact-sm" variant="default" onClick={exportPng}>
          {t('event.png')}
        </Button>
        <Button size="compact-sm" variant="default" onClick={props.onNote}>
          {t('event.note')}
        </Button>
      </div>
    </header>
  )
}

/** Another event beside this one, moved together with it. */
function BesideField(props: { last: number; event: number; store: ViewStore; view: ViewState }): ReactNode {
  const { store, view } = props
  if (props.last < 1) return null
  return (
    <NumberInput
      size="xs"
      className="cy-number-box"
      hideControls
      min={0}
      max={props.last}
      aria-label={t('event.beside')}
      title={t('event.beside')}
      placeholder={t('event.besideShort')}
      value={view.beside ?? ''}
      onChange={(value) => {
        const wanted = typeof value === 'number' && value >= 0 && value <= props.last ? value : undefined
        store.set({ beside: wanted })
      }}
    />
  )
}

function addressOfView(store: ViewStore): string {
  const query = searchOfView(store.get())
  return `${window.location.origin}${window.location.pathname}${query === '' ? '' : `?${query}`}`
}
