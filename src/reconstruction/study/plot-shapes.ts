/**
 * Where the parts of a plot of a report lie, in units of the paper or the screen: the page draws them as SVG, the PDF
 * with its own primitives. Runs in browsers and in Node.
 */
import type { ReportPlot } from './study-report.ts'

export interface PlotBox {
  left: number
  top: number
  width: number
  height: number
}

export interface Tick {
  at: number
  text: string
}

export interface DrawnSeries {
  label: string
  style: 'points' | 'line' | 'both' | 'steps'
  published: boolean
  points: { x: number; y: number; low?: number; high?: number }[]
}

export interface DrawnPlot {
  xTicks: Tick[]
  yTicks: Tick[]
  series: DrawnSeries[]
}

/** Eight hues that stay apart for colour-blind eyes (after Okabe and Ito). */
export const plotColours = ['#2f7fc1', '#d55e00', '#009e73', '#cc79a7', '#a58a00', '#56a3d9', '#7a6ff0', '#777777']

interface Scale {
  place(value: number): number | undefined
  ticks: { value: number; text: string }[]
}

/** Values outside the axes are held at their edge; on a logarithmic axis zero has no place but the bottom. */
export function drawPlot(plot: ReportPlot, box: PlotBox): DrawnPlot {
  const all = plot.series.flatMap(({ points }) => points)
  const xs = all.map(({ x }) => x)
  const ys = all.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y])
  const x = scaleOf(plot.x, xs)
  const y = scaleOf(plot.y, ys)
  const toX = (value: number) => box.left + box.width * (x.place(value) ?? 0)
  const toY = (value: number) => box.top + box.height * (1 - (y.place(value) ?? 0))
  return {
    xTicks: x.ticks.map(({ value, text }) => ({ at: toX(value), text })),
    yTicks: y.ticks.map(({ value, text }) => ({ at: toY(value), text })),
    series: plot.series.map(({ label, style, published, points }) => ({
      label,
      style,
      published,
      points: points.map((point) => ({
        x: toX(point.x),
        y: toY(point.y),
        ...(point.low !== undefined && { low: toY(point.low) }),
        ...(point.high !== undefined && { high: toY(point.high) }),
      })),
    })),
  }
}

function scaleOf(axis: ReportPlot['x'], values: readonly number[]): Scale {
  return axis.scale === 'log' ? logScale(axis, values) : linearScale(axis, values)
}

function linearScale(axis: ReportPlot['x'], values: readonly number[]): Scale {
  const known = values.filter(Number.isFinite)
  let low = axis.low ?? Math.min(...known, Infinity)
  let high = axis.high ?? Math.max(...known, -Infinity)
  if (!Number.isFinite(low)) low = 0
  if (!Number.isFinite(high)) high = low + 1
  if (axis.low === undefined) low -= 0.05 * (high - low)
  if (axis.high === undefined) high += 0.08 * (high - low)
  if (!(high > low)) [low, high] = [low - 0.5 * (Math.abs(low) || 1), low + 0.5 * (Math.abs(low) || 1)]
  const step = niceStep((high - low) / 5)
  const ticks: Scale['ticks'] = []
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index++) {
    ticks.push({ value: index * step, text: (index * step).toFixed(digits) })
  }
  return { place: (value) => clamp((value - low) / (high - low)), ticks }
}

function logScale(axis: ReportPlot['x'], values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value))
  const bottom = axis.low ?? Math.min(...positive, Infinity) / 1.3
  const top = axis.high ?? Math.max(...positive, 0) * 1.3
  const low = Math.log10(Number.isFinite(bottom) && bottom > 0 ? bottom : 0.1)
  const high = Math.max(low + 0.3, Math.log10(top > 0 ? top : 10))
  const ticks: Scale['ticks'] = []
  const factors = high - low < 2.5 ? [1, 2, 5] : [1]
  for (let decade = Math.floor(low); decade <= high; decade++) {
    for (const factor of factors) {
      const value = factor * 10 ** decade
      if (Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9) ticks.push({ value, text: short(value) })
    }
  }
  return { place: (value) => (value > 0 ? clamp((Math.log10(value) - low) / (high - low)) : 0), ticks }
}

const clamp = (share: number) => Math.max(0, Math.min(1, share))
const short = (value: number) =>
  value >= 1e5 || value < 1e-3 ? value.toExponential(0).replace('e+', 'e') : String(Number(value.toPrecision(3)))

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  const share = rough / power
  return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10)
}
