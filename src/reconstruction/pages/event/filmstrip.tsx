/**
 * The images of the run as bars: height is the number of selected clusters, a mark shows interesting events. Shift-drag
 * (or the fields) brushes a range in which stepping then stays.
 */
import { Button, Checkbox, NativeSelect, NumberInput, TextInput } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import type { FormEvent, PointerEvent, ReactNode } from 'react'
import { Link } from 'wouter'
import { Fault, addressOf, apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { presets, reconstructionContract } from '../../contract.ts'
import type { ReconstructedEvent } from '../../contract.ts'
import { t } from '../messages.ts'
import type { EventName } from './event-data.ts'
import { eventsOfCsv } from './interesting.ts'
import type { ViewState, ViewStore } from './view-state.ts'

const mostShown = 2000

/** Events with a cluster that passes the cuts; undefined without cuts or while they are read. */
export function useInteresting(
  name: EventName,
  view: Pick<ViewState, 'cuts' | 'campaign'>,
): { events: number[] | undefined; error: unknown } {
  const { experiment, series, number } = name
  const { cuts, campaign } = view
  const answer = useAnswer(
    ['reconstruction', 'interesting', experiment, series, number, cuts, campaign],
    async (signal) => {
      const query = { series, from: number, to: number, campaign, cuts, columns: 'event', format: 'csv' }
      const rows = await apiOf(reconstructionContract).exportRows({ params: { experiment }, query }, { signal })
      return eventsOfCsv(await rows.text())
    },
    { enabled: cuts !== '' },
  )
  return { events: cuts === '' ? undefined : answer.data, error: cuts === '' ? null : answer.error }
}

export function Filmstrip(props: {
  name: EventName
  last: number
  events: ReconstructedEvent[]
  interesting: { events: number[] | undefined; error: unknown }
  store: ViewStore
  view: ViewState
  onStep: (event: number) => void
  onInteresting: (by: 1 | -1) => void
}): ReactNode {
  const { name, last, store, view } = props
  const strip = useRef<HTMLElement>(null)
  const brush = useRef<{ from: number; moved: boolean } | undefined>(undefined)
  useEffect(() => {
    // Only sideways: scrollIntoView would also move the page away from the image.
    const here = strip.current?.querySelector<HTMLElement>('[aria-current]')
    if (strip.current !== null && here !== null && here !== undefined) {
      strip.current.scrollLeft = here.offsetLeft - strip.current.offsetLeft - strip.current.clientWidth / 2
    }
  }, [name.event])
  const most = Math.max(...props.events.map((event) => event.selectedClusters), 1)
  const known = new Map(props.events.map((event) => [event.event, event]))
  const interesting = new Set(props.interesting.events)
  const eventAt = (event: PointerEvent): number | undefined => {
    const under = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>('[data-event]')
    return under === null || under === undefined ? undefined : Number(under.dataset['event'])
  }
  return (
    <div className="cy-film">
      <nav
        ref={strip}
        className="cy-strip-events"
        aria-label={t('strip.label')}
        onPointerDown={(event) => {
          const at = eventAt(event)
          brush.current = event.shiftKey && at !== undefined ? { from: at, moved: false } : undefined
          if (brush.current !== undefined) event.preventDefault()
        }}
        onPointerMove={(event) => {
          const at = eventAt(event)
          if (brush.current === undefined || at === undefined) return
          brush.current.moved = true
          store.set({ range: { from: Math.min(brush.current.from, at), to: Math.max(brush.current.from, at) } })
        }}
        onPointerUp={() => {
          brush.current = undefined
        }}
      >
        {Array.from({ length: Math.min(last + 1, mostShown) }, (_, event) => {
          const about = known.get(event)
          const marked = interesting.has(event)
          const words = [
            about === undefined
              ? t('strip.event', { event })
              : t('strip.known', { event, clusters: about.selectedClusters }),
            ...(marked ? [t('strip.interesting')] : []),
            ...(about !== undefined && about.note !== '' ? [about.note] : []),
          ].join(', ')
          const brushed = view.range !== undefined && event >= view.range.from && event <= view.range.to
          return (
            <Link
              key={event}
              data-event={event}
              href={`/e/${name.experiment}/runs/${name.series}/${name.number}/events/${event}`}
              aria-current={event === name.event ? 'page' : undefined}
              aria-label={words}
              title={words}
              className={`${brushed ? 'cy-brushed' : ''} ${view.thumbnails ? 'cy-pictured' : ''}`}
              draggable={false}
              onClick={(click) => {
                click.preventDefault()
                if (!click.shiftKey) props.onStep(event)
              }}
            >
              {view.thumbnails && (
                <img
                  loading="lazy"
                  fetchPriority="low"
                  alt=""
                  width={60}
                  height={60}
                  src={thumbnailOf(name, event, view)}
                />
              )}
              <i aria-hidden="true">{marked ? '◆' : about !== undefined && about.note !== '' ? '!' : ''}</i>
              <span style={{ height: about === undefined ? 2 : 2 + (about.selectedClusters / most) * 22 }} />
              <small>{event}</small>
            </Link>
          )
        })}
      </nav>
      <FilmFields {...props} />
    </div>
  )
}

/** A small grey picture made by the server, with its own window. */
function thumbnailOf(name: EventName, event: number, view: ViewState): string {
  return addressOf(reconstructionContract.routes.readFrame, {
    params: { experiment: name.experiment, run: `${name.series}:${name.number}`, event },
    query: { camera: view.camera, view: 'raw', reduce: 8, format: 'png' },
  })
}

function FilmFields(props: {
  last: number
  interesting: { events: number[] | undefined; error: unknown }
  store: ViewStore
  view: ViewState
  onInteresting: (by: 1 | -1) => void
}): ReactNode {
  const { store, view, last } = props
  const { events, error } = props.interesting
  const [text, setText] = useState(view.cuts)
  const apply = (event: FormEvent): void => {
    event.preventDefault()
    store.set({ cuts: text.trim() })
  }
  const { range } = view
  const setEnd = (end: 'from' | 'to', value: number | string): void => {
    if (value === '') return store.set({ range: undefined })
    const wanted = Math.min(Math.max(Number(value), 0), last)
    const next = { from: range?.from ?? 0, to: range?.to ?? last, [end]: wanted }
    store.set({ range: next.from <= next.to ? next : { from: wanted, to: wanted } })
  }
  const end = (which: 'from' | 'to'): ReactNode => (
    <NumberInput
      size="xs"
      className="cy-number-box"
      hideControls
      aria-label={t(which === 'from' ? 'strip.from' : 'strip.to')}
      placeholder={which === 'from' ? '0' : String(last)}
      value={range?.[which] ?? ''}
      onChange={(value) => setEnd(which, value)}
    />
  )
  return (
    <form className="cy-row cy-film-fields" onSubmit={apply}>
      <span className="cy-quiet cy-small">{t('strip.range')}</span>
      {end('from')}
      {end('to')}
      {range !== undefined && (
        <Button size="compact-xs" variant="subtle" onClick={() => store.set({ range: undefined })}>
          {t('strip.all')}
        </Button>
      )}
      <Checkbox
        size="xs"
        label={t('strip.thumbnails')}
        checked={view.thumbnails}
        onChange={(event) => store.set({ thumbnails: event.currentTarget.checked })}
      />
      <NativeSelect
        size="xs"
        aria-label={t('strip.presets')}
        value={presets.find((preset) => preset.cuts === view.cuts)?.id ?? ''}
        onChange={(event) => {
          const cuts = presets.find((preset) => preset.id === event.currentTarget.value)?.cuts ?? ''
          setText(cuts)
          store.set({ cuts })
        }}
        data={[
          { value: '', label: t('strip.noPreset') },
          ...presets.map(({ id, title }) => ({ value: id, label: title })),
        ]}
      />
      <TextInput
        size="xs"
        className="cy-grow"
        aria-label={t('strip.cuts')}
        placeholder={t('strip.cutsExample')}
        value={text}
        error={error instanceof Fault ? error.detail : undefined}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <Button size="compact-sm" variant="default" type="submit" disabled={text.trim() === view.cuts}>
        {t('strip.apply')}
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t('keys.previousInteresting')}
        disabled={(events?.length ?? 0) === 0}
        onClick={() => props.onInteresting(-1)}
      >
        ◂ ◆
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t('keys.nextInteresting')}
        disabled={(events?.length ?? 0) === 0}
        onClick={() => props.onInteresting(1)}
      >
        ◆ ▸
      </Button>
      {view.cuts !== '' && error === null && (
        <span className="cy-small cy-quiet" role="status">
          {events === undefined ? t('strip.reading') : t('strip.found', { count: events.length })}
        </span>
      )}
    </form>
  )
}
