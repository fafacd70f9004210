/** The line under the image: true values under the cursor, in every view. */
import type { ReactNode } from 'react'
import { pedestalScale } from '../../contract.ts'
import type { FrameViewName } from '../../contract.ts'
import { t } from '../messages.ts'
import { lightAt, pixelAt, rawAt } from './frame-levels.ts'
import type { Frame } from './frame-levels.ts'
import type { Pedestal } from './frame-store.ts'
import type { Hover } from './image-view.tsx'
import type { ValueAt } from './measure.ts'

/** Mean of the pedestal in counts, as finely as it was sent (1/16); undefined where no map fits. */
export function pedestalAt(
  frame: Frame,
  pedestal: Pedestal | null | undefined,
  column: number,
  row: number,
): number | undefined {
  if (pedestal === null || pedestal === undefined) return undefined
  if (pedestal.width !== frame.width || pedestal.height !== frame.height) return undefined
  const stored = pedestal.pedestal[row * frame.width + column]
  return stored === undefined ? undefined : stored / pedestalScale
}

/**
 * What measures read: true values of the view, as finely as they are known. Masked pixels count as nothing when hot
 * pixels are masked.
 */
export function valuesOf(
  frame: Frame | undefined,
  pedestal: Pedestal | null | undefined,
  view: FrameViewName,
): ValueAt | undefined {
  if (frame === undefined || frame.coarse) return undefined
  if (view !== 'raw' && (pedestal === null || pedestal === undefined)) return undefined
  return (column, row) => {
    if (column < 0 || row < 0 || column >= frame.width || row >= frame.height) return undefined
    if (frame.masked.has(row * frame.width + column)) return undefined
    const raw = rawAt(frame, column, row)
    if (view === 'raw' || raw === undefined) return raw
    const mean = pedestalAt(frame, pedestal, column, row)
    if (mean === undefined) return undefined
    return view === 'calibrated' ? (raw - mean) / shareAt(frame, pedestal, column, row) : raw - mean
  }
}

/** Share of light in the cell of 4 x 4 pixels. */
function shareAt(frame: Frame, pedestal: Pedestal | null | undefined, column: number, row: number): number {
  if (pedestal === null || pedestal === undefined) return 1
  const middle = (value: number, size: number): number => Math.floor(value / 4) * 4 + 2 - size / 2
  return lightAt(pedestal.light, middle(column, frame.width), middle(row, frame.height))
}

export function CursorLine(props: {
  hover: Hover | undefined
  frame: Frame | undefined
  pedestal: Pedestal | null | undefined
}): ReactNode {
  const { hover, frame, pedestal } = props
  if (hover === undefined || frame === undefined) return t('image.hover')
  const { x, y } = hover
  const raw = rawAt(frame, x, y)
  if (raw === undefined) {
    const about = pixelAt(frame, x, y)
    return about === undefined ? t('image.hover') : t('image.coarse', { x, y, value: about })
  }
  const parts = [t('image.pixel', { x, y, value: raw })]
  const mean = pedestalAt(frame, pedestal, x, y)
  if (mean !== undefined) {
    const above = raw - mean
    const sign = above < 0 ? '−' : '+'
    parts.push(t('image.pedestal', { mean: mean.toFixed(1), above: `${sign}${Math.abs(above).toFixed(1)}` }))
    if (frame.view === 'calibrated') {
      const corrected = above / shareAt(frame, pedestal, x, y)
      parts.push(t('image.corrected', { value: corrected.toFixed(1) }))
    }
  }
  if (frame.masked.has(y * frame.width + x)) parts.push(t('image.masked'))
  return parts.join(', ')
}
