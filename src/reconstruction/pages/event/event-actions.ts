/** What keys and buttons of the event display do. */
import { useRef } from 'react'
import type { RefObject } from 'react'
import { useLocation } from 'wouter'
import { useShortcuts } from '../../../foundation/browser.tsx'
import { frameViews } from '../../contract.ts'
import type { Cluster } from '../../contract.ts'
import { t } from '../messages.ts'
import { colourMapNames } from './colour-maps.ts'
import type { EventName } from './event-data.ts'
import type { Frame } from './frame-levels.ts'
import type { ImageHandle, Tool } from './image-view.tsx'
import { nextOf, stepped } from './interesting.ts'
import { startPoints } from './measure.ts'
import type { MeasureKind } from './measure.ts'
import { searchOfView } from './view-state.ts'
import type { LayerName, ViewStore } from './view-state.ts'
import { layerNames } from './view-state.ts'
import { autoWindow, strengths } from './window-level.ts'
import { around } from './zoom.ts'

export interface Actions {
  step: (event: number) => void
  fly: (cluster: Cluster) => void
  /** Goes there without choosing. */
  look: (cluster: Cluster) => void
  auto: () => void
  fit: () => void
  one: () => void
  interesting: (by: 1 | -1) => void
}

export function useActions(given: {
  name: EventName
  last: number
  store: ViewStore
  frame: Frame | undefined
  clusters: Cluster[]
  interesting: number[] | undefined
  tool: Tool
  onTool: (tool: Tool) => void
  onNote: () => void
  handle: RefObject<ImageHandle | null>
}): Actions {
  const { name, last, store, frame, clusters, handle } = given
  const [, navigate] = useLocation()
  const strength = useRef(0)
  const step = (event: number): void => {
    if (event < 0 || event > last || event === name.event) return
    // The view goes along: window, map and place stay, so that events can be compared; what is chosen does not.
    store.set({ cluster: undefined, trigger: undefined })
    const query = searchOfView(store.get())
    navigate(
      `/e/${name.experiment}/runs/${name.series}/${name.number}/events/${event}${query === '' ? '' : `?${query}`}`,
    )
  }
  const placementOf = (cluster: Cluster) => {
    const size = handle.current?.size() ?? { width: 800, height: 600 }
    return around(
      { left: cluster.xMinPx, top: cluster.yMinPx, right: cluster.xMaxPx + 1, bottom: cluster.yMaxPx + 1 },
      size,
    )
  }
  const look = (cluster: Cluster): void => store.set({ placement: placementOf(cluster) })
  const fly = (cluster: Cluster): void =>
    store.set({
      cluster: cluster.cluster,
      placement: placementOf(cluster),
      ...(cluster.pmtTrigger >= 0 ? { trigger: cluster.pmtTrigger } : {}),
    })
  const auto = (): void => {
    if (frame === undefined) return
    const { window: chosen, masked } = store.get()
    strength.current = chosen === undefined ? 1 : (strength.current + 1) % strengths.length
    store.set({ window: autoWindow(masked ? frame.connected : frame.all, strength.current) })
  }
  const fit = (): void => store.set({ placement: undefined })
  const one = (): void => {
    const placement = handle.current?.placement()
    if (placement !== undefined) store.set({ placement: { ...placement, zoom: 1 / (window.devicePixelRatio || 1) } })
  }
  const interesting = (by: 1 | -1): void => {
    const next = nextOf(given.interesting ?? [], name.event, by)
    if (next !== undefined) step(next)
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
  const toggle = (layer: LayerName): void => {
    const { layers } = store.get()
    store.set({ layers: layerNames.filter((one) => (one === layer ? !layers.includes(one) : layers.includes(one))) })
  }
  const turnView = (): void => {
    const at = frameViews.indexOf(store.get().view)
    store.set({ view: frameViews[(at + 1) % frameViews.length] ?? 'raw', window: undefined })
  }
  const measure = (kind: MeasureKind): void => {
    const at = handle.current?.placement()
    const { measures } = store.get()
    if (given.tool === kind || at === undefined) return given.onTool('pan')
    given.onTool(kind)
    if (measures[kind] !== undefined) return
    const widthPx = (handle.current?.size().width ?? 600) / at.zoom
    store.set({ measures: { ...measures, [kind]: startPoints(kind, at, widthPx) } })
  }
  const goTo = (): void => {
    const field = document.querySelector<HTMLInputElement>('#cy-event-number')
    field?.focus()
    field?.select()
  }
  const arrow =
    (x: number, y: number, plain: () => void) =>
    (event: KeyboardEvent): void => {
      if (event.shiftKey) handle.current?.panBy(x, y)
      else plain()
    }
  const by = (direction: 1 | -1) => (): void => step(stepped(name.event, direction, last, store.get().range))
  useShortcuts([
    { keys: 'ArrowLeft', label: t('keys.previousEvent'), run: arrow(60, 0, by(-1)) },
    { keys: 'ArrowRight', label: t('keys.nextEvent'), run: arrow(-60, 0, by(1)) },
    { keys: 'ArrowUp', label: t('keys.previousCluster'), run: arrow(0, 60, () => nextCluster(-1)) },
    { keys: 'ArrowDown', label: t('keys.nextCluster'), run: arrow(0, -60, () => nextCluster(1)) },
    { keys: ']', label: t('keys.nextInteresting'), run: () => interesting(1) },
    { keys: '[', label: t('keys.previousInteresting'), run: () => interesting(-1) },
    { keys: 'a', label: t('keys.auto'), run: auto },
    { keys: 'm', label: t('keys.map'), run: turnMap },
    { keys: 'i', label: t('keys.invert'), run: () => store.set({ inverted: !store.get().inverted }) },
    { keys: 'l', label: t('keys.layers'), run: () => toggle('clusters') },
    { keys: 'p', label: t('keys.traces'), run: () => store.set({ traces: !store.get().traces }) },
    { keys: 's', label: t('keys.view'), run: turnView },
    { keys: 'h', label: t('keys.mask'), run: () => store.set({ masked: !store.get().masked }) },
    { keys: 'x', label: t('keys.saturated'), run: () => toggle('saturated') },
    { keys: 'f', label: t('keys.fit'), run: fit },
    { keys: '1', label: t('keys.one'), run: one },
    // A capital: `g` alone begins the frame's `g r`, `g h` ...
    { keys: 'G', label: t('keys.goTo'), run: goTo },
    { keys: 'g e', label: t('keys.goTo'), run: goTo },
    { keys: 'n', label: t('keys.note'), run: given.onNote },
    { keys: 'd', label: t('keys.line'), run: () => measure('line') },
    { keys: 'b', label: t('keys.box'), run: () => measure('box') },
    { keys: 'e', label: t('keys.ellipse'), run: () => measure('ellipse') },
    { keys: 'r', label: t('keys.ruler'), run: () => measure('ruler') },
    { keys: '+', label: t('keys.zoomIn'), run: () => handle.current?.zoomBy(1.3) },
    { keys: '-', label: t('keys.zoomOut'), run: () => handle.current?.zoomBy(1 / 1.3) },
  ])
  return { step, fly, look, auto, fit, one, interesting }
}
