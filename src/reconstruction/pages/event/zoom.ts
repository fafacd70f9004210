/**
 * Where the image lies on the screen. `x`, `y`: the image point (pixel edges, 0 = left and top edge) in the middle of
 * the view; `zoom`: screen pixels (CSS) per image pixel. Row 0 of the stored frame is at the top.
 */
export interface Placement {
  x: number
  y: number
  zoom: number
}

export interface Size {
  width: number
  height: number
}

export const zoomLimits = { least: 0.02, most: 64 }

/** The whole image in the middle of the view. */
export function fitted(image: Size, view: Size): Placement {
  const zoom = Math.min(view.width / image.width, view.height / image.height)
  return { x: image.width / 2, y: image.height / 2, zoom: clamp(zoom, zoomLimits.least, zoomLimits.most) }
}

/** A box of the image in the view, with a margin and never larger than `most` screen pixels per pixel. */
export function around(
  box: { left: number; top: number; right: number; bottom: number },
  view: Size,
  most = 12,
): Placement {
  const width = Math.max(box.right - box.left, 1) * 2
  const height = Math.max(box.bottom - box.top, 1) * 2
  const zoom = clamp(Math.min(view.width / width, view.height / height), zoomLimits.least, most)
  return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, zoom }
}

/** The image point under a point of the view (from its top left corner). */
export function toImage(at: { x: number; y: number }, placement: Placement, view: Size): { x: number; y: number } {
  return {
    x: placement.x + (at.x - view.width / 2) / placement.zoom,
    y: placement.y + (at.y - view.height / 2) / placement.zoom,
  }
}

/** Where an image point stands in the view. */
export function toView(point: { x: number; y: number }, placement: Placement, view: Size): { x: number; y: number } {
  return {
    x: (point.x - placement.x) * placement.zoom + view.width / 2,
    y: (point.y - placement.y) * placement.zoom + view.height / 2,
  }
}

/** Zooms by a factor so that the image point under `at` stays where it is. */
export function zoomedAt(placement: Placement, factor: number, at: { x: number; y: number }, view: Size): Placement {
  const zoom = clamp(placement.zoom * factor, zoomLimits.least, zoomLimits.most)
  const point = toImage(at, placement, view)
  return { x: point.x - (at.x - view.width / 2) / zoom, y: point.y - (at.y - view.height / 2) / zoom, zoom }
}

/** Moves the image with the hand: by so many screen pixels. */
export function panned(placement: Placement, byX: number, byY: number): Placement {
  return { ...placement, x: placement.x - byX / placement.zoom, y: placement.y - byY / placement.zoom }
}

/** Keeps some of the image in sight: the middle of the view stays on the image. */
export function heldIn(placement: Placement, image: Size): Placement {
  return { ...placement, x: clamp(placement.x, 0, image.width), y: clamp(placement.y, 0, image.height) }
}

/** Length of a scale bar: 1, 2 or 5 times a power of ten of image pixels, at most `mostScreenPx` long on screen. */
export function scaleBar(zoom: number, mostScreenPx: number): number {
  const most = mostScreenPx / zoom
  const power = 10 ** Math.floor(Math.log10(most))
  const step = [5, 2, 1].find((factor) => factor * power <= most) ?? 1
  return step * power
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}
