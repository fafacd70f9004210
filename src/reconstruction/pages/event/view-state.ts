/** Everything that makes up a view of an event, to and from the address bar: a link shows the same thing again. */
import { automaticCampaign, campaignName, frameViews } from '../../contract.ts'
import type { FrameViewName } from '../../contract.ts'
import { colourMapNames } from './colour-maps.ts'
import type { ColourMapName } from './colour-maps.ts'
import { measureKinds } from './measure.ts'
import type { Measures } from './measure.ts'
import { clamp, zoomLimits } from './zoom.ts'
import type { Placement } from './zoom.ts'
import type { Window } from './window-level.ts'

export const layerNames = ['clusters', 'labels', 'axes', 'searched', 'saturated', 'vignette', 'scale'] as const
export type LayerName = (typeof layerNames)[number]

export interface ViewState {
  /** undefined: automatic. */
  window: Window | undefined
  map: ColourMapName
  inverted: boolean
  /** undefined: the whole image. */
  placement: Placement | undefined
  layers: readonly LayerName[]
  view: FrameViewName
  /** Hot pixels of the pedestal map are drawn as their neighbours and left out of the automatic window. */
  masked: boolean
  camera: number
  /** How many pixels become one when zoomed out: their mean, or their largest so that single bright hits survive. */
  reduction: 'mean' | 'max'
  /** The chosen cluster, by its rank in the image. */
  cluster: number | undefined
  /** One of each kind, in image pixels. */
  measures: Measures
  /** Which campaign's clusters are outlined, and which one's are laid over them, dashed. */
  campaign: string
  with: string | undefined
  /** The chosen photomultiplier trigger; undefined: the first. */
  trigger: number | undefined
  /** Photomultiplier traces are shown. */
  traces: boolean
  /** Events with a cluster that passes these cuts are interesting. */
  cuts: string
  /** Brushed events, both included. */
  range: { from: number; to: number } | undefined
  /** Another event of the run beside this one, moved together. */
  beside: number | undefined
  /** Goes to the newest event by itself until the person pans. */
  follow: boolean
  /** The filmstrip shows pictures. */
  thumbnails: boolean
}

export const startView: ViewState = {
  window: undefined,
  map: 'cividis',
  inverted: false,
  placement: undefined,
  layers: ['clusters', 'scale'],
  view: 'raw',
  masked: true,
  camera: 0,
  reduction: 'mean',
  cluster: undefined,
  measures: {},
  campaign: automaticCampaign,
  with: undefined,
  trigger: undefined,
  traces: true,
  cuts: '',
  range: undefined,
  beside: undefined,
  follow: false,
  thumbnails: false,
}

function numberOf(text: string | null): number | undefined {
  if (text === null || text.trim() === '') return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}

function wholeOf(text: string | null): number | undefined {
  const value = numberOf(text)
  return value !== undefined && Number.isInteger(value) && value >= 0 ? value : undefined
}

function campaignOf(text: string | null): string | undefined {
  return text !== null && campaignName.safeParse(text).success ? text : undefined
}

function measuresOf(query: URLSearchParams): Measures {
  const measures: Measures = {}
  for (const kind of measureKinds) {
    const [x0, y0, x1, y1] = (query.get(kind) ?? '').split(',').map((part) => numberOf(part))
    if (x0 !== undefined && y0 !== undefined && x1 !== undefined && y1 !== undefined)
      measures[kind] = { x0, y0, x1, y1 }
  }
  return measures
}

function rangeOf(text: string | null): ViewState['range'] {
  const [from, to] = (text ?? '').split('-').map((part) => wholeOf(part))
  return from !== undefined && to !== undefined && to >= from ? { from, to } : undefined
}

/** Reads a view from a query; what is not understood falls back to the start view. */
export function viewOfSearch(search: string): ViewState {
  const query = new URLSearchParams(search)
  const [low, high] = (query.get('w') ?? '').split(',').map((part) => numberOf(part))
  const x = numberOf(query.get('x'))
  const y = numberOf(query.get('y'))
  const zoom = numberOf(query.get('z'))
  const layers = query.get('layers')
  return {
    window: low !== undefined && high !== undefined && high > low ? { low, high } : undefined,
    map: colourMapNames.find((name) => name === query.get('map')) ?? startView.map,
    inverted: query.get('invert') === 'yes',
    placement:
      x !== undefined && y !== undefined && zoom !== undefined
        ? { x, y, zoom: clamp(zoom, zoomLimits.least, zoomLimits.most) }
        : undefined,
    layers: layers === null ? startView.layers : layerNames.filter((name) => layers.split(',').includes(name)),
    view: frameViews.find((name) => name === query.get('view')) ?? startView.view,
    masked: query.get('mask') !== 'no',
    camera: wholeOf(query.get('camera')) ?? 0,
    reduction: query.get('reduce') === 'max' ? 'max' : 'mean',
    cluster: wholeOf(query.get('cluster')),
    measures: measuresOf(query),
    campaign: campaignOf(query.get('campaign')) ?? startView.campaign,
    with: campaignOf(query.get('with')),
    trigger: wholeOf(query.get('trigger')),
    traces: query.get('pmt') !== 'no',
    cuts: query.get('cut') ?? '',
    range: rangeOf(query.get('events')),
    beside: wholeOf(query.get('beside')),
    follow: query.get('follow') === 'yes',
    thumbnails: query.get('film') === 'yes',
  }
}

/** The query of a view; what is as at the start is left out. Short numbers: people read and send these. */
export function searchOfView(view: ViewState): string {
  const parts: string[] = []
  if (view.window !== undefined) parts.push(`w=${view.window.low},${view.window.high}`)
  if (view.map !== startView.map) parts.push(`map=${view.map}`)
  if (view.inverted) parts.push('invert=yes')
  if (view.placement !== undefined) {
    const { x, y, zoom } = view.placement
    parts.push(`x=${Number(x.toFixed(1))}`, `y=${Number(y.toFixed(1))}`, `z=${Number(zoom.toPrecision(4))}`)
  }
  if (view.layers.join() !== startView.layers.join()) parts.push(`layers=${view.layers.join(',')}`)
  if (view.view !== startView.view) parts.push(`view=${view.view}`)
  if (!view.masked) parts.push('mask=no')
  if (view.camera !== 0) parts.push(`camera=${view.camera}`)
  if (view.reduction !== startView.reduction) parts.push(`reduce=${view.reduction}`)
  if (view.cluster !== undefined) parts.push(`cluster=${view.cluster}`)
  for (const kind of measureKinds) {
    const points = view.measures[kind]
    if (points !== undefined)
      parts.push(`${kind}=${[points.x0, points.y0, points.x1, points.y1].map((one) => Number(one.toFixed(1))).join()}`)
  }
  if (view.campaign !== startView.campaign) parts.push(`campaign=${view.campaign}`)
  if (view.with !== undefined) parts.push(`with=${view.with}`)
  if (view.trigger !== undefined) parts.push(`trigger=${view.trigger}`)
  if (!view.traces) parts.push('pmt=no')
  if (view.cuts !== '') parts.push(`cut=${encodeURIComponent(view.cuts)}`)
  if (view.range !== undefined) parts.push(`events=${view.range.from}-${view.range.to}`)
  if (view.beside !== undefined) parts.push(`beside=${view.beside}`)
  if (view.follow) parts.push('follow=yes')
  if (view.thumbnails) parts.push('film=yes')
  return parts.join('&')
}

export interface ViewStore {
  get: () => ViewState
  /** The same object while only the place moves: for everything that need not be drawn anew sixty times a second. */
  getStill: () => ViewState
  set: (change: Partial<ViewState>) => void
  subscribe: (listener: () => void) => () => void
}

/** The view lives outside of React: a drag changes it sixty times a second and only the canvas must follow. */
export function createViewStore(start: ViewState): ViewStore {
  let state = start
  let still = start
  const listeners = new Set<() => void>()
  return {
    get: () => state,
    getStill: () => still,
    set: (change) => {
      state = { ...state, ...change }
      // Whether the whole image is shown is not a movement.
      const { placement } = state
      const moved =
        placement !== undefined && still.placement !== undefined ? { ...state, placement: still.placement } : state
      const keys = Object.keys(state) as (keyof ViewState)[]
      if (keys.some((key) => moved[key] !== still[key])) still = state
      for (const listener of listeners) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
