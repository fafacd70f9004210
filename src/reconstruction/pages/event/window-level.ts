/**
 * Window and level: which counts are drawn dark and which bright. Automatic limits come from percentiles of the pixels
 * that are not alone: a single dead pixel at 65535 must not decide about an image that lives between 95 and 130.
 */
export interface Window {
  low: number
  high: number
}

/** A histogram over all 65 536 values; value of bin i is `i - offset`. */
export interface Counts {
  bins: Uint32Array
  offset: number
  total: number
}

/** The value below which the given share (0 to 1) of the pixels lies. */
export function percentile(counts: Counts, share: number): number {
  const wanted = share * counts.total
  let seen = 0
  for (let bin = 0; bin < counts.bins.length; bin += 1) {
    seen += counts.bins[bin] ?? 0
    if (seen >= wanted && seen > 0) return bin - counts.offset
  }
  return counts.bins.length - 1 - counts.offset
}

/**
 * How much of the bright end may saturate, and how many noise widths above the middle the window ends at least, so that
 * an empty image does not look like fireworks. Pressing Auto again takes the next, stronger one.
 */
export const strengths = [
  { saturated: 0.0035, widths: 8 },
  { saturated: 0.01, widths: 6 },
  { saturated: 0.02, widths: 4 },
  { saturated: 0.03, widths: 3 },
]

/** Automatic limits, the gentlest first. */
export function autoWindow(counts: Counts, strength = 0): Window {
  const { saturated, widths } = strengths[strength % strengths.length] ?? { saturated: 0.0035, widths: 8 }
  const low = percentile(counts, 0.005)
  const middle = percentile(counts, 0.5)
  const noise = Math.max(middle - percentile(counts, 0.16), 1)
  const high = Math.max(percentile(counts, 1 - saturated), middle + widths * noise)
  return { low, high: Math.max(high, low + 1) }
}

/** Dragging in the image: to the right brighter limits upwards, down a wider window. One screen pixel = 1/300 of it. */
export function draggedWindow(start: Window, byX: number, byY: number): Window {
  const width = start.high - start.low
  const centre = (start.low + start.high) / 2 + (byX / 300) * width
  const next = Math.max(width * Math.exp(byY / 200), 1)
  return roundedWindow({ low: centre - next / 2, high: centre + next / 2 })
}

/** Whole counts, high above low. */
export function roundedWindow(window: Window): Window {
  const low = Math.round(window.low)
  return { low, high: Math.max(Math.round(window.high), low + 1) }
}

/** The part of a histogram worth drawing, in at most `most` bars: from the lowest value to where the window ends, with room. */
export function drawnHistogram(
  counts: Counts,
  window: Window,
  most: number,
): { from: number; to: number; bars: number[] } {
  const first = percentile(counts, 0.00001)
  const from = Math.min(first, window.low) - 2
  const last = Math.max(percentile(counts, 0.9995), window.high)
  const to = last + Math.max((last - from) * 0.15, 4)
  const perBar = Math.max(1, Math.ceil((to - from) / most))
  const bars: number[] = []
  for (let value = from; value < to; value += perBar) {
    let sum = 0
    for (let step = 0; step < perBar; step += 1) sum += counts.bins[value + step + counts.offset] ?? 0
    bars.push(sum)
  }
  return { from, to: from + bars.length * perBar, bars }
}
