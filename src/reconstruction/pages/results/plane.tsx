/** Two quantities against each other: counts in cells, or a sample of the points; a rectangle drawn becomes two cuts. */
import { useComputedColorScheme } from '@mantine/core'
import { useMemo, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { formatCount, significant } from '../../../foundation/browser.tsx'
import { seriesColours } from '../../../foundation/browser-plot.tsx'
import type { Plane, Sample, View } from '../../contract.ts'
import { t } from '../messages.ts'
import { Chart, Numbers } from './chart.tsx'
import type { Brushed, Scale } from './chart.tsx'
import { SaveImage } from './save-image.tsx'
import { labelOf } from './spectrum.tsx'

/** Cividis in nine steps: dark to light, also for colour-blind eyes. */
const steps = [
  '#00224e',
  '#123570',
  '#3b496c',
  '#575d6d',
  '#707173',
  '#8a8678',
  '#a59c74',
  '#c3b369',
  '#e1cc55',
  '#fee838',
]

export function PlanePlot(props: {
  view: View
  busy: boolean
  caption: string
  axes: { x: string; y: string; xUnit: string; yUnit: string }
  eventAddress: (run: number, event: number) => string
  onBox: (range: Brushed) => void
}): ReactNode {
  const { plane, sample } = props.view
  const svg = useRef<SVGSVGElement>(null)
  const limits = plane === null ? { x: props.view.histogram, y: spanOf(sample?.points.map(({ y }) => y) ?? []) } : plane
  const { axes } = props
  const title = t('results.planeOf', { x: axes.x, y: axes.y })
  return (
    <div>
      <Chart
        title={title}
        svg={svg}
        x={{ low: limits.x.low, high: limits.x.high, label: labelOf(axes.x, axes.xUnit) }}
        y={{ low: limits.y.low, high: limits.y.high, label: labelOf(axes.y, axes.yUnit) }}
        heightPx={360}
        brush="xy"
        busy={props.busy}
        onBrush={props.onBox}
      >
        {(scale) => (plane === null ? <Points sample={sample} scale={scale} /> : <Cells plane={plane} scale={scale} />)}
      </Chart>
      <p className="cy-quiet cy-small">
        {plane === null
          ? sample === null
            ? ''
            : sample.isSample
              ? t('results.sampleOf', { shown: formatCount(sample.points.length), all: formatCount(sample.of) })
              : t('results.allPoints', { all: formatCount(sample.of) })
          : t('results.cells', {
              most: formatCount(Math.max(0, ...plane.counts)),
              outside: formatCount(plane.outside),
            })}
      </p>
      <div className="cy-row">
        <SaveImage of={svg} name={`results-${axes.x}-${axes.y}`.replaceAll(/\W+/g, '-')} caption={props.caption} />
      </div>
      {plane === null ? (
        <Events sample={sample} eventAddress={props.eventAddress} axes={axes} />
      ) : (
        <Numbers
          heads={[axes.x, axes.y, t('results.count')]}
          rows={plane.counts
            .map((count, cell) => ({ count, cell }))
            .filter(({ count }) => count > 0)
            .sort((a, b) => b.count - a.count)
            .map(({ count, cell }) => [
              significant(middle(plane.x, cell % plane.x.bins), 5),
              significant(middle(plane.y, Math.floor(cell / plane.x.bins)), 5),
              formatCount(count),
            ])}
        />
      )}
    </div>
  )
}

const middle = ({ low, high, bins }: Plane['x'], bin: number): number => low + ((bin + 0.5) / bins) * (high - low)

/** All cells of one colour are one path: a plane of 60 x 60 is ten elements. */
function Cells(props: { plane: Plane; scale: Scale }): ReactNode {
  const { plane, scale } = props
  const dark = useComputedColorScheme('light') === 'dark'
  const paths = useMemo(() => {
    const most = Math.max(1, ...plane.counts)
    const found = steps.map(() => [] as string[])
    const width = (plane.x.high - plane.x.low) / plane.x.bins
    const height = (plane.y.high - plane.y.low) / plane.y.bins
    plane.counts.forEach((count, cell) => {
      if (count === 0) return
      // Logarithmic: the few bright cells must not hide the others.
      const place = Math.log1p(count) / Math.log1p(most)
      const step = Math.min(steps.length - 1, Math.floor(place * steps.length))
      const left = scale.x(plane.x.low + (cell % plane.x.bins) * width)
      const top = scale.y(plane.y.low + (Math.floor(cell / plane.x.bins) + 1) * height)
      const right = scale.x(plane.x.low + ((cell % plane.x.bins) + 1) * width)
      const bottom = scale.y(plane.y.low + Math.floor(cell / plane.x.bins) * height)
      found[step]!.push(
        `M${left.toFixed(1)} ${top.toFixed(1)}H${right.toFixed(1)}V${bottom.toFixed(1)}H${left.toFixed(1)}Z`,
      )
    })
    return found.map((parts) => parts.join(''))
  }, [plane, scale])
  // On light paper more is darker, on dark paper more is lighter.
  const colour = (step: number): string => steps[dark ? step : steps.length - 1 - step]!
  return paths.map((path, step) => (path === '' ? null : <path key={step} d={path} fill={colour(step)} />))
}

function Points(props: { sample: Sample | null; scale: Scale }): ReactNode {
  const { sample, scale } = props
  if (sample === null) return null
  const path = sample.points
    .map(({ x, y }) => `M${(scale.x(x) - 1.25).toFixed(1)} ${(scale.y(y) - 1.25).toFixed(1)}h2.5v2.5h-2.5z`)
    .join('')
  return <path d={path} fill={seriesColours[0]} fillOpacity={0.55} />
}

const listedPoints = 200

/** The points as a table, each with a link to its event. */
function Events(props: {
  sample: Sample | null
  eventAddress: (run: number, event: number) => string
  axes: { x: string; y: string }
}): ReactNode {
  const [listed, setListed] = useState(listedPoints)
  const points = props.sample?.points ?? []
  if (points.length === 0) return null
  return (
    <>
      <Numbers
        heads={[t('results.event'), props.axes.x, props.axes.y]}
        rows={points
          .slice(0, listed)
          .map(({ run, event, x, y }) => [
            event === null ? (
              String(run)
            ) : (
              <Link key="event" href={props.eventAddress(run, event)}>{`${run}/${event}`}</Link>
            ),
            significant(x, 5),
            significant(y, 5),
          ])}
      />
      {points.length > listed && (
        <button type="button" className="cy-link" onClick={() => setListed(listed + listedPoints)}>
          {t('results.morePoints')}
        </button>
      )}
    </>
  )
}

function spanOf(values: number[]): { low: number; high: number } {
  if (values.length === 0) return { low: 0, high: 1 }
  const sorted = [...values].sort((a, b) => a - b)
  const low = sorted[Math.floor(0.005 * sorted.length)]!
  const high = sorted[Math.min(sorted.length - 1, Math.floor(0.995 * sorted.length))]!
  const pad = (high - low) * 0.03 || Math.abs(high) * 0.1 || 1
  return { low: low - pad, high: high + pad }
}
