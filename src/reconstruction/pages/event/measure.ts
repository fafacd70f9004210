/** What can be measured in an image: a profile along a line, numbers of a box or an ellipse, a distance. Pure. */
export const measureKinds = ['line', 'box', 'ellipse', 'ruler'] as const
export type MeasureKind = (typeof measureKinds)[number]

/** Two points in image pixels (0 = left and top edge of the first pixel); of a box and an ellipse opposite corners. */
export interface Points {
  x0: number
  y0: number
  x1: number
  y1: number
}
export type Measures = Partial<Record<MeasureKind, Points>>

/** Value of a pixel, undefined outside of the image (or where nothing is known). */
export type ValueAt = (column: number, row: number) => number | undefined

export interface ProfilePoint {
  /** From the beginning of the line, px. */
  distancePx: number
  x: number
  y: number
  /** Mean over the width of the line; null where it leaves the image. */
  value: number | null
}

/** Samples along a line about one pixel apart (never more than 4000), each the mean of `widthPx` pixels across it. */
export function lineProfile(points: Points, widthPx: number, valueAt: ValueAt): ProfilePoint[] {
  const length = Math.hypot(points.x1 - points.x0, points.y1 - points.y0)
  const steps = Math.min(4000, Math.max(1, Math.round(length)))
  const [alongX, alongY] = length === 0 ? [1, 0] : [(points.x1 - points.x0) / length, (points.y1 - points.y0) / length]
  const across = Math.max(1, Math.round(widthPx))
  return Array.from({ length: steps + 1 }, (_, step) => {
    const distancePx = (length * step) / steps
    const x = points.x0 + alongX * distancePx
    const y = points.y0 + alongY * distancePx
    let sum = 0
    let count = 0
    for (let side = 0; side < across; side += 1) {
      const off = side - (across - 1) / 2
      const value = valueAt(Math.floor(x - alongY * off), Math.floor(y + alongX * off))
      if (value === undefined) continue
      sum += value
      count += 1
    }
    return { distancePx, x, y, value: count === 0 ? null : sum / count }
  })
}

export interface RegionStatistics {
  /** Pixels whose centre lies within, and inside of the image. */
  pixels: number
  sum: number
  mean: number
  /** Population standard deviation. */
  sigma: number
  least: number
  most: number
}

/** Numbers of the pixels whose centres lie in a box or in the ellipse inscribed in it; undefined when there are none. */
export function regionStatistics(
  kind: 'box' | 'ellipse',
  points: Points,
  image: { width: number; height: number },
  valueAt: ValueAt,
): RegionStatistics | undefined {
  const left = Math.min(points.x0, points.x1)
  const right = Math.max(points.x0, points.x1)
  const top = Math.min(points.y0, points.y1)
  const bottom = Math.max(points.y0, points.y1)
  const [centreX, centreY] = [(left + right) / 2, (top + bottom) / 2]
  const [radiusX, radiusY] = [(right - left) / 2, (bottom - top) / 2]
  let pixels = 0
  let mean = 0
  let squares = 0
  let least = Infinity
  let most = -Infinity
  for (let row = Math.max(0, Math.ceil(top - 0.5)); row < Math.min(image.height, bottom - 0.5 + 1e-9); row += 1) {
    const up = radiusY === 0 ? 2 : (row + 0.5 - centreY) / radiusY
    for (
      let column = Math.max(0, Math.ceil(left - 0.5));
      column < Math.min(image.width, right - 0.5 + 1e-9);
      column += 1
    ) {
      if (kind === 'ellipse') {
        const out = radiusX === 0 ? 2 : (column + 0.5 - centreX) / radiusX
        if (out * out + up * up > 1) continue
      }
      const value = valueAt(column, row)
      if (value === undefined) continue
      pixels += 1
      // Welford's way: the sum of squares of five million counts would lose what the noise is.
      const difference = value - mean
      mean += difference / pixels
      squares += difference * (value - mean)
      if (value < least) least = value
      if (value > most) most = value
    }
  }
  if (pixels === 0) return undefined
  return { pixels, sum: mean * pixels, mean, sigma: Math.sqrt(squares / pixels), least, most }
}

export interface Distance {
  px: number
  mm: number
  /** From the columns' direction towards the rows', (-180, 180]. */
  degrees: number
}

export function distanceOf(points: Points, mmPerPx: number): Distance {
  const [x, y] = [points.x1 - points.x0, points.y1 - points.y0]
  const px = Math.hypot(x, y)
  return { px, mm: px * mmPerPx, degrees: (Math.atan2(y, x) * 180) / Math.PI }
}

/** Side of a pixel on the GEM plane: the lens of LIME shows 346 mm on 2304 pixels; other frames are taken to show as much. */
export function mmPerPxOf(image: { width: number; height: number }): number {
  return 346 / Math.min(image.width, image.height)
}

/** A profile as a file; numbers with points, columns named with their units. */
export function profileCsv(profile: readonly ProfilePoint[], unit: string): string {
  const lines = profile.map(({ distancePx, x, y, value }) =>
    [distancePx.toFixed(3), x.toFixed(3), y.toFixed(3), value === null ? '' : String(Number(value.toFixed(4)))].join(),
  )
  return [`distance_px,x_px,y_px,value_${unit}`, ...lines, ''].join('\n')
}

/** A measure in the middle of what is seen, to begin from without a mouse. */
export function startPoints(kind: MeasureKind, at: { x: number; y: number }, widthPx: number): Points {
  const reach = Math.max(1, Math.round(widthPx / 6))
  const [x, y] = [Math.round(at.x), Math.round(at.y)]
  return kind === 'line' || kind === 'ruler'
    ? { x0: x - reach, y0: y, x1: x + reach, y1: y }
    : { x0: x - reach, y0: y - reach, x1: x + reach, y1: y + reach }
}
