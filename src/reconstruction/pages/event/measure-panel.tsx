/** Measures in numbers: points that can be typed, statistics, the profile as a plot and as a file. */
import { ActionIcon, Button, NumberInput } from '@mantine/core'
import { useMemo, useState } from 'react'
import type { ReactNode, RefObject } from 'react'
import { formatCount, significant } from '../../../foundation/browser.tsx'
import { LinePlot } from '../../../foundation/browser-plot.tsx'
import { t } from '../messages.ts'
import { saveText } from './export-image.ts'
import type { ImageHandle, Tool } from './image-view.tsx'
import {
  distanceOf,
  lineProfile,
  measureKinds,
  mmPerPxOf,
  profileCsv,
  regionStatistics,
  startPoints,
} from './measure.ts'
import type { MeasureKind, Points, ValueAt } from './measure.ts'
import type { ViewState, ViewStore } from './view-state.ts'

export function MeasurePanel(props: {
  store: ViewStore
  view: ViewState
  tool: Tool
  onTool: (tool: Tool) => void
  image: { width: number; height: number } | undefined
  /** Value of the view under a pixel; undefined while the pixels are not there. */
  valueAt: ValueAt | undefined
  unit: string
  /** For names of files. */
  reference: string
  handle: RefObject<ImageHandle | null>
}): ReactNode {
  const { store, view, image } = props
  const change = (kind: MeasureKind, points: Points | undefined): void => {
    const { [kind]: _gone, ...others } = store.get().measures
    store.set({ measures: points === undefined ? others : { ...others, [kind]: points } })
  }
  const begin = (kind: MeasureKind): void => {
    props.onTool(props.tool === kind ? 'pan' : kind)
    const at = props.handle.current?.placement()
    if (view.measures[kind] !== undefined || at === undefined || props.tool === kind) return
    change(kind, startPoints(kind, at, (props.handle.current?.size().width ?? 600) / at.zoom))
  }
  return (
    <section aria-label={t('measure.title')} className="cy-measures">
      <div className="cy-row" role="group" aria-label={t('measure.title')}>
        {measureKinds.map((kind) => (
          <Button
            key={kind}
            size="compact-xs"
            variant={props.tool === kind ? 'filled' : 'default'}
            aria-pressed={props.tool === kind}
            title={t(`measure.${kind}Hint`)}
            onClick={() => begin(kind)}
          >
            {t(`measure.${kind}`)}
          </Button>
        ))}
      </div>
      {measureKinds.map((kind) => {
        const points = view.measures[kind]
        if (points === undefined) return null
        return (
          <div key={kind} className="cy-measure">
            <div className="cy-row">
              <strong>{t(`measure.${kind}`)}</strong>
              <ActionIcon
                size="sm"
                variant="subtle"
                color="gray"
                aria-label={t('measure.remove', { kind: t(`measure.${kind}`) })}
                onClick={() => change(kind, undefined)}
              >
                ✕
              </ActionIcon>
            </div>
            <PointFields kind={kind} points={points} onChange={(next) => change(kind, next)} />
            {image !== undefined && props.valueAt !== undefined && (
              <Measured
                kind={kind}
                points={points}
                image={image}
                valueAt={props.valueAt}
                unit={props.unit}
                reference={props.reference}
              />
            )}
          </div>
        )
      })}
    </section>
  )
}

function PointFields(props: { kind: MeasureKind; points: Points; onChange: (points: Points) => void }): ReactNode {
  const { points } = props
  const field = (name: keyof Points, label: string): ReactNode => (
    <NumberInput
      key={name}
      size="xs"
      hideControls
      decimalScale={1}
      aria-label={t('measure.field', { kind: t(`measure.${props.kind}`), label })}
      leftSection={<span className="cy-field-mark">{label}</span>}
      leftSectionWidth={22}
      value={points[name]}
      onChange={(value) => typeof value === 'number' && props.onChange({ ...points, [name]: value })}
    />
  )
  return (
    <div className="cy-point-fields">
      {[field('x0', 'x₀'), field('y0', 'y₀'), field('x1', 'x₁'), field('y1', 'y₁')]}
    </div>
  )
}

function Measured(props: {
  kind: MeasureKind
  points: Points
  image: { width: number; height: number }
  valueAt: ValueAt
  unit: string
  reference: string
}): ReactNode {
  if (props.kind === 'ruler') {
    const { px, mm, degrees } = distanceOf(props.points, mmPerPxOf(props.image))
    return (
      <p className="cy-number" role="status">
        {t('measure.distance', { px: px.toFixed(1), mm: mm.toFixed(2) })} · {degrees.toFixed(1)}°
      </p>
    )
  }
  if (props.kind === 'line') return <LineProfile {...props} />
  return <Region {...props} kind={props.kind} />
}

function Region(props: {
  kind: 'box' | 'ellipse'
  points: Points
  image: { width: number; height: number }
  valueAt: ValueAt
  unit: string
}): ReactNode {
  const { kind, points, image, valueAt, unit } = props
  const found = useMemo(() => regionStatistics(kind, points, image, valueAt), [kind, points, image, valueAt])
  if (found === undefined) return <p className="cy-quiet">{t('measure.outside')}</p>
  const rows: [string, string][] = [
    [t('measure.pixels'), formatCount(found.pixels)],
    [t('measure.mean', { unit }), significant(found.mean, 6)],
    [t('measure.sigma', { unit }), significant(found.sigma, 5)],
    [t('measure.sum', { unit }), formatCount(Math.round(found.sum))],
    [t('measure.range', { unit }), `${significant(found.least, 5)} … ${significant(found.most, 5)}`],
  ]
  return (
    <table className="cy-table cy-variables" aria-label={t(`measure.${kind}`)}>
      <tbody>
        {rows.map(([label, value]) => (
          <tr key={label}>
            <th scope="row">{label}</th>
            <td className="cy-right cy-number">{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function LineProfile(props: { points: Points; valueAt: ValueAt; unit: string; reference: string }): ReactNode {
  const { points, valueAt, unit } = props
  const [width, setWidth] = useState(1)
  const profile = useMemo(() => lineProfile(points, width, valueAt), [points, width, valueAt])
  return (
    <>
      <LinePlot
        title={t('measure.lineTitle')}
        untitled
        heightPx={130}
        x={profile.map((point) => Number(point.distancePx.toFixed(2)))}
        xLabel={t('measure.along')}
        lines={[{ label: unit, values: profile.map(({ value }) => value) }]}
      />
      <div className="cy-row">
        <NumberInput
          size="xs"
          className="cy-number-box"
          aria-label={t('measure.width')}
          leftSection={<span className="cy-field-mark">⇕</span>}
          suffix=" px"
          min={1}
          max={99}
          value={width}
          onChange={(value) => typeof value === 'number' && setWidth(value)}
        />
        <Button
          size="compact-sm"
          variant="default"
          onClick={() =>
            saveText(profileCsv(profile, unit.replaceAll(/\W+/g, '_').toLowerCase()), `${props.reference}-profile.csv`)
          }
        >
          {t('measure.csv')}
        </Button>
      </div>
    </>
  )
}
