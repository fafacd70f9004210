/** Small plots on uPlot, following the colour scheme, each with its numbers as a table for those who cannot see it. */
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useRef } from 'react'
import type { ReactNode } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { formatCount, significant } from './browser/format.ts'
import { useZone } from './browser/time.tsx'
import { t } from './browser/words.ts'

export interface Histogram {
  low: number
  high: number
  counts: readonly number[]
}

interface Frame {
  title: string
  /** The title stands above already; it is then only told to those who cannot see. */
  untitled?: boolean
  heightPx?: number
}

const ink = { light: { text: '#4a5058', grid: '#e3e5e8' }, dark: { text: '#b4bac2', grid: '#33383f' } }
/** Eight hues that stay apart for colour-blind eyes (after Okabe and Ito), light and dark enough for both schemes. */
export const seriesColours = ['#2f7fc1', '#d55e00', '#009e73', '#cc79a7', '#a58a00', '#56a3d9', '#7a6ff0', '#8c8c8c']

function useUPlot(
  options: (width: number) => uPlot.Options,
  data: uPlot.AlignedData,
  depends: unknown[],
): React.RefObject<HTMLDivElement | null> {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const newest = useRef(data)
  newest.current = data
  useEffect(() => {
    const element = host.current
    if (element === null) return
    plot.current = new uPlot(options(Math.max(element.clientWidth, 120)), newest.current, element)
    const observer = new ResizeObserver(() => {
      plot.current?.setSize({ width: Math.max(element.clientWidth, 120), height: plot.current.height })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.current?.destroy()
      plot.current = undefined
    }
    // `depends` names what the options are made of; new data alone does not rebuild the plot.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, depends)
  useEffect(() => {
    if (plot.current !== undefined && plot.current.data !== data) plot.current.setData(data)
  }, [data])
  return host
}

function useInk(): { text: string; grid: string } {
  return ink[useComputedColorScheme('light')]
}

/** Room for the longest number of the axis. */
function widthOf(_plot: uPlot, values: string[] | null): number {
  return 14 + Math.max(...(values ?? []).map((text) => text.length), 2) * 6.6
}

function axis(colours: { text: string; grid: string }, label: string | undefined, size: uPlot.Axis.Size): uPlot.Axis {
  return {
    stroke: colours.text,
    grid: { stroke: colours.grid, width: 1 },
    ticks: { stroke: colours.grid, width: 1, size: 4 },
    font: '11px system-ui, sans-serif',
    labelFont: '11px system-ui, sans-serif',
    size,
    gap: 3,
    ...(label === undefined ? {} : { label, labelSize: 16, labelGap: 0 }),
  }
}

/** Bars of equal width; `logarithmic` counts for spectra over decades. */
export function HistogramPlot(props: Frame & { of: Histogram; xLabel: string; colour?: string }): ReactNode {
  const colours = useInk()
  const { low, high, counts } = props.of
  const width = (high - low) / Math.max(counts.length, 1)
  // Drawn as steps: each bin's left edge carries its count, the last edge repeats it so that the bar has an end.
  const edges = [...counts.map((_, index) => low + index * width), high]
  const heights = [...counts, counts.at(-1) ?? 0]
  const colour = props.colour ?? seriesColours[0] ?? 'currentColor'
  const host = useUPlot(
    (widthPx) => ({
      width: widthPx,
      height: props.heightPx ?? 150,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [low, high] },
        y: { range: (_, __, top) => [0, Math.max(top, 1) * 1.08] },
      },
      axes: [
        { ...axis(colours, props.xLabel, 22), values: (_, ticks) => ticks.map(tickText) },
        {
          ...axis(colours, undefined, widthOf),
          values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? formatCount(tick) : '')),
        },
      ],
      series: [
        {},
        {
          stroke: colour,
          fill: `${colour}40`,
          width: 1.25,
          points: { show: false },
          paths: uPlot.paths.stepped?.({ align: 1 }) ?? (() => null),
        },
      ],
    }),
    [edges, heights],
    [colours, low, high, props.xLabel, props.heightPx, colour],
  )
  if (counts.every((count) => count === 0)) return <p className="cy-quiet">{t('plot.none')}</p>
  return (
    <figure className="cy-plot">
      <figcaption className={props.untitled === true ? 'cy-visually-hidden' : undefined}>{props.title}</figcaption>
      <div ref={host} role="img" aria-label={props.title} />
      <PlotTable
        heads={[`${props.xLabel} ${t('plot.from')}`, t('plot.to'), t('plot.count')]}
        rows={counts.map((count, index) => [
          significant(low + index * width, 4),
          significant(low + (index + 1) * width, 4),
          formatCount(count),
        ])}
      />
    </figure>
  )
}

export interface Line {
  label: string
  values: readonly (number | null)[]
  colour?: string
}

/** Lines or points over run numbers or times (`xIsTime`: milliseconds UTC). */
export function LinePlot(
  props: Frame & {
    x: readonly number[]
    lines: Line[]
    xLabel: string
    xIsTime?: boolean
    pointsOnly?: boolean
    steps?: boolean
    yFromZero?: boolean
    onPick?: (index: number) => void
  },
): ReactNode {
  const colours = useInk()
  const zone = useZone()
  const xIsTime = props.xIsTime === true
  const x = xIsTime ? props.x.map((atMs) => atMs / 1000) : [...props.x]
  const pick = useRef(props.onPick)
  pick.current = props.onPick
  const names = props.lines.map((line) => line.label).join('|')
  const host = useUPlot(
    (widthPx) => ({
      width: widthPx,
      height: props.heightPx ?? 160,
      legend: { show: props.lines.length > 1 },
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      ...(zone === 'utc' ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') } : {}),
      scales: {
        x: {
          time: xIsTime,
          ...(xIsTime ? {} : { range: (_, from, to) => (from === to ? [from - 1, to + 1] : [from - 0.5, to + 0.5]) }),
        },
        y: { range: (_, bottom, top) => roundedRange(bottom, top, props.yFromZero === true) },
      },
      axes: [
        {
          ...axis(colours, props.xLabel, 22),
          ...(xIsTime
            ? {}
            : {
                values: (_: uPlot, ticks: number[]) => ticks.map(tickText),
                incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000],
              }),
        },
        { ...axis(colours, undefined, widthOf), values: (_, ticks) => ticks.map(tickText) },
      ],
      series: [
        {},
        ...props.lines.map((line, index): uPlot.Series => {
          const stroke = line.colour ?? seriesColours[index % seriesColours.length] ?? 'currentColor'
          return {
            label: line.label,
            stroke,
            width: props.pointsOnly === true ? 0 : 1.5,
            points: { show: props.pointsOnly === true || x.length < 60, size: 6, fill: stroke },
            ...(props.steps === true && uPlot.paths.stepped !== undefined
              ? { paths: uPlot.paths.stepped({ align: 1 }) }
              : {}),
          }
        }),
      ],
      hooks: {
        ready: [
          (plot) => {
            plot.over.addEventListener('click', () => {
              if (typeof plot.cursor.idx === 'number') pick.current?.(plot.cursor.idx)
            })
          },
        ],
      },
    }),
    [x, ...props.lines.map((line) => [...line.values])] as uPlot.AlignedData,
    [colours, zone, names, props.xLabel, props.heightPx, x.length < 60],
  )
  if (x.length === 0) return <p className="cy-quiet">{t('plot.none')}</p>
  return (
    <figure className="cy-plot">
      <figcaption className={props.untitled === true ? 'cy-visually-hidden' : undefined}>{props.title}</figcaption>
      <div
        ref={host}
        role="img"
        aria-label={props.title}
        className={props.onPick === undefined ? undefined : 'cy-pickable'}
      />
      <PlotTable
        heads={[props.xLabel, ...props.lines.map((line) => line.label)]}
        rows={props.x.map((value, index) => [
          xIsTime ? new Date(value).toISOString() : String(value),
          ...props.lines.map((line) =>
            line.values[index] === null || line.values[index] === undefined ? '–' : significant(line.values[index], 5),
          ),
        ])}
      />
    </figure>
  )
}

/** A tick as short as it can be: 0.5, 200, 12 000. */
function tickText(tick: number): string {
  return Number.isInteger(tick) && Math.abs(tick) < 1e7 ? formatCount(tick) : String(Number(tick.toPrecision(4)))
}

function roundedRange(bottom: number, top: number, fromZero: boolean): [number, number] {
  if (!Number.isFinite(bottom) || !Number.isFinite(top)) return [0, 1]
  const low = fromZero ? Math.min(0, bottom) : bottom
  const pad = (top - low) * 0.08 || Math.abs(top) * 0.1 || 1
  return [fromZero && low === 0 ? 0 : low - pad, top + pad]
}

function PlotTable(props: { heads: string[]; rows: string[][] }): ReactNode {
  return (
    <details className="cy-plot-table">
      <summary>{t('plot.table')}</summary>
      <div tabIndex={0} role="region" aria-label={t('plot.table')}>
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
            {props.rows.slice(-500).map((row) => (
              <tr key={row[0]}>
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
