/**
 * The frame of a plot on this page: axes as SVG, a range chosen by dragging (and by fields elsewhere), its numbers as a
 * table. SVG, so that it can be saved as it stands, printed and styled by the colour scheme.
 */
import { useEffect, useRef, useState } from 'react'
import type { PointerEvent, ReactNode, RefObject } from 'react'
import { t } from '../messages.ts'
import { linearTicks, tickText } from './ticks.ts'

export interface Scale {
  /** Pixels of the SVG. */
  x(value: number): number
  y(value: number): number
  left: number
  right: number
  top: number
  bottom: number
}
export interface AxisLimits {
  low: number
  high: number
  label: string
  ticks?: number[] | undefined
  text?: ((value: number) => string) | undefined
  /** From a value to its place between `low` and `high`, for logarithms; default the value itself. */
  place?: ((value: number) => number) | undefined
}
export interface Brushed {
  x: [low: number, high: number]
  y: [low: number, high: number]
}

const margin = { left: 58, right: 26, top: 10, bottom: 40 }

export function useWidth(): [RefObject<HTMLDivElement | null>, number] {
  const host = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(640)
  useEffect(() => {
    const element = host.current
    if (element === null) return
    const measure = (): void => setWidth(Math.max(240, Math.round(element.clientWidth)))
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [host, width]
}

export function Chart(props: {
  title: string
  x: AxisLimits
  y: AxisLimits
  heightPx: number
  /** Dragging chooses a range of x, or a rectangle. */
  brush?: 'x' | 'xy' | undefined
  onBrush?: ((range: Brushed) => void) | undefined
  busy?: boolean
  /** For saving the picture. */
  svg?: RefObject<SVGSVGElement | null>
  children: (scale: Scale) => ReactNode
}): ReactNode {
  const [host, width] = useWidth()
  const clip = useRef(`clip-${Math.random().toString(36).slice(2)}`)
  const [drag, setDrag] = useState<{ from: [number, number]; to: [number, number] } | undefined>(undefined)
  const { x, y, heightPx } = props
  const left = margin.left
  const right = width - margin.right
  const top = margin.top
  const bottom = heightPx - margin.bottom
  const placeX = x.place ?? ((value: number) => value)
  const placeY = y.place ?? ((value: number) => value)
  const scale: Scale = {
    x: (value) => left + ((placeX(value) - x.low) / (x.high - x.low)) * (right - left),
    y: (value) => bottom - ((placeY(value) - y.low) / (y.high - y.low)) * (bottom - top),
    left,
    right,
    top,
    bottom,
  }
  const valueAt = (px: number, py: number): [number, number] => [
    x.low + ((px - left) / (right - left)) * (x.high - x.low),
    y.low + ((bottom - py) / (bottom - top)) * (y.high - y.low),
  ]
  const pointOf = (event: PointerEvent<SVGElement>): [number, number] => {
    const box = event.currentTarget.ownerSVGElement!.getBoundingClientRect()
    return [
      Math.min(right, Math.max(left, event.clientX - box.left)),
      Math.min(bottom, Math.max(top, event.clientY - box.top)),
    ]
  }
  function finish(): void {
    if (drag === undefined) return
    setDrag(undefined)
    const [a, b] = [drag.from, drag.to]
    if (Math.abs(a[0] - b[0]) < 4 || (props.brush === 'xy' && Math.abs(a[1] - b[1]) < 4)) return
    const [one, other] = [valueAt(...a), valueAt(...b)]
    const ordered = (p: number, q: number): [number, number] => (p < q ? [p, q] : [q, p])
    props.onBrush?.({ x: ordered(one[0], other[0]), y: ordered(one[1], other[1]) })
  }
  const xTicks = x.ticks ?? linearTicks(x.low, x.high, width / 90)
  const yTicks = y.ticks ?? linearTicks(y.low, y.high, heightPx / 45)
  const canBrush = props.brush !== undefined && props.onBrush !== undefined
  return (
    <div ref={host} className={`cy-chart${props.busy === true ? ' cy-chart-busy' : ''}`}>
      <svg
        ref={props.svg}
        width={width}
        height={heightPx}
        viewBox={`0 0 ${width} ${heightPx}`}
        role="img"
        aria-label={props.title}
      >
        <defs>
          <clipPath id={clip.current}>
            <rect x={left} y={top} width={right - left} height={bottom - top} />
          </clipPath>
        </defs>
        <g className="cy-chart-grid">
          {xTicks.map((tick) => (
            <line key={tick} x1={scale.x(tick)} x2={scale.x(tick)} y1={top} y2={bottom} />
          ))}
          {yTicks.map((tick) => (
            <line key={tick} x1={left} x2={right} y1={scale.y(tick)} y2={scale.y(tick)} />
          ))}
        </g>
        <g clipPath={`url(#${clip.current})`}>{props.children(scale)}</g>
        <rect className="cy-chart-frame" x={left} y={top} width={right - left} height={bottom - top} />
        <g className="cy-chart-text">
          {xTicks.map((tick) => (
            <text key={tick} x={scale.x(tick)} y={bottom + 15} textAnchor="middle">
              {(x.text ?? tickText)(tick)}
            </text>
          ))}
          {yTicks.map((tick) => (
            <text key={tick} x={left - 6} y={scale.y(tick) + 4} textAnchor="end">
              {(y.text ?? tickText)(tick)}
            </text>
          ))}
          <text x={right} y={heightPx - 8} textAnchor="end">
            {x.label}
          </text>
          <text x={12} y={(top + bottom) / 2} textAnchor="middle" transform={`rotate(-90 12 ${(top + bottom) / 2})`}>
            {y.label}
          </text>
        </g>
        {drag !== undefined && (
          <rect
            className="cy-chart-brush"
            x={Math.min(drag.from[0], drag.to[0])}
            width={Math.abs(drag.from[0] - drag.to[0])}
            y={props.brush === 'x' ? top : Math.min(drag.from[1], drag.to[1])}
            height={props.brush === 'x' ? bottom - top : Math.abs(drag.from[1] - drag.to[1])}
          />
        )}
        {canBrush && (
          <rect
            className="cy-chart-catch"
            x={left}
            y={top}
            width={right - left}
            height={bottom - top}
            onPointerDown={(event) => {
              if (event.button !== 0) return
              event.currentTarget.setPointerCapture(event.pointerId)
              setDrag({ from: pointOf(event), to: pointOf(event) })
            }}
            onPointerMove={(event) => {
              if (drag !== undefined) setDrag({ ...drag, to: pointOf(event) })
            }}
            onPointerUp={finish}
            onPointerCancel={() => setDrag(undefined)}
          />
        )}
      </svg>
    </div>
  )
}

/** The numbers of a plot for those who cannot see it, and for copying. */
export function Numbers(props: { heads: string[]; rows: ReactNode[][] }): ReactNode {
  return (
    <details className="cy-plot-table">
      <summary>{t('results.numbers')}</summary>
      <div tabIndex={0} role="region" aria-label={t('results.numbers')}>
        <table>
          <thead>
            <tr>
              {props.heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {props.rows.slice(0, 1000).map((row, at) => (
              <tr key={at}>
                {row.map((cell, index) => (
                  <td key={index}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}
