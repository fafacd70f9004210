/** Window and level by numbers, by handles on the histogram, by one press. */
import { Button, NumberInput } from '@mantine/core'
import { useMemo, useRef } from 'react'
import type { KeyboardEvent, PointerEvent, ReactNode } from 'react'
import { t } from '../messages.ts'
import { gradientOf } from './colour-maps.ts'
import type { ColourMapName } from './colour-maps.ts'
import type { Frame } from './frame-levels.ts'
import { drawnHistogram, roundedWindow } from './window-level.ts'
import type { Window } from './window-level.ts'

const bars = 128

export function WindowControl(props: {
  frame: Frame | undefined
  window: Window
  automatic: boolean
  map: ColourMapName
  inverted: boolean
  unit: string
  onChange: (window: Window | undefined) => void
  onAuto: () => void
}): ReactNode {
  const { frame, window } = props
  const histogram = useMemo(
    () => (frame === undefined ? undefined : drawnHistogram(frame.all, window, bars)),
    [frame, window],
  )
  const set = (part: Partial<Window>): void => props.onChange(roundedWindow({ ...window, ...part }))
  return (
    <div className="cy-window">
      {histogram !== undefined && (
        <Bars histogram={histogram} window={window} onChange={(next) => props.onChange(roundedWindow(next))} />
      )}
      <div className="cy-window-map" style={{ background: gradientOf(props.map, props.inverted) }} />
      <div className="cy-row cy-window-fields">
        <NumberInput
          size="xs"
          label={t('window.low', { unit: props.unit })}
          value={frame === undefined ? '' : window.low}
          hideControls
          allowDecimal={false}
          onChange={(value) => typeof value === 'number' && value < window.high && set({ low: value })}
        />
        <NumberInput
          size="xs"
          label={t('window.high', { unit: props.unit })}
          value={frame === undefined ? '' : window.high}
          hideControls
          allowDecimal={false}
          onChange={(value) => typeof value === 'number' && value > window.low && set({ high: value })}
        />
      </div>
      <div className="cy-row">
        <Button size="compact-sm" variant="default" onClick={props.onAuto} title={t('window.autoHint')}>
          {t('window.auto')}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={props.automatic}
          onClick={() => props.onChange(undefined)}
        >
          {t('window.reset')}
        </Button>
      </div>
    </div>
  )
}

function Bars(props: {
  histogram: { from: number; to: number; bars: number[] }
  window: Window
  onChange: (window: Window) => void
}): ReactNode {
  const { histogram, window } = props
  const box = useRef<SVGSVGElement>(null)
  const held = useRef<'low' | 'high' | undefined>(undefined)
  // Logarithmic: the noise peak has a million pixels, a track a few hundred.
  const most = Math.log10(Math.max(...histogram.bars, 1) + 1)
  const place = (value: number): number => ((value - histogram.from) / (histogram.to - histogram.from)) * 100
  const valueAt = (event: PointerEvent): number => {
    const rect = box.current?.getBoundingClientRect()
    if (rect === undefined) return 0
    return histogram.from + ((event.clientX - rect.left) / rect.width) * (histogram.to - histogram.from)
  }
  const change = (end: 'low' | 'high', value: number): void => {
    if (end === 'low' ? value < window.high - 0.5 : value > window.low + 0.5)
      props.onChange({ ...window, [end]: value })
  }
  const handle = (end: 'low' | 'high'): ReactNode => (
    <g
      className="cy-window-handle"
      role="slider"
      tabIndex={0}
      aria-label={t(end === 'low' ? 'window.lowHandle' : 'window.highHandle')}
      aria-valuenow={window[end]}
      aria-valuemin={Math.round(histogram.from)}
      aria-valuemax={Math.round(histogram.to)}
      onKeyDown={(event: KeyboardEvent) => {
        const step =
          event.key === 'ArrowRight' || event.key === 'ArrowUp'
            ? 1
            : event.key === 'ArrowLeft' || event.key === 'ArrowDown'
              ? -1
              : 0
        if (step === 0) return
        event.preventDefault()
        event.stopPropagation()
        change(end, window[end] + step * (event.shiftKey ? 10 : 1))
      }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        held.current = end
      }}
      onPointerMove={(event) => {
        if (held.current === end) change(end, valueAt(event))
      }}
      onPointerUp={() => {
        held.current = undefined
      }}
    >
      <rect x={place(window[end]) - 4} y="0" width="8" height="60" fill="transparent" />
      <rect x={place(window[end]) - 0.4} y="0" width="0.8" height="60" fill="var(--cy-info)" />
    </g>
  )
  return (
    <svg
      ref={box}
      className="cy-window-bars"
      viewBox="0 0 100 60"
      preserveAspectRatio="none"
      role="group"
      aria-label={t('window.histogram')}
    >
      <rect
        x={place(window.low)}
        y="0"
        width={Math.max(place(window.high) - place(window.low), 0)}
        height="60"
        fill="var(--cy-info-surface)"
      />
      {histogram.bars.map((count, index) => {
        const height = (Math.log10(count + 1) / most) * 58
        return (
          <rect
            key={index}
            x={(index / histogram.bars.length) * 100}
            y={60 - height}
            width={100 / histogram.bars.length}
            height={height}
            fill="var(--cy-stale)"
          />
        )
      })}
      {handle('low')}
      {handle('high')}
    </svg>
  )
}
