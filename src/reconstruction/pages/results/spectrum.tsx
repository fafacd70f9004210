/** The histogram with its fit, residuals, the second selection and the difference; dragging takes a range as a cut. */
import { useRef } from 'react'
import type { ReactNode } from 'react'
import { formatCount, significant } from '../../../foundation/browser.tsx'
import { seriesColours } from '../../../foundation/browser-plot.tsx'
import type { FilledHistogram, PeakFit, View } from '../../contract.ts'
import { t } from '../messages.ts'
import { Chart, Numbers } from './chart.tsx'
import type { Scale } from './chart.tsx'
import { SaveImage } from './save-image.tsx'
import { decadeTicks, linearTicks, measured, tickText } from './ticks.ts'

const colours = {
  first: seriesColours[0]!,
  other: seriesColours[1]!,
  fit: seriesColours[1]!,
  background: seriesColours[2]!,
}

/** With more bins error bars are a smear. */
const mostBars = 120

export function labelOf(quantity: string, unit: string): string {
  return unit === '' ? quantity : `${quantity} [${unit}]`
}

export function Spectrum(props: {
  view: View
  log: boolean
  busy: boolean
  caption: string
  onRange: (low: number, high: number) => void
}): ReactNode {
  const { histogram, fit, comparison } = props.view
  const svg = useRef<SVGSVGElement>(null)
  const { low, high, counts } = histogram
  const label = labelOf(histogram.quantity, histogram.unit)
  const scaled = comparison === null ? [] : comparison.other.counts.map((count) => count * comparison.scale)
  const reach = counts.length <= mostBars ? counts.map((count) => count + Math.sqrt(count)) : counts
  const top = Math.max(...reach, ...scaled, ...(fit?.fitted ?? []), 1)
  const logarithm = (value: number): number => Math.log10(Math.max(value, 0.3))
  const y = props.log
    ? { low: logarithm(0.3), high: logarithm(top * 1.6), ticks: decadeTicks(top), text: tickText, place: logarithm }
    : { low: 0, high: top * 1.08 }
  const title = t('results.histogramOf', { quantity: label })
  return (
    <div>
      <Chart
        title={title}
        svg={svg}
        x={{ low, high, label }}
        y={{ ...y, label: t('results.perBin', { width: significant((high - low) / counts.length, 3) }) }}
        heightPx={320}
        brush="x"
        busy={props.busy}
        onBrush={({ x }) => props.onRange(...x)}
      >
        {(scale) => (
          <>
            <path
              d={steps(counts, histogram, scale)}
              fill={`${colours.first}33`}
              stroke={colours.first}
              strokeWidth={1.4}
            />
            {counts.length <= mostBars && (
              <path d={errorBars(counts, histogram, scale)} stroke={colours.first} strokeWidth={1} />
            )}
            {comparison !== null && (
              <path
                d={steps(scaled, histogram, scale)}
                fill="none"
                stroke={colours.other}
                strokeWidth={1.6}
                strokeDasharray="5 3"
              />
            )}
            {fit !== null && fit.fitted.length > 0 && (
              <>
                <path
                  d={curve(fit.background, histogram, scale)}
                  fill="none"
                  stroke={colours.background}
                  strokeWidth={1.4}
                  strokeDasharray="2 3"
                />
                <path d={curve(fit.fitted, histogram, scale)} fill="none" stroke={colours.fit} strokeWidth={2} />
              </>
            )}
          </>
        )}
      </Chart>
      {fit !== null && fit.residuals.length > 0 && <Residuals histogram={histogram} fit={fit} label={label} />}
      {comparison !== null && (
        <Below
          title={t('results.difference')}
          label={label}
          histogram={histogram}
          values={comparison.difference.map(({ value }) => value)}
          errors={comparison.difference.map(({ error }) => error)}
          yLabel={t('results.differenceShort')}
        />
      )}
      <Legend view={props.view} />
      <div className="cy-row">
        <SaveImage of={svg} name={`results-${histogram.quantity.replaceAll(/\W+/g, '-')}`} caption={props.caption} />
      </div>
      <Numbers
        heads={[
          `${label} ${t('results.from')}`,
          t('results.to'),
          t('results.count'),
          ...(fit !== null && fit.fitted.length > 0 ? [t('results.fitted'), t('results.residual')] : []),
          ...(comparison === null ? [] : [t('results.other'), t('results.difference')]),
        ]}
        rows={counts.map((count, bin) => {
          const width = (high - low) / counts.length
          return [
            significant(low + bin * width, 6),
            significant(low + (bin + 1) * width, 6),
            formatCount(count),
            ...(fit !== null && fit.fitted.length > 0
              ? [significant(fit.fitted[bin] ?? 0, 4), significant(fit.residuals[bin] ?? 0, 3)]
              : []),
            ...(comparison === null
              ? []
              : [significant(scaled[bin] ?? 0, 4), significant(comparison.difference[bin]?.value ?? 0, 4)]),
          ]
        })}
      />
    </div>
  )
}

function Legend(props: { view: View }): ReactNode {
  const { comparison, fit, histogram } = props.view
  const { mean, rms, underflow, overflow, invalid } = histogram
  const parts = [
    mean === null
      ? ''
      : t('results.mean', { mean: significant(mean, 5), rms: rms === null ? '–' : significant(rms, 4) }),
    underflow > 0 ? t('results.below', { count: formatCount(underflow) }) : '',
    overflow > 0 ? t('results.above', { count: formatCount(overflow) }) : '',
    invalid > 0 ? t('results.notNumbers', { count: formatCount(invalid) }) : '',
  ].filter((part) => part !== '')
  return (
    <>
      {comparison !== null && (
        <ul className="cy-chart-legend">
          <li>
            <i style={{ borderColor: colours.first }} /> {t('results.first')}
          </li>
          <li>
            <i style={{ borderColor: colours.other, borderStyle: 'dashed' }} />{' '}
            {t('results.otherScaled', { scale: significant(comparison.scale, 4), says: comparison.otherFlow.says })}
          </li>
          <li>
            {comparison.probability === null
              ? t('results.nothingToCompare')
              : t('results.chi2', {
                  chi2: significant(comparison.chi2, 4),
                  ndf: comparison.ndf,
                  probability: significant(comparison.probability, 3),
                })}
          </li>
        </ul>
      )}
      <p className="cy-quiet cy-small">{parts.join(' · ')}</p>
      {fit !== null && <FitSays fit={fit} />}
    </>
  )
}

/** The fit in words: what failed is said as loudly as what was found. */
export function FitSays(props: { fit: PeakFit }): ReactNode {
  const { fit } = props
  if (fit.state === 'failed')
    return (
      <div className="cy-problem" role="status">
        <strong>{t('results.fitFailed')}</strong>
        <p>{fit.reason}</p>
      </div>
    )
  return (
    <div className="cy-fit" role="region" tabIndex={0} aria-label={t('results.fitOf')}>
      {fit.state === 'poor' && <p className="cy-tone-warning">{t('results.fitPoor', { reason: fit.reason ?? '' })}</p>}
      <table className="cy-table cy-narrow">
        <caption className="cy-visually-hidden">{t('results.fitOf')}</caption>
        <tbody>
          {fit.parameters.map(({ name, value, error, unit }) => (
            <tr key={name}>
              <th scope="row">{t(`results.fit.${name as 'mean'}`)}</th>
              <td className="cy-right">{measured(value, error)}</td>
              <td>{unit}</td>
            </tr>
          ))}
          {fit.resolution !== null && (
            <tr>
              <th scope="row">{t('results.resolution')}</th>
              <td className="cy-right">{measured(100 * fit.resolution.value, 100 * fit.resolution.error)}</td>
              <td>%</td>
            </tr>
          )}
          <tr>
            <th scope="row">χ² / ndf</th>
            <td className="cy-right">{`${significant(fit.chi2 ?? 0, 4)} / ${fit.ndf ?? 0}`}</td>
            <td>{fit.probability === null ? '' : `p = ${significant(fit.probability, 3)}`}</td>
          </tr>
        </tbody>
      </table>
    </div>
  )
}

function Residuals(props: { histogram: FilledHistogram; fit: PeakFit; label: string }): ReactNode {
  return (
    <Below
      title={t('results.residuals')}
      label={props.label}
      histogram={props.histogram}
      values={props.fit.residuals}
      errors={props.fit.residuals.map(() => 1)}
      yLabel={t('results.residualShort')}
    />
  )
}

/** A narrow plot under the histogram, in its bins. */
function Below(props: {
  title: string
  label: string
  histogram: FilledHistogram
  values: number[]
  errors: number[]
  yLabel: string
}): ReactNode {
  const { histogram, values, errors } = props
  const reach = Math.max(...values.map((value, bin) => Math.abs(value) + errors[bin]!), 1) * 1.05
  const width = (histogram.high - histogram.low) / values.length
  return (
    <Chart
      title={props.title}
      x={{ low: histogram.low, high: histogram.high, label: props.label }}
      y={{ low: -reach, high: reach, label: props.yLabel, ticks: linearTicks(-reach, reach, 4) }}
      heightPx={130}
    >
      {(scale) => (
        <>
          <line className="cy-chart-zero" x1={scale.left} x2={scale.right} y1={scale.y(0)} y2={scale.y(0)} />
          {values.map((value, bin) => {
            const x = scale.x(histogram.low + (bin + 0.5) * width)
            return (
              <g key={bin} stroke={colours.first} fill={colours.first}>
                <line x1={x} x2={x} y1={scale.y(value - errors[bin]!)} y2={scale.y(value + errors[bin]!)} />
                <circle cx={x} cy={scale.y(value)} r={2} />
              </g>
            )
          })}
        </>
      )}
    </Chart>
  )
}

function steps(counts: readonly number[], { low, high }: FilledHistogram, scale: Scale): string {
  const width = (high - low) / counts.length
  const base = scale.bottom + 2
  const parts = counts.map((count, bin) => {
    const y = Math.min(base, scale.y(count)).toFixed(1)
    return `V${y}H${scale.x(low + (bin + 1) * width).toFixed(1)}`
  })
  return `M${scale.x(low).toFixed(1)} ${base}${parts.join('')}V${base}`
}

function errorBars(counts: readonly number[], { low, high }: FilledHistogram, scale: Scale): string {
  const width = (high - low) / counts.length
  return counts
    .map((count, bin) => {
      if (count === 0) return ''
      const x = scale.x(low + (bin + 0.5) * width).toFixed(1)
      return `M${x} ${scale.y(count - Math.sqrt(count)).toFixed(1)}V${scale.y(count + Math.sqrt(count)).toFixed(1)}`
    })
    .join('')
}

function curve(values: readonly number[], { low, high }: FilledHistogram, scale: Scale): string {
  const width = (high - low) / values.length
  return values
    .map(
      (value, bin) =>
        `${bin === 0 ? 'M' : 'L'}${scale.x(low + (bin + 0.5) * width).toFixed(1)} ${scale.y(value).toFixed(1)}`,
    )
    .join('')
}
