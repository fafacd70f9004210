/** Cells and verdicts as words: the page, the PDF and the command line say the same. Runs in browsers and in Node. */
import type { Cell, Comparison, ReportTable } from './study-report.ts'

const dash = '–'

/** '12.3 ± 0.4', '95.0 +2.1 −3.0', '7', 'words'. */
export function cellText(cell: Cell, digits?: number): string {
  if (cell === null) return dash
  if (typeof cell === 'string') return cell
  if (typeof cell === 'number') return number(cell, digits)
  const { value, low, high } = cell
  if (value === null) return dash
  const text = number(value, digits)
  if (low === null || high === null) return text
  const [down, up] = [Math.max(0, value - low), Math.max(0, high - value)]
  if (Math.abs(up - down) <= 0.2 * Math.max(up, down)) return `${text} ± ${number((up + down) / 2, digits)}`
  return `${text} +${number(up, digits)} -${number(down, digits)}`
}

function number(value: number, digits: number | undefined): string {
  if (!Number.isFinite(value)) return dash
  if (digits === undefined) return String(Number(value.toPrecision(4)))
  return value.toFixed(digits)
}

export function columnTitle({ title, unit }: ReportTable['columns'][number]): string {
  return unit === '' ? title : `${title}, ${unit}`
}

/** 'agrees (0.7 sigma)', 'differs by 5.2 sigma', 'not comparable'. */
export function verdictText({ verdict, sigma }: Pick<Comparison, 'verdict' | 'sigma'>): string {
  if (verdict === 'not-comparable' || sigma === null) return 'not comparable'
  const by = sigma >= 999 ? 'more than 999' : sigma.toFixed(1)
  return verdict === 'agrees' ? (sigma === 0 ? 'agrees' : `agrees (${by} sigma)`) : `differs by ${by} sigma`
}

/** Ours as words, with its unit. */
export function oursText({ ours, unit }: Pick<Comparison, 'ours' | 'unit'>): string {
  const { value, low, high } = ours
  const error = value === null || low === null || high === null ? NaN : Math.max(value - low, high - value)
  const digits =
    value === null || value === 0
      ? 1
      : Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error > 0 ? error : Math.abs(value) / 10))))
  const text = value !== null && Math.abs(value) < 1e-4 && value !== 0 ? value.toExponential(1) : cellText(ours, digits)
  return unit === '' ? text : `${text} ${unit}`
}
