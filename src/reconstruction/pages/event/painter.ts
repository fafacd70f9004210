/** What draws an image: WebGL2 where it works, a plain canvas elsewhere. Both are given the same words. */
import type { ColourMapName } from './colour-maps.ts'
import type { Frame } from './frame-levels.ts'
import type { Window } from './window-level.ts'
import type { Placement, Size } from './zoom.ts'

export interface Picture {
  placement: Placement
  /** Size of the view in CSS pixels and device pixels per CSS pixel. */
  view: Size
  density: number
  window: Window
  map: ColourMapName
  inverted: boolean
  reduction: 'mean' | 'max'
}

export interface Painter {
  name: 'webgl2' | 'canvas'
  /** Takes a new image; the one before is forgotten. */
  show: (frame: Frame) => void
  draw: (picture: Picture) => void
  close: () => void
}

/** Which copy of the image to sample: 0 is the image itself, 1 half of it... so that a sample covers one to two pixels. */
export function levelFor(imagePixelsPerDevicePixel: number, levels: number): number {
  if (imagePixelsPerDevicePixel <= 1) return 0
  return Math.min(Math.floor(Math.log2(imagePixelsPerDevicePixel)), levels)
}
