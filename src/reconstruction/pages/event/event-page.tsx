/** What did the detector see in this event? */
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { Problem, useShortcuts, useTitle } from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import type { Cluster } from '../../contract.ts'
import { t } from '../messages.ts'
import { ClusterTable } from './cluster-table.tsx'
import { colourMapNames } from './colour-maps.ts'
import { EventBar } from './event-bar.tsx'
import { useEventData, useFrame } from './event-data.ts'
import type { EventName } from './event-data.ts'
import { Filmstrip } from './filmstrip.tsx'
import { ImageView } from './image-view.tsx'
import type { Hover, ImageHandle, windowOf } from './image-view.tsx'
import { shapesOf } from './overlay.ts'
import { SidePanel } from './side-panel.tsx'
import { createViewStore, searchOfView, viewOfSearch } from './view-state.ts'
import type { ViewState, ViewStore } from './view-state.ts'
import { autoWindow, strengths } from './window-level.ts'
import { around } from './zoom.ts'

export default function EventPage(props: PageProps): ReactNode {
  const name: EventName = {
    experiment: props.params['experiment'] ?? '',
    series: props.params['series'] ?? '',
    number: Number(props.params['number']),
    event: Number(props.params['event']),
  }
  const reference = `${name.series}:${name.number}/${name.event}`
  useTitle(t('event.title', { event: reference }))
  const [store] = useState(() => createViewStore(viewOfSearch(window.location.search)))
  const view = useSyncExternalStore(store.subscribe, store.get)
  useAddress(store)

  const data = useEventData(name)
  const images = Math.max(data.run?.images ?? 0, ...data.events.map((event) => event.event + 1))
  // Before the run is known the event itself is the last one we know of.
  const last = images > 0 ? images - 1 : name.event
  const neighbours = [name.event + 1, name.event - 1].filter((event) => event >= 0 && event <= last)
  const { frame, error, loading, retry } = useFrame({ ...name, camera: view.camera, view: view.view }, neighbours)

  const handle = useRef<ImageHandle | null>(null)
  const [hover, setHover] = useState<Hover | undefined>(undefined)
  const [tool, setTool] = useState<'pan' | 'window'>('pan')
  const [painter, setPainter] = useState<'webgl2' | 'canvas' | 'none'>('webgl2')
  const shapes = useMemo(() => shapesOf(data.outlines, view.camera), [data.outlines, view.camera])
  const clusters = useMemo(
    () => (data.clusters ?? []).filter((cluster) => cluster.camera === view.camera),
    [data.clusters, view.camera],
  )
  const actions = useActions({ name, last, store, view, frame, clusters, handle })
  const wantedPainter = useMemo(() => new URLSearchParams(window.location.search).get('painter'), [])
  const onPainter = useCallback((painted: 'webgl2' | 'canvas' | 'none') => setPainter(painted), [])

  return (
    <div className="cy-event">
      <EventBar name={name} last={last} data={data} store={store} frame={frame} handle={handle} onStep={actions.step} />
      <div className="cy-event-main">
        <div className="cy-event-image">
          <ImageView
            store={store}
            frame={frame}
            shapes={shapes}
            clusters={clusters}
            searched={data.searched}
            tool={tool}
            painter={wantedPainter}
            label={t('image.label', { event: reference, clusters: clusters.length })}
            handle={handle}
            onHover={setHover}
            onPick={(cluster) => store.set({ cluster })}
            onPainter={onPainter}
          />
          {error !== undefined && (
            <div className="cy-image-over">
              <Problem error={error} title={t('image.failed')} onRetry={retry} />
            </div>
          )}
          {loading && error === undefined && (
            <div className="cy-image-loading" role="status">
              {t('image.loading', { event: name.event })}
            </div>
          )}
          <div className="cy-image-foot">
            <span className="cy-number">
              {hover === undefined
                ? t('image.hover')
                : t(view.view === 'raw' ? 'image.pixel' : 'image.pixelSubtracted', {
                    x: hover.x,
                    y: hover.y,
                    value: hover.value,
                  })}
            </span>
            {painter === 'canvas' && <span>{t('image.plain')}</span>}
            {painter === 'none' && <span role="alert">{t('image.noPainter')}</span>}
          </div>
        </div>
        <SidePanel
          name={name}
          data={data}
          store={store}
          view={view}
          frame={frame}
          tool={tool}
          onTool={setTool}
          onAuto={actions.auto}
          onFit={actions.fit}
          onOne={actions.one}
          handle={handle}
        />
      </div>
      <Filmstrip
        name={name}
        last={last}
        events={data.events.filter((event) => event.camera === view.camera)}
        onStep={actions.step}
      />
      <ClusterPart data={data} clusters={clusters} chosen={view.cluster} name={name} onChoose={actions.fly} />
    </div>
  )
}

function ClusterPart(props: {
  data: ReturnType<typeof useEventData>
  clusters: Cluster[]
  chosen: number | undefined
  name: EventName
  onChoose: (cluster: Cluster) => void
}): ReactNode {
  const { data, clusters } = props
  if (clusters.length > 0) {
    return (
      <ClusterTable
        clusters={clusters}
        chosen={props.chosen}
        withTruth={clusters.some((cluster) => cluster.truthTrack >= 0)}
        onChoose={props.onChoose}
      />
    )
  }
  if (data.clusterTrouble !== null) {
    return (
      <p className="cy-quiet">
        {t('clusters.notYet')}{' '}
        <Link href={`/e/${props.name.experiment}/runs/${props.name.series}/${props.name.number}`}>
          {t('clusters.runPage')}
        </Link>
      </p>
    )
  }
  return <p className="cy-quiet">{data.clusters === undefined ? t('clusters.loading') : t('clusters.none')}</p>
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

interface Actions {
  step: (event: number) => void
  fly: (cluster: Cluster) => void
  auto: () => void
  fit: () => void
  one: () => void
}

function useActions(given: {
  name: EventName
  last: number
  store: ViewStore
  view: ViewState
  frame: Parameters<typeof windowOf>[1]
  clusters: Cluster[]
  handle: React.RefObject<ImageHandle | null>
}): Actions {
  const { name, last, store, frame, clusters, handle } = given
  const [, navigate] = useLocation()
  const strength = useRef(0)
  const step = (event: number): void => {
    if (event < 0 || event > last || event === name.event) return
    // The view goes along: window, map and place stay, so that events can be compared; the chosen cluster does not.
    store.set({ cluster: undefined })
    const query = searchOfView(store.get())
    navigate(
      `/e/${name.experiment}/runs/${name.series}/${name.number}/events/${event}${query === '' ? '' : `?${query}`}`,
    )
  }
  const fly = (cluster: Cluster): void => {
    const size = handle.current?.size() ?? { width: 800, height: 600 }
    const box = { left: cluster.xMinPx, top: cluster.yMinPx, right: cluster.xMaxPx + 1, bottom: cluster.yMaxPx + 1 }
    store.set({ cluster: cluster.cluster, placement: around(box, size) })
  }
  const auto = (): void => {
    if (frame === undefined) return
    const automatic = store.get().window === undefined
    strength.current = automatic ? 1 : (strength.current + 1) % strengths.length
    store.set({ window: autoWindow(frame.connected, strength.current) })
  }
  const fit = (): void => store.set({ placement: undefined })
  const one = (): void => {
    const placement = handle.current?.placement()
    if (placement !== undefined) store.set({ placement: { ...placement, zoom: 1 / (window.devicePixelRatio || 1) } })
  }
  const nextCluster = (by: number): void => {
    const at = clusters.findIndex((cluster) => cluster.cluster === store.get().cluster)
    const next = clusters[at < 0 ? (by > 0 ? 0 : clusters.length - 1) : (at + by + clusters.length) % clusters.length]
    if (next !== undefined) fly(next)
  }
  const turnMap = (): void => {
    const at = colourMapNames.indexOf(store.get().map)
    store.set({ map: colourMapNames[(at + 1) % colourMapNames.length] ?? 'cividis' })
  }
  const toggleClusters = (): void => {
    const { layers } = store.get()
    store.set({
      layers: layers.includes('clusters') ? layers.filter((layer) => layer !== 'clusters') : [...layers, 'clusters'],
    })
  }
  const arrow =
    (x: number, y: number, plain: () => void) =>
    (event: KeyboardEvent): void => {
      if (event.shiftKey) handle.current?.panBy(x, y)
      else plain()
    }
  useShortcuts([
    { keys: 'ArrowLeft', label: t('keys.previousEvent'), run: arrow(60, 0, () => step(name.event - 1)) },
    { keys: 'ArrowRight', label: t('keys.nextEvent'), run: arrow(-60, 0, () => step(name.event + 1)) },
    { keys: 'ArrowUp', label: t('keys.previousCluster'), run: arrow(0, 60, () => nextCluster(-1)) },
    { keys: 'ArrowDown', label: t('keys.nextCluster'), run: arrow(0, -60, () => nextCluster(1)) },
    { keys: 'a', label: t('keys.auto'), run: auto },
    { keys: 'm', label: t('keys.map'), run: turnMap },
    { keys: 'i', label: t('keys.invert'), run: () => store.set({ inverted: !store.get().inverted }) },
    { keys: 'l', label: t('keys.layers'), run: toggleClusters },
    {
      keys: 's',
      label: t('keys.subtract'),
      run: () => store.set({ view: store.get().view === 'raw' ? 'subtracted' : 'raw', window: undefined }),
    },
    { keys: 'f', label: t('keys.fit'), run: fit },
    { keys: '1', label: t('keys.one'), run: one },
    { keys: '+', label: t('keys.zoomIn'), run: () => handle.current?.zoomBy(1.3) },
    { keys: '-', label: t('keys.zoomOut'), run: () => handle.current?.zoomBy(1 / 1.3) },
  ])
  return { step, fly, auto, fit, one }
}
