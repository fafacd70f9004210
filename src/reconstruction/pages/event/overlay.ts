/** What is drawn over the image: outlines readable on any colour map, labels, the scale bar, numbers when very near. */
import type { Cluster, Outline } from '../../contract.ts'
import { lightAt, pixelAt, rawAt } from './frame-levels.ts'
import type { Frame, Light } from './frame-levels.ts'
import type { MeasureKind, Measures, Points } from './measure.ts'
import { measureKinds } from './measure.ts'
import type { LayerName } from './view-state.ts'
import { scaleBar, toImage, toView } from './zoom.ts'
import type { Placement, Size } from './zoom.ts'

export interface Shape {
  cluster: number
  selected: boolean
  path: Path2D
}

/** Outlines as paths in image coordinates, made once for each event. */
export function shapesOf(outlines: Outline[], camera: number): Shape[] {
  return outlines
    .filter((outline) => outline.camera === camera)
    .map((outline) => {
      const path = new Path2D()
      for (const ring of outline.rings) {
        for (let index = 0; index + 1 < ring.length; index += 2) {
          const x = ring[index] ?? 0
          const y = ring[index + 1] ?? 0
          if (index === 0) path.moveTo(x, y)
          else path.lineTo(x, y)
        }
        path.closePath()
      }
      return { cluster: outline.cluster, selected: outline.selected, path }
    })
}

export interface OverlayPicture {
  placement: Placement
  view: Size
  density: number
  layers: readonly LayerName[]
  shapes: Shape[]
  clusters: Cluster[]
  chosen: number | undefined
  /** Clusters that belong to the chosen photomultiplier trigger. */
  highlighted: ReadonlySet<number>
  /** Outlines of the campaign that is compared with. */
  others: Shape[]
  measures: Measures
  light: Light | undefined
  searched: { firstRow: number; endRow: number } | undefined
  frame: Frame | undefined
  scaleText: (pixels: number) => string
  measureText: (kind: MeasureKind, points: Points) => string
}

const chosenColour = '#ffd43b'
const matchedColour = '#66d9e8'
const otherColour = '#ff922b'
const saturatedColour = '#ff6bcb'
const measureColour = '#b2f2bb'

/** From this zoom on each pixel carries its number. */
const numbersFrom = 32

export function drawOverlay(canvas: HTMLCanvasElement, picture: OverlayPicture): void {
  const context = canvas.getContext('2d')
  if (context === null) return
  const { placement, view, density } = picture
  const width = Math.round(view.width * density)
  const height = Math.round(view.height * density)
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, width, height)
  if (picture.layers.includes('clusters')) {
    drawShapes(context, picture, picture.shapes, undefined)
    drawShapes(context, picture, picture.others, otherColour)
  }
  context.setTransform(density, 0, 0, density, 0, 0)
  if (placement.zoom >= numbersFrom && picture.frame?.coarse === false) drawNumbers(context, picture, picture.frame)
  if (picture.layers.includes('searched') && picture.frame !== undefined) drawSearched(context, picture, picture.frame)
  if (picture.layers.includes('vignette') && picture.frame !== undefined) drawVignette(context, picture, picture.frame)
  if (picture.layers.includes('saturated') && picture.frame !== undefined) {
    drawSaturated(context, picture, picture.frame)
  }
  if (picture.layers.includes('axes')) drawAxes(context, picture)
  if (picture.layers.includes('labels')) drawLabels(context, picture)
  drawMeasures(context, picture)
  if (picture.layers.includes('scale') && picture.frame !== undefined) drawScale(context, picture)
}

function drawShapes(
  context: CanvasRenderingContext2D,
  picture: OverlayPicture,
  shapes: Shape[],
  /** Of the campaign compared with, dashed; undefined: our own. */
  colour: string | undefined,
): void {
  const { placement, view, density } = picture
  const scale = placement.zoom * density
  context.setTransform(
    scale,
    0,
    0,
    scale,
    (view.width / 2) * density - placement.x * scale,
    (view.height / 2) * density - placement.y * scale,
  )
  context.lineJoin = 'round'
  const px = 1 / placement.zoom
  for (const shape of shapes) {
    const own = colour === undefined
    const chosen = own && shape.cluster === picture.chosen
    const matched = own && picture.highlighted.has(shape.cluster)
    // Dark below, light above: seen on any map. Dotted: fails the quality cut. Dashed: the other campaign.
    const line = (chosen || matched ? 2.4 : 1.3) * px
    context.setLineDash(!own ? [8 * px, 5 * px] : shape.selected ? [] : [1.5 * px, 3 * px])
    context.strokeStyle = 'rgb(0 0 0 / 0.75)'
    context.lineWidth = line + 2 * px
    context.stroke(shape.path)
    context.strokeStyle = colour ?? (chosen ? chosenColour : matched ? matchedColour : '#ffffff')
    context.lineWidth = line
    context.stroke(shape.path)
  }
  context.setLineDash([])
}

/** A line drawn twice, dark and light, in view coordinates. */
function haloLine(context: CanvasRenderingContext2D, colour: string, width: number, trace: () => void): void {
  for (const [style, wide] of [
    ['rgb(0 0 0 / 0.75)', width + 2],
    [colour, width],
  ] as const) {
    context.strokeStyle = style
    context.lineWidth = wide
    context.beginPath()
    trace()
    context.stroke()
  }
}

/** Major axis of each selected cluster through its barycentre, as long as the cluster. */
function drawAxes(context: CanvasRenderingContext2D, picture: OverlayPicture): void {
  const { placement, view } = picture
  for (const cluster of picture.clusters) {
    if (!cluster.selected) continue
    const angle = (cluster.thetaDeg * Math.PI) / 180
    const [x, y] = [(Math.cos(angle) * cluster.lengthPx) / 2, (Math.sin(angle) * cluster.lengthPx) / 2]
    const centre = { x: cluster.xMeanPx + 0.5, y: cluster.yMeanPx + 0.5 }
    const from = toView({ x: centre.x - x, y: centre.y - y }, placement, view)
    const to = toView({ x: centre.x + x, y: centre.y + y }, placement, view)
    haloLine(context, cluster.cluster === picture.chosen ? chosenColour : '#ffffff', 1, () => {
      context.moveTo(from.x, from.y)
      context.lineTo(to.x, to.y)
    })
  }
}

/** Circles where the lens lets 90, 80 ... 30 % of the light through. */
function drawVignette(context: CanvasRenderingContext2D, picture: OverlayPicture, frame: Frame): void {
  const { placement, view, light } = picture
  if (light === undefined) return
  const centre = toView({ x: frame.width / 2, y: frame.height / 2 }, placement, view)
  context.font = '12px system-ui, sans-serif'
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  const corner = Math.hypot(frame.width, frame.height) / 2
  let radius = 0
  for (let share = 0.9; share > 0.25; share -= 0.1) {
    while (radius < corner && lightAt(light, radius, 0) > share) radius += 2
    if (radius >= corner) return
    context.setLineDash([2, 6])
    haloLine(context, '#ffffff', 1, () => context.arc(centre.x, centre.y, radius * placement.zoom, 0, Math.PI * 2))
    context.setLineDash([])
    haloText(context, `${Math.round(share * 100)} %`, centre.x, centre.y - radius * placement.zoom, '#ffffff')
  }
}

/** Pixels at the end of the converter's range, never smaller than can be seen. */
function drawSaturated(context: CanvasRenderingContext2D, picture: OverlayPicture, frame: Frame): void {
  const { placement, view } = picture
  const side = Math.max(placement.zoom, 4)
  context.strokeStyle = saturatedColour
  context.lineWidth = 1.5
  for (const index of frame.saturated) {
    const at = toView({ x: (index % frame.width) + 0.5, y: Math.floor(index / frame.width) + 0.5 }, placement, view)
    if (at.x < -side || at.y < -side || at.x > view.width + side || at.y > view.height + side) continue
    context.strokeRect(at.x - side / 2, at.y - side / 2, side, side)
  }
}

function drawMeasures(context: CanvasRenderingContext2D, picture: OverlayPicture): void {
  const { placement, view, measures } = picture
  context.font = '600 12px system-ui, sans-serif'
  for (const kind of measureKinds) {
    const points = measures[kind]
    if (points === undefined) continue
    const from = toView({ x: points.x0, y: points.y0 }, placement, view)
    const to = toView({ x: points.x1, y: points.y1 }, placement, view)
    haloLine(context, measureColour, 1.5, () => {
      if (kind === 'box') context.rect(from.x, from.y, to.x - from.x, to.y - from.y)
      else if (kind === 'ellipse') {
        const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2]
        context.ellipse(x, y, Math.abs(to.x - from.x) / 2, Math.abs(to.y - from.y) / 2, 0, 0, Math.PI * 2)
      } else {
        context.moveTo(from.x, from.y)
        context.lineTo(to.x, to.y)
        if (kind === 'ruler') {
          const length = Math.hypot(to.x - from.x, to.y - from.y) || 1
          const [x, y] = [(-(to.y - from.y) / length) * 6, ((to.x - from.x) / length) * 6]
          for (const end of [from, to]) {
            context.moveTo(end.x - x, end.y - y)
            context.lineTo(end.x + x, end.y + y)
          }
        }
      }
    })
    context.textAlign = 'left'
    context.textBaseline = 'bottom'
    haloText(
      context,
      picture.measureText(kind, points),
      Math.max(from.x, to.x) + 6,
      Math.max(from.y, to.y),
      measureColour,
    )
  }
}

function haloText(context: CanvasRenderingContext2D, text: string, x: number, y: number, colour: string): void {
  context.lineJoin = 'round'
  context.strokeStyle = 'rgb(0 0 0 / 0.8)'
  context.lineWidth = 3
  context.strokeText(text, x, y)
  context.fillStyle = colour
  context.fillText(text, x, y)
}

function drawLabels(context: CanvasRenderingContext2D, picture: OverlayPicture): void {
  context.font = '600 12px system-ui, sans-serif'
  context.textAlign = 'left'
  context.textBaseline = 'bottom'
  for (const cluster of picture.clusters) {
    const at = toView({ x: cluster.xMaxPx + 1, y: cluster.yMinPx }, picture.placement, picture.view)
    if (at.x < 0 || at.y < 0 || at.x > picture.view.width || at.y > picture.view.height) continue
    haloText(
      context,
      `c${cluster.cluster}`,
      at.x + 3,
      at.y,
      cluster.cluster === picture.chosen ? chosenColour : '#ffffff',
    )
  }
}

/** The parts of the image that the reconstruction left out are veiled. */
function drawSearched(context: CanvasRenderingContext2D, picture: OverlayPicture, frame: Frame): void {
  const { searched, placement, view } = picture
  if (searched === undefined) return
  context.fillStyle = 'rgb(0 0 0 / 0.45)'
  for (const [top, bottom] of [
    [0, searched.firstRow],
    [searched.endRow, frame.height],
  ] as const) {
    if (bottom <= top) continue
    const from = toView({ x: 0, y: top }, placement, view)
    const to = toView({ x: frame.width, y: bottom }, placement, view)
    context.fillRect(from.x, from.y, to.x - from.x, to.y - from.y)
  }
}

function drawScale(context: CanvasRenderingContext2D, picture: OverlayPicture): void {
  const length = scaleBar(picture.placement.zoom, 140)
  const screen = length * picture.placement.zoom
  const x = 14
  const y = picture.view.height - 14
  context.fillStyle = 'rgb(0 0 0 / 0.75)'
  context.fillRect(x - 1.5, y - 4.5, screen + 3, 7)
  context.fillStyle = '#ffffff'
  context.fillRect(x, y - 3, screen, 4)
  context.font = '12px system-ui, sans-serif'
  context.textAlign = 'left'
  context.textBaseline = 'bottom'
  haloText(context, picture.scaleText(length), x, y - 7, '#ffffff')
}

function drawNumbers(context: CanvasRenderingContext2D, picture: OverlayPicture, frame: Frame): void {
  const { placement, view } = picture
  const first = toImage({ x: 0, y: 0 }, placement, view)
  const last = toImage({ x: view.width, y: view.height }, placement, view)
  context.font = `${Math.min(placement.zoom / 3.2, 13)}px system-ui, sans-serif`
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  for (let row = Math.max(Math.floor(first.y), 0); row <= Math.min(last.y, frame.height - 1); row += 1) {
    for (let column = Math.max(Math.floor(first.x), 0); column <= Math.min(last.x, frame.width - 1); column += 1) {
      const value = frame.view === 'raw' ? rawAt(frame, column, row) : pixelAt(frame, column, row)
      const at = toView({ x: column + 0.5, y: row + 0.5 }, placement, view)
      if (value !== undefined) haloText(context, String(value), at.x, at.y, '#ffffff')
    }
  }
}
