/**
 * The image: drawn outside of React at the pace of the screen, moved by mouse, wheel, touch, keys and buttons. A drag
 * pans, or with Shift (or the window tool) changes window and level.
 */
import { useEffect, useImperativeHandle, useRef, useState } from 'react'
import type { PointerEvent, ReactNode, RefObject } from 'react'
import type { Cluster } from '../../contract.ts'
import { t } from '../messages.ts'
import { createCanvasPainter } from './canvas-painter.ts'
import type { Frame, Light } from './frame-levels.ts'
import { countFrame, startMeter } from './frame-meter.ts'
import { distanceOf, mmPerPxOf } from './measure.ts'
import type { MeasureKind } from './measure.ts'
import { drawOverlay } from './overlay.ts'
import type { Shape } from './overlay.ts'
import type { Painter } from './painter.ts'
import type { ViewStore } from './view-state.ts'
import { createWebglPainter } from './webgl-painter.ts'
import { autoWindow, draggedWindow, roundedWindow } from './window-level.ts'
import type { Window } from './window-level.ts'
import { fitted, heldIn, panned, toImage, zoomedAt } from './zoom.ts'
import type { Placement, Size } from './zoom.ts'

export interface ImageHandle {
  /** The placement on screen now, also when the view says "whole image". */
  placement: () => Placement
  size: () => Size
  zoomBy: (factor: number) => void
  panBy: (x: number, y: number) => void
  /** Image and overlay as one canvas, for export. */
  snapshot: () => HTMLCanvasElement | undefined
}

/** Column and row under the cursor. */
export interface Hover {
  x: number
  y: number
}

/** What a drag in the image does. */
export type Tool = 'pan' | 'window' | MeasureKind

export function ImageView(props: {
  store: ViewStore
  frame: Frame | undefined
  shapes: Shape[]
  clusters: Cluster[]
  searched: { firstRow: number; endRow: number } | undefined
  highlighted: ReadonlySet<number>
  others: Shape[]
  light: Light | undefined
  tool: Tool
  /** From the address, for tests and for comparing: `canvas`, `webgl`, `none`; else the faster one. */
  painter: string | null
  label: string
  handle: RefObject<ImageHandle | null>
  onHover: (hover: Hover | undefined) => void
  onPick: (cluster: number | undefined) => void
  onPainter: (name: Painter['name'] | 'none') => void
}): ReactNode {
  const { store, frame } = props
  const host = useRef<HTMLDivElement>(null)
  const picture = useRef<HTMLCanvasElement>(null)
  const overlay = useRef<HTMLCanvasElement>(null)
  const live = useRef(props)
  live.current = props
  const [webglLost, setWebglLost] = useState(false)
  const plain = props.painter === 'canvas' || webglLost
  const unpainted = props.painter === 'none'
  const alsoSoftware = props.painter === 'webgl'
  const scene = useRef<{ size: Size; draw: () => void; ask: () => void; placement: () => Placement } | undefined>(
    undefined,
  )
  const { onPainter } = props

  useEffect(() => {
    const element = host.current
    const top = overlay.current
    if (element === null || top === null) return
    if (unpainted) return onPainter('none')
    // A canvas is bound for life to the first context it gave; each painter therefore gets a fresh one.
    const canvas = document.createElement('canvas')
    canvas.setAttribute('aria-hidden', 'true')
    element.insertBefore(canvas, top)
    picture.current = canvas
    const painter =
      (plain ? undefined : createWebglPainter(canvas, alsoSoftware, () => setWebglLost(true))) ??
      createCanvasPainter(canvas)
    if (painter === undefined) {
      canvas.remove()
      if (!plain) setWebglLost(true)
      else onPainter('none')
      return
    }
    onPainter(painter.name)
    const meter = startMeter(painter.name)
    const size = { width: element.clientWidth, height: element.clientHeight }
    let shown: Frame | undefined
    let asked = 0
    const placement = (): Placement => {
      const known = store.get().placement
      const image = live.current.frame ?? shown
      if (known !== undefined) return known
      return image === undefined ? { x: 0, y: 0, zoom: 1 } : fitted(image, size)
    }
    const draw = (): void => {
      asked = 0
      const startedMs = performance.now()
      const state = store.get()
      const now = live.current
      if (now.frame !== undefined && now.frame !== shown) {
        painter.show(now.frame)
        shown = now.frame
      }
      const density = window.devicePixelRatio || 1
      const at = placement()
      painter.draw({
        placement: at,
        view: size,
        density,
        window: windowOf(state, shown),
        map: state.map,
        inverted: state.inverted,
        reduction: state.reduction,
      })
      drawOverlay(top, {
        placement: at,
        view: size,
        density,
        layers: state.layers,
        shapes: now.shapes,
        clusters: now.clusters,
        chosen: state.cluster,
        highlighted: now.highlighted,
        others: now.others,
        measures: state.measures,
        light: now.light,
        searched: now.searched,
        frame: shown,
        measureText: (kind, points) => {
          if (kind !== 'ruler') return t(`measure.${kind}`)
          const { px, mm } = distanceOf(points, mmPerPxOf(shown ?? { width: 2304, height: 2304 }))
          return t('measure.distance', { px: px.toFixed(1), mm: mm.toFixed(2) })
        },
        scaleText: (pixels) => t('image.scale', { pixels }),
      })
      countFrame(meter, startedMs, performance.now())
    }
    const ask = (): void => {
      asked ||= requestAnimationFrame(draw)
    }
    const observer = new ResizeObserver(() => {
      size.width = element.clientWidth
      size.height = element.clientHeight
      ask()
    })
    observer.observe(element)
    const unsubscribe = store.subscribe(ask)
    scene.current = { size, draw, ask, placement }
    ask()
    return () => {
      scene.current = undefined
      cancelAnimationFrame(asked)
      observer.disconnect()
      unsubscribe()
      painter.close()
      canvas.remove()
      picture.current = null
    }
  }, [store, plain, alsoSoftware, unpainted, onPainter])

  useEffect(() => scene.current?.ask())

  const move = (change: (placement: Placement, size: Size) => Placement): void => {
    const now = scene.current
    if (now === undefined || live.current.frame === undefined) return
    // Whoever moves the image wants to look at this event, not at the newest.
    store.set({ placement: heldIn(change(now.placement(), now.size), live.current.frame), follow: false })
  }

  useImperativeHandle(props.handle, () => ({
    placement: () => scene.current?.placement() ?? { x: 0, y: 0, zoom: 1 },
    size: () => scene.current?.size ?? { width: 1, height: 1 },
    zoomBy: (factor) =>
      move((placement, size) => zoomedAt(placement, factor, { x: size.width / 2, y: size.height / 2 }, size)),
    panBy: (x, y) => move((placement) => panned(placement, x, y)),
    snapshot: () => {
      const canvas = picture.current
      if (canvas === null || overlay.current === null || scene.current === undefined) return undefined
      // Drawn and copied in one go: a WebGL canvas keeps its picture only until the page is shown.
      scene.current.draw()
      const copy = document.createElement('canvas')
      copy.width = canvas.width
      copy.height = canvas.height
      const context = copy.getContext('2d')
      context?.drawImage(canvas, 0, 0)
      context?.drawImage(overlay.current, 0, 0)
      return copy
    },
  }))

  const moving = useRef(move)
  moving.current = move
  useEffect(() => {
    const element = host.current
    // Not through React, whose wheel listeners cannot keep the page from scrolling.
    const wheel = (event: WheelEvent): void => {
      event.preventDefault()
      const box = host.current?.getBoundingClientRect()
      if (box === undefined) return
      const at = { x: event.clientX - box.left, y: event.clientY - box.top }
      const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016))
      moving.current((placement, size) => zoomedAt(placement, factor, at, size))
    }
    element?.addEventListener('wheel', wheel, { passive: false })
    return () => element?.removeEventListener('wheel', wheel)
  }, [])

  const drag = useDrag(props, move, frame)
  return (
    <div
      ref={host}
      className={`cy-image ${props.tool === 'pan' ? '' : props.tool === 'window' ? 'cy-image-window' : 'cy-image-measure'}`}
      onContextMenu={(event) => event.preventDefault()}
      {...drag}
    >
      <canvas ref={overlay} role="img" aria-label={props.label} />
    </div>
  )
}

/** The window of the view, or the automatic one of the image. */
export function windowOf(view: { window: Window | undefined; masked: boolean }, frame: Frame | undefined): Window {
  if (view.window !== undefined) return view.window
  return frame === undefined ? { low: 0, high: 1 } : autoWindow(view.masked ? frame.connected : frame.all)
}

type Handlers = Record<
  'onPointerDown' | 'onPointerMove' | 'onPointerUp' | 'onPointerCancel' | 'onPointerLeave',
  (event: PointerEvent<HTMLDivElement>) => void
> & {
  onDoubleClick: (event: { clientX: number; clientY: number; currentTarget: HTMLDivElement }) => void
}

function useDrag(
  props: {
    store: ViewStore
    tool: Tool
    clusters: Cluster[]
    onHover: (hover: Hover | undefined) => void
    onPick: (cluster: number | undefined) => void
    handle: RefObject<ImageHandle | null>
  },
  move: (change: (placement: Placement, size: Size) => Placement) => void,
  frame: Frame | undefined,
): Handlers {
  const grip = useRef<
    | {
        mode: Tool
        fromX: number
        fromY: number
        lastX: number
        lastY: number
        window: Window
        /** Where it began, in the image. */
        point: { x: number; y: number }
        moved: boolean
      }
    | undefined
  >(undefined)
  const touches = useRef(new Map<number, { x: number; y: number }>())
  const end = (event: PointerEvent<HTMLDivElement>): void => {
    touches.current.delete(event.pointerId)
    const ended = grip.current
    grip.current = undefined
    if (ended === undefined || ended.moved || ended.mode === 'window' || event.type !== 'pointerup') return
    const point = imagePoint(event, props.handle.current)
    const hit = props.clusters.find(
      (cluster) =>
        point.x >= cluster.xMinPx &&
        point.x <= cluster.xMaxPx + 1 &&
        point.y >= cluster.yMinPx &&
        point.y <= cluster.yMaxPx + 1,
    )
    props.onPick(hit?.cluster)
  }
  return {
    onPointerDown: (event) => {
      if (event.button !== 0 && event.button !== 2) return
      event.currentTarget.setPointerCapture(event.pointerId)
      touches.current.set(event.pointerId, { x: event.clientX, y: event.clientY })
      const mode = event.shiftKey || event.button === 2 ? 'window' : props.tool
      grip.current = {
        mode,
        fromX: event.clientX,
        fromY: event.clientY,
        lastX: event.clientX,
        lastY: event.clientY,
        window: windowOf(props.store.get(), frame),
        point: imagePoint(event, props.handle.current),
        moved: false,
      }
    },
    onPointerMove: (event) => {
      const held = grip.current
      if (held === undefined) {
        if (frame === undefined) return
        const point = imagePoint(event, props.handle.current)
        const inside = point.x >= 0 && point.y >= 0 && point.x < frame.width && point.y < frame.height
        props.onHover(inside ? { x: Math.floor(point.x), y: Math.floor(point.y) } : undefined)
        return
      }
      const before = touches.current.get(event.pointerId)
      if (touches.current.size === 2 && before !== undefined) {
        const other = [...touches.current].find(([id]) => id !== event.pointerId)?.[1]
        if (other !== undefined) {
          const factor =
            Math.hypot(event.clientX - other.x, event.clientY - other.y) /
            Math.max(Math.hypot(before.x - other.x, before.y - other.y), 1)
          const box = event.currentTarget.getBoundingClientRect()
          move((placement, size) =>
            zoomedAt(
              placement,
              factor,
              { x: (event.clientX + other.x) / 2 - box.left, y: (event.clientY + other.y) / 2 - box.top },
              size,
            ),
          )
        }
        held.moved = true
      } else if (held.mode === 'window') {
        props.store.set({
          window: roundedWindow(draggedWindow(held.window, event.clientX - held.fromX, event.clientY - held.fromY)),
        })
        held.moved = true
      } else if (held.mode !== 'pan') {
        const to = imagePoint(event, props.handle.current)
        const near = Math.hypot(event.clientX - held.fromX, event.clientY - held.fromY) <= 3
        if (!held.moved && near) return
        held.moved = true
        const tenth = (value: number): number => Math.round(value * 10) / 10
        const points = { x0: tenth(held.point.x), y0: tenth(held.point.y), x1: tenth(to.x), y1: tenth(to.y) }
        props.store.set({ measures: { ...props.store.get().measures, [held.mode]: points } })
      } else {
        const byX = event.clientX - held.lastX
        const byY = event.clientY - held.lastY
        if (held.moved || Math.hypot(event.clientX - held.fromX, event.clientY - held.fromY) > 3) {
          held.moved = true
          move((placement) => panned(placement, byX, byY))
        }
      }
      held.lastX = event.clientX
      held.lastY = event.clientY
      touches.current.set(event.pointerId, { x: event.clientX, y: event.clientY })
    },
    onPointerUp: end,
    onPointerCancel: end,
    onPointerLeave: () => props.onHover(undefined),
    onDoubleClick: (event) => {
      const box = event.currentTarget.getBoundingClientRect()
      move((placement, size) =>
        zoomedAt(placement, 2, { x: event.clientX - box.left, y: event.clientY - box.top }, size),
      )
    },
  }
}

function imagePoint(event: PointerEvent<HTMLDivElement>, handle: ImageHandle | null): { x: number; y: number } {
  const box = event.currentTarget.getBoundingClientRect()
  if (handle === null) return { x: -1, y: -1 }
  return toImage({ x: event.clientX - box.left, y: event.clientY - box.top }, handle.placement(), handle.size())
}
