/** Everything that makes up a view of an event, to and from the address bar: a link shows the same thing again. */
import { colourMapNames } from './colour-maps.ts'
import type { ColourMapName } from './colour-maps.ts'
import { clamp, zoomLimits } from './zoom.ts'
import type { Placement } from './zoom.ts'
import type { Window } from './window-level.ts'

export const layerNames = ['clusters', 'labels', 'searched', 'scale'] as const
export type LayerName = (typeof layerNames)[number]

export interface ViewState {
  /** undefined: automatic. */
  window: Window | undefined
  map: ColourMapName
  inverted: boolean
  /** undefined: the whole image. */
  placement: Placement | undefined
  layers: readonly LayerName[]
  view: 'raw' | 'subtracted'
  camera: number
  /** How many pixels become one when zoomed out: their mean, or their largest so that single bright hits survive. */
  reduction: 'mean' | 'max'
  /** The chosen cluster, by its rank in the image. */
  cluster: number | undefined
}

export const startView: ViewState = {
  window: undefined,
  map: 'cividis',
  inverted: false,
  placement: undefined,
  layers: ['clusters', 'scale'],
  view: 'raw',
  camera: 0,
  reduction: 'mean',
  cluster: undefined,
}

function numberOf(text: string | null): number | undefined {
  if (text === null || text.trim() === '') return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}

/** Reads a view from a query; what is not understood falls back to the start view. */
export function viewOfSearch(search: string): ViewState {
  const query = new URLSearchParams(search)
  const [low, high] = (query.get('w') ?? '').split(',').map((part) => numberOf(part))
  const x = numberOf(query.get('x'))
  const y = numberOf(query.get('y'))
  const zoom = numberOf(query.get('z'))
  const layers = query.get('layers')
  const camera = numberOf(query.get('camera'))
  const cluster = numberOf(query.get('cluster'))
  return {
    window: low !== undefined && high !== undefined && high > low ? { low, high } : undefined,
    map: colourMapNames.find((name) => name === query.get('map')) ?? startView.map,
    inverted: query.get('invert') === 'yes',
    placement:
      x !== undefined && y !== undefined && zoom !== undefined
        ? { x, y, zoom: clamp(zoom, zoomLimits.least, zoomLimits.most) }
        : undefined,
    layers: layers === null ? startView.layers : layerNames.filter((name) => layers.split(',').includes(name)),
    view: query.get('view') === 'subtracted' ? 'subtracted' : 'raw',
    camera: camera !== undefined && Number.isInteger(camera) && camera >= 0 ? camera : 0,
    reduction: query.get('reduce') === 'max' ? 'max' : 'mean',
    cluster: cluster !== undefined && Number.isInteger(cluster) && cluster >= 0 ? cluster : undefined,
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
  if (view.camera !== 0) parts.push(`camera=${view.camera}`)
  if (view.reduction !== startView.reduction) parts.push(`reduce=${view.reduction}`)
  if (view.cluster !== undefined) parts.push(`cluster=${view.cluster}`)
  return parts.join('&')
}

export interface ViewStore {
  get: () => ViewState
  set: (change: Partial<ViewState>) => void
  subscribe: (listener: () => void) => () => void
}

/** The view lives outside of React: a drag changes it sixty times a second and only the canvas must follow. */
export function createViewStore(start: ViewState): ViewStore {
  let state = start
  const listeners = new Set<() => void>()
  return {
    get: () => state,
    set: (change) => {
      state = { ...state, ...change }
      for (const listener of listeners) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
