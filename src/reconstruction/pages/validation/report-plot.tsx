/** A plot of a report as SVG: points with error bars, lines, published values apart; its numbers as a table below. */
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { significant } from '../../../foundation/browser.tsx'
import { drawPlot, plotColours } from '../../contract.ts'
import type { ReportPlot } from '../../contract.ts'
import { t } from '../messages.ts'

const heightPx = 300
const room = { left: 56, right: 12, top: 10, bottom: 40 }

export function PlotOfReport(props: { plot: ReportPlot }): ReactNode {
  const { plot } = props
  const host = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(520)
  const dark = useComputedColorScheme('light') === 'dark'
  useEffect(() => {
    const element = host.current
    if (element === null) return
    const observer = new ResizeObserver(() => setWidth(Math.max(260, Math.round(element.clientWidth))))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const box = {
    left: room.left,
    top: room.top,
    width: width - room.left - room.right,
    height: heightPx - room.top - room.bottom,
  }
  const drawn = drawPlot(plot, box)
  const colours = { text: dark ? '#b4bac2' : '#4a5058', grid: dark ? '#33383f' : '#e3e5e8' }
  const nameOf = ({ label, unit }: ReportPlot['x']): string => (unit === '' ? label : `${label} (${unit})`)
  const bottom = box.top + box.height
  const right = box.left + box.width
  return (
    <figure className="cy-plot">
      <figcaption>{plot.title}</figcaption>
      <div ref={host}>
        <svg width={width} height={heightPx} role="img" aria-label={plot.title} fontSize="11" fill={colours.text}>
          {drawn.xTicks.map(({ at, text }) => (
            <g key={`x${text}`}>
              <line x1={at} x2={at} y1={box.top} y2={bottom} stroke={colours.grid} />
              <text x={at} y={bottom + 14} textAnchor="middle">
                {text}
              </text>
            </g>
          ))}
          {drawn.yTicks.map(({ at, text }) => (
            <g key={`y${text}`}>
              <line x1={box.left} x2={right} y1={at} y2={at} stroke={colours.grid} />
              <text x={box.left - 6} y={at + 4} textAnchor="end">
                {text}
              </text>
            </g>
          ))}
          <rect
            x={box.left}
            y={box.top}
            width={box.width}
            height={box.height}
            fill="none"
            stroke={colours.text}
            strokeOpacity={0.5}
          />
          <text x={box.left + box.width / 2} y={heightPx - 6} textAnchor="middle">
            {nameOf(plot.x)}
          </text>
          <text transform={`translate(12 ${box.top + box.height / 2}) rotate(-90)`} textAnchor="middle">
            {nameOf(plot.y)}
          </text>
          {drawn.series.map((series, index) => (
            <Series key={series.label} of={series} colour={colourOf(index)} />
          ))}
        </svg>
      </div>
      <div className="cy-row cy-small">
        {drawn.series.map(({ label, published, style }, index) => (
          <span key={label} className="cy-state">
            <svg width="14" height="12" aria-hidden="true">
              {style !== 'points' && (
                <line
                  x1="0"
                  x2="14"
                  y1="6"
                  y2="6"
                  stroke={colourOf(index)}
                  strokeWidth="1.5"
                  strokeDasharray={published ? '3 2' : undefined}
                />
              )}
              {style !== 'line' && <Mark x={7} y={6} published={published} colour={colourOf(index)} />}
            </svg>
            {label}
          </span>
        ))}
      </div>
      <PlotNumbers plot={plot} />
    </figure>
  )
}

const colourOf = (index: number): string => plotColours[index % plotColours.length] ?? 'currentColor'

function Series(props: { of: ReturnType<typeof drawPlot>['series'][number]; colour: string }): ReactNode {
  const { style, points, published } = props.of
  return (
    <g>
      {style !== 'points' && (
        <polyline
          points={points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')}
          fill="none"
          stroke={props.colour}
          strokeWidth="1.5"
          strokeDasharray={published ? '4 3' : undefined}
        />
      )}
      {style !== 'line' &&
        points.map(({ x, y, low, high }, index) => (
          <g key={index}>
            {low !== undefined && high !== undefined && (
              <line x1={x} x2={x} y1={low} y2={high} stroke={props.colour} strokeWidth="1.2" />
            )}
            <Mark x={x} y={y} published={published} colour={props.colour} />
          </g>
        ))}
    </g>
  )
}

/** Ours are discs, published values open diamonds. */
function Mark(props: { x: number; y: number; published: boolean; colour: string }): ReactNode {
  const { x, y, published, colour } = props
  if (!published) return <circle cx={x} cy={y} r="2.8" fill={colour} />
  return (
    <path
      d={`M${x} ${y - 4.2}L${x + 4.2} ${y}L${x} ${y + 4.2}L${x - 4.2} ${y}Z`}
      fill="none"
      stroke={colour}
      strokeWidth="1.5"
    />
  )
}

function PlotNumbers(props: { plot: ReportPlot }): ReactNode {
  const { x, y, series } = props.plot
  return (
    <details className="cy-plot-table">
      <summary>{t('validation.plotTable')}</summary>
      <div tabIndex={0} role="region" aria-label={t('validation.plotTable')}>
        <table>
          <thead>
            <tr>
              {[t('validation.series'), x.label, y.label, t('validation.low'), t('validation.high')].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {series.flatMap(({ label, points }) =>
              points.map((point, index) => (
                <tr key={`${label} ${index}`}>
                  <td>{label}</td>
                  <td>{significant(point.x, 4)}</td>
                  <td>{significant(point.y, 4)}</td>
                  <td>{point.low === undefined ? '' : significant(point.low, 4)}</td>
                  <td>{point.high === undefined ? '' : significant(point.high, 4)}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
    </details>
  )
}
