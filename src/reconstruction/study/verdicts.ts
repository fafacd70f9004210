/** Comparisons with published values: how many sigma apart, or why they cannot be compared. */
import type { Comparison, Estimate, Requirement } from './study-report.ts'
import { errorOf } from './statistics.ts'

/** Above this many sigma two values are said to differ. */
export const differsAboveSigma = 3

export interface PublishedValue {
  value: number | null
  /** Null: published without one. */
  error: number | null
  /** As printed there: '> 95 %', '18 %'. */
  text: string
  source: string
  tag: string
  /** 'above': the published value is a lower bound, 'below': an upper one. */
  bound?: 'above' | 'below'
}

interface Compared {
  quantity: string
  unit: string
  ours: Estimate
  published: PublishedValue
  /** What is different between the two, where they are not like for like. */
  difference: string
  /** Not like for like in a way that makes a number of sigma meaningless. */
  comparable?: boolean
}

/** A missing measurement or an incomparable one gives no sigma and the verdict 'not-comparable'. */
export function compare({ quantity, unit, ours, published, difference, comparable = true }: Compared): Comparison {
  const { value, error, text, source, tag, bound } = published
  const common = { quantity, unit, ours, published: { value, error, text }, source, tag }
  if (!comparable || value === null || ours.value === null) {
    const missing = ours.value === null ? 'nothing was measured here' : difference
    return { ...common, verdict: 'not-comparable', sigma: null, difference: missing }
  }
  const apart = ours.value - value
  const within = (bound === 'above' && apart >= 0) || (bound === 'below' && apart <= 0)
  const width = Math.hypot(Number.isFinite(errorOf(ours)) ? errorOf(ours) : 0, error ?? 0)
  const sigma = within ? 0 : width > 0 ? Math.abs(apart) / width : apart === 0 ? 0 : Infinity
  // JSON has no infinity.
  const printed = Math.min(sigma, 999)
  return { ...common, verdict: sigma <= differsAboveSigma ? 'agrees' : 'differs', sigma: printed, difference }
}

export function requirement(statement: string, holds: boolean, found: string): Requirement {
  return { statement, holds, found }
}

/** '12.3 +- 0.4', with as many digits as its error allows; 'none' where there is nothing. */
export function textOf({ value, low, high }: Estimate, unit = ''): string {
  if (value === null) return 'none'
  const error = low === null || high === null ? NaN : (high - low) / 2
  const digits =
    Number.isFinite(error) && error > 0
      ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error))))
      : significantDigits(value)
  const after = unit === '' ? '' : ` ${unit}`
  return Number.isFinite(error)
    ? `${value.toFixed(digits)} ± ${error.toFixed(digits)}${after}`
    : `${value.toFixed(digits)}${after}`
}

const significantDigits = (value: number) =>
  value === 0 ? 0 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))))

/** An efficiency as a percentage. */
export function percentOf({ value, low, high, entries }: Estimate): Estimate {
  const hundred = (part: number | null) => (part === null ? null : 100 * part)
  return { value: hundred(value), low: hundred(low), high: hundred(high), ...(entries !== undefined && { entries }) }
}
