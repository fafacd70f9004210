/** What is drawn over the image: outlines readable on any colour map, labels, the scale bar, numbers when very near. */
import type { Cluster, Outline } from '../../contract.ts'
import { pixelAt } from './frame-levels.ts'
import type { Frame } from './frame-levels.ts'
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
  searched: { firstRow: number; endRow: number } | undefined
  frame: Frame | undefined
  scaleText: (pixels: number) => string
}

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
  if (picture.layers.includes('clusters')) drawShapes(context, picture)
  context.setTransform(density, 0, 0, density, 0, 0)
  if (placement.zoom >= numbersFrom && picture.frame !== undefined) drawNumbers(context, picture, picture.frame)
  if (picture.layers.includes('searched') && picture.frame !== undefined) drawSearched(context, picture, picture.frame)
  if (picture.layers.includes('labels')) drawLabels(context, picture)
  if (picture.layers.includes('scale') && picture.frame !== undefined) drawScale(context, picture)
}

function drawShapes(context: CanvasRenderingContext2D, picture: OverlayPicture): void {
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
  for (const shape of picture.shapes) {
    const chosen = shape.cluster === picture.chosen
    // Dark below, light above: seen on any map. Clusters that fail the quality cut are dashed.
    const line = (chosen ? 2.4 : 1.3) / placement.zoom
    context.setLineDash(shape.selected ? [] : [4 / placement.zoom, 3 / placement.zoom])
    context.strokeStyle = 'rgb(0 0 0 / 0.75)'
    context.lineWidth = line + 2 / placement.zoom
    context.stroke(shape.path)
    context.strokeStyle = chosen ? '#ffd43b' : '#ffffff'
    context.lineWidth = line
    context.stroke(shape.path)
  }
  context.setLineDash([])
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
    haloText(context, `c${cluster.cluster}`, at.x + 3, at.y, cluster.cluster === picture.chosen ? '#ffd43b' : '#ffffff')
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
      const value = pixelAt(frame, column, row)
      const at = toView({ x: column + 0.5, y: row + 0.5 }, placement, view)
      if (value !== undefined) haloText(context, String(value), at.x, at.y, '#ffffff')
    }
  }
}
