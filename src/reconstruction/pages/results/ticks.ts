/** Round numbers for axes, and how they are written. */

export function linearTicks(low: number, high: number, about: number): number[] {
  const rough = (high - low) / Math.max(about, 1)
  if (!(rough > 0) || !Number.isFinite(rough)) return []
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough)! * power
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)))
}

/** Powers of ten from one to `high`. */
export function decadeTicks(high: number): number[] {
  return Array.from({ length: Math.max(1, Math.floor(Math.log10(Math.max(high, 1))) + 1) }, (_, power) => 10 ** power)
}

/** 12 000, 0.5, 3.2e7: short. */
export function tickText(value: number): string {
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) return value.toExponential().replace('e+', 'e')
  return Number.isInteger(value)
    ? String(value).replaceAll(/\B(?=(\d{3})+$)/g, '\u202F')
    : String(Number(value.toPrecision(6)))
}

/** `9 917 ± 222`, `7.59 ± 0.65`: as many decimals as two digits of the error want. */
export function measured(value: number, error: number): string {
  if (!Number.isFinite(value)) return '–'
  const known = Number.isFinite(error) && error > 0
  const decimals = known ? Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(error)))) : 3
  const text = (one: number): string => one.toFixed(decimals).replaceAll(/\B(?=(\d{3})+(\.|$))(?<!\.\d*)/g, '\u202F')
  return known ? `${text(value)} ± ${text(error)}` : text(value)
}
