/** What did the detector see in this event? */
import { Button } from '@mantine/core'
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Fault, Problem, addressOf, useTitle } from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import { t } from '../messages.ts'
import { ClusterPanel } from './cluster-panel.tsx'
import { ClusterTable } from './cluster-table.tsx'
import { CursorLine, valuesOf } from './cursor-line.tsx'
import { useActions } from './event-actions.ts'
import type { Actions } from './event-actions.ts'
import { EventBar } from './event-bar.tsx'
import { clustersOfCamera, useEventData, useFrame } from './event-data.ts'
import type { EventClusters, EventName, FrameAnswer } from './event-data.ts'
import { Filmstrip, useInteresting } from './filmstrip.tsx'
import { ImageView, windowOf } from './image-view.tsx'
import type { Hover, ImageHandle, Tool } from './image-view.tsx'
import { NoteBox } from './note-box.tsx'
import { shapesOf } from './overlay.ts'
import { SidePanel, viewWords } from './side-panel.tsx'
import { TracePanel, useTraces } from './trace-panel.tsx'
import { useNewest } from './use-newest.ts'
import { createViewStore, searchOfView, viewOfSearch } from './view-state.ts'
import type { ViewState, ViewStore } from './view-state.ts'

const nothing: ReadonlySet<number> = new Set()
/** Trouble that raw images do not have. */
const ofPedestal: ReadonlySet<string> = new Set([
  'reconstruction.no_pedestal',
  'reconstruction.size_mismatch',
  'reconstruction.products_missing',
  'reconstruction.unreadable_pedestal',
])
const noShapes: ReturnType<typeof shapesOf> = []

export default function EventPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  const series = props.params['series'] ?? ''
  const name: EventName = {
    experiment,
    series,
    number: Number(props.params['number']),
    event: Number(props.params['event']),
  }
  const reference = `${name.series}:${name.number}/${name.event}`
  useTitle(t('event.title', { event: reference }))
  const [store] = useState(() => createViewStore(viewOfSearch(window.location.search)))
  const view = useSyncExternalStore(store.subscribe, store.getStill)
  useAddress(store)

  const data = useEventData(name, view.campaign, view.with)
  // The logbook counts pictures: each event has one of every camera. Before the run is known the event itself is the
  // last one we know of.
  const cameras = new Set(data.events.map((event) => event.camera)).size || 1
  const images = Math.max(Math.ceil((data.run?.images ?? 0) / cameras), ...data.events.map((event) => event.event + 1))
  const last = images > 0 ? images - 1 : name.event
  useNewest(name, view.follow, cameras, store)
  const neighbours = [name.event + 1, name.event - 1].filter((event) => event >= 0 && event <= last)
  const { camera, masked } = view
  const image = useFrame({ ...name, camera, view: view.view, masked }, neighbours)
  const { frame, pedestal } = image

  const handle = useRef<ImageHandle | null>(null)
  const [hover, setHover] = useState<Hover | undefined>(undefined)
  const [tool, setTool] = useState<Tool>('pan')
  const [painter, setPainter] = useState<'webgl2' | 'canvas' | 'none'>('webgl2')
  const [noting, setNoting] = useState(false)
  const shapes = useMemo(() => shapesOf(data.outlines, camera), [data.outlines, camera])
  const otherOutlines = data.other?.outlines
  const others = useMemo(
    () => (otherOutlines === undefined ? noShapes : shapesOf(otherOutlines, camera)),
    [otherOutlines, camera],
  )
  const otherClusters = data.other?.clusters
  const found = useMemo(
    () => clustersOfCamera(data, camera),
    // oxlint-disable-next-line react-hooks/exhaustive-deps
    [data.clusters, otherClusters, camera],
  )
  const { clusters } = found
  const traceData = useTraces(name, view)
  const highlighted = useMemo(() => {
    const trigger = traceData.traces?.triggers.find((one) => one.trigger === view.trigger)
    return trigger === undefined || camera !== 0 ? nothing : new Set(trigger.clusters)
  }, [traceData.traces, view.trigger, camera])
  const interesting = useInteresting(name, view)
  const actions = useActions({
    name,
    last,
    store,
    frame,
    clusters,
    interesting: interesting.events,
    tool,
    onTool: setTool,
    onNote: () => setNoting(true),
    handle,
  })
  const wantedPainter = useMemo(() => new URLSearchParams(window.location.search).get('painter'), [])
  const onPainter = useCallback((painted: 'webgl2' | 'canvas' | 'none') => setPainter(painted), [])
  const valueAt = useMemo(() => valuesOf(frame, pedestal, view.view), [frame, pedestal, view.view])
  const countsAt = useMemo(() => valuesOf(frame, pedestal, pedestal === null ? 'raw' : 'calibrated'), [frame, pedestal])
  const chosen = clusters.find((cluster) => cluster.cluster === view.cluster)
  const pick = (cluster: number | undefined): void => {
    const trigger = clusters.find((one) => one.cluster === cluster)?.pmtTrigger ?? -1
    store.set({ cluster, ...(trigger >= 0 ? { trigger } : {}) })
  }
  const drawn = {
    store,
    tool,
    light: pedestal?.light,
    onHover: setHover,
    searched: data.searched,
  }

  return (
    <div className="cy-event">
      <EventBar
        name={name}
        last={last}
        data={data}
        store={store}
        view={view}
        frame={frame}
        pedestal={pedestal}
        handle={handle}
        onStep={actions.step}
        onNote={() => setNoting((open) => !open)}
      />
      {noting && (
        <NoteBox
          experiment={experiment}
          run={`${name.series}:${name.number}`}
          reference={chosen === undefined ? reference : `${reference}/c${chosen.cluster}`}
          onDone={() => setNoting(false)}
        />
      )}
      <div className="cy-event-main">
        <div className="cy-event-image">
          <div className="cy-event-images">
            <ImageView
              {...drawn}
              frame={frame}
              shapes={shapes}
              others={others}
              highlighted={highlighted}
              clusters={clusters}
              painter={wantedPainter}
              label={t('image.label', { event: reference, clusters: clusters.length })}
              handle={handle}
              onPick={pick}
              onPainter={onPainter}
            />
            {view.beside !== undefined && view.beside !== name.event && view.beside <= last && (
              <Beside name={{ ...name, event: view.beside }} view={view} drawn={drawn} />
            )}
          </div>
          <div className="cy-image-name">{viewWords(view.view, pedestal)}</div>
          <ImageTrouble image={image} event={name.event} store={store} view={view} />
          <div className="cy-image-foot">
            <span className="cy-number">
              <CursorLine hover={hover} frame={frame} pedestal={pedestal} />
            </span>
            {painter === 'canvas' && <span>{t('image.plain')}</span>}
          </div>
          {painter === 'none' && <PlainPicture name={name} view={view} window={frame && windowOf(view, frame)} />}
        </div>
        <SidePanel
          name={name}
          data={data}
          store={store}
          view={view}
          frame={frame}
          pedestal={pedestal}
          tool={tool}
          onTool={setTool}
          valueAt={valueAt}
          unit={t(`unit.${view.view}`)}
          onAuto={actions.auto}
          onFit={actions.fit}
          onOne={actions.one}
          handle={handle}
        />
      </div>
      <Filmstrip
        name={name}
        last={last}
        events={data.events.filter((event) => event.camera === camera)}
        interesting={interesting}
        store={store}
        view={view}
        onStep={actions.step}
        onInteresting={actions.interesting}
      />
      <TracePanel data={traceData} store={store} view={view} />
      <div className={chosen === undefined ? undefined : 'cy-cluster-columns'}>
        <ClusterPart
          loaded={data.clusters !== undefined}
          trouble={data.trouble}
          otherTrouble={data.other?.trouble ?? null}
          found={found}
          highlighted={highlighted}
          view={view}
          name={name}
          actions={actions}
        />
        {chosen !== undefined && <ClusterPanel cluster={chosen} outlines={data.outlines} countsAt={countsAt} />}
      </div>
    </div>
  )
}

/** The second image follows the first one's window and place; it is drawn without WebGL: a page has one context. */
function Beside(props: {
  name: EventName
  view: ViewState
  drawn: {
    store: ViewStore
    tool: Tool
    light: React.ComponentProps<typeof ImageView>['light']
    onHover: (hover: Hover | undefined) => void
    searched: React.ComponentProps<typeof ImageView>['searched']
  }
}): ReactNode {
  const { name, view, drawn } = props
  const data = useEventData(name, view.campaign, undefined)
  const { frame, error, retry } = useFrame({ ...name, camera: view.camera, view: view.view, masked: view.masked }, [])
  const handle = useRef<ImageHandle | null>(null)
  const shapes = useMemo(() => shapesOf(data.outlines, view.camera), [data.outlines, view.camera])
  const { clusters } = clustersOfCamera(data, view.camera)
  const ignore = useCallback(() => undefined, [])
  return (
    <div className="cy-beside">
      <ImageView
        {...drawn}
        frame={frame}
        shapes={shapes}
        others={noShapes}
        highlighted={nothing}
        clusters={clusters}
        painter="canvas"
        label={t('image.label', { event: `${name.series}:${name.number}/${name.event}`, clusters: clusters.length })}
        handle={handle}
        onHover={ignore}
        onPick={ignore}
        onPainter={ignore}
      />
      <div className="cy-image-name">{t('event.title', { event: name.event })}</div>
      {error !== undefined && (
        <div className="cy-image-over">
          <Problem error={error} title={t('image.failed')} onRetry={retry} />
        </div>
      )}
    </div>
  )
}

function ImageTrouble(props: { image: FrameAnswer; event: number; store: ViewStore; view: ViewState }): ReactNode {
  const { image, view } = props
  const { error, loading, frame } = image
  if (error !== undefined) {
    const code = error instanceof Fault ? error.code : ''
    return (
      <div className="cy-image-over">
        <Problem
          error={error}
          title={t(code === 'reconstruction.no_file' ? 'image.notStored' : 'image.failed')}
          onRetry={image.retry}
        />
        {view.view !== 'raw' && ofPedestal.has(code) && (
          <Button size="compact-sm" onClick={() => props.store.set({ view: 'raw', window: undefined })}>
            {t('image.showRaw')}
          </Button>
        )}
      </div>
    )
  }
  if (!loading) return null
  return (
    <div className="cy-image-loading" role="status">
      {t(frame?.coarse === true ? 'image.sharpening' : 'image.loading', { event: props.event })}
    </div>
  )
}

/** For browsers that cannot draw: the picture made by the server, with the same window. */
function PlainPicture(props: {
  name: EventName
  view: ViewState
  window: { low: number; high: number } | undefined
}): ReactNode {
  const { name, view } = props
  const address = addressOf(reconstructionContract.routes.readFrame, {
    params: { experiment: name.experiment, run: `${name.series}:${name.number}`, event: name.event },
    query: {
      camera: view.camera,
      view: view.view,
      reduce: 2,
      format: 'png',
      ...(props.window === undefined ? {} : { low: props.window.low, high: props.window.high }),
    },
  })
  return (
    <div className="cy-plain-picture">
      <p role="alert">{t('image.noPainter')}</p>
      <img src={address} alt={t('image.plainPicture', { event: name.event })} />
    </div>
  )
}

function ClusterPart(props: {
  loaded: boolean
  trouble: unknown
  otherTrouble: unknown
  found: EventClusters
  highlighted: ReadonlySet<number>
  view: ViewState
  name: EventName
  actions: Actions
}): ReactNode {
  const { found, name, view } = props
  const { clusters } = found
  if (clusters.length > 0 || found.others.length > 0) {
    return (
      <div className="cy-cluster-part">
        {props.otherTrouble !== null && view.with !== undefined && (
          <p className="cy-quiet">{t('clusters.otherNot', { campaign: view.with })}</p>
        )}
        <ClusterTable
          clusters={clusters}
          chosen={view.cluster}
          withTruth={clusters.some((cluster) => cluster.truthTrack >= 0)}
          highlighted={props.highlighted}
          other={
            view.with === undefined || props.otherTrouble !== null
              ? undefined
              : { campaign: view.with, pairs: found.pairs, only: found.onlyOther }
          }
          onChoose={props.actions.fly}
          onLook={props.actions.look}
        />
      </div>
    )
  }
  if (props.trouble !== null) {
    return (
      <p className="cy-quiet">
        {t('clusters.notYet')}{' '}
        <Link href={`/e/${name.experiment}/runs/${name.series}/${name.number}`}>{t('clusters.runPage')}</Link>
      </p>
    )
  }
  return <p className="cy-quiet">{t(props.loaded ? 'clusters.none' : 'clusters.loading')}</p>
}

/** The address follows the view a moment after it rests; going back in the browser leaves the event, not each drag. */
function useAddress(store: ViewStore): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const write = (): void => {
      const query = searchOfView(store.get())
      const painter = new URLSearchParams(window.location.search).get('painter')
      const all = [query, painter === null ? '' : `painter=${painter}`].filter((part) => part !== '').join('&')
      window.history.replaceState(window.history.state, '', `${window.location.pathname}${all === '' ? '' : `?${all}`}`)
    }
    const unsubscribe = store.subscribe(() => {
      clearTimeout(timer)
      timer = setTimeout(write, 250)
    })
    return () => {
      unsubscribe()
      clearTimeout(timer)
    }
  }, [store])
}
