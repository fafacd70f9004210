/** Numbers, sizes and times as people read them. Every time carries its zone, every number its unit. */
export type Zone = 'utc' | 'local'

const sizeUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Decimal units (1 kB = 1000 B), three significant digits: `10.6 MB`. */
export function formatBytes(sizeBytes: number): string {
  let value = sizeBytes
  let unit = 0
  while (value >= 999.5 && unit < sizeUnits.length - 1) {
    value /= 1000
    unit += 1
  }
  return unit === 0 ? `${value} B` : `${significant(value, 3)} ${sizeUnits[unit]}`
}

const counts = new Intl.NumberFormat('en')

/** `1,204` becomes `1 204` with a thin no-break space, so that it cannot be read as a decimal comma. */
export function formatCount(count: number): string {
  return counts.format(count).replaceAll(',', '\u202f')
}

/** A decimal number with the given significant digits and no trailing exponent for everyday sizes. */
export function significant(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  // Rounded first: 0.9996 with three digits is 1.00, not 1.000.
  const magnitude = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))))
  if (magnitude >= digits - 1) return magnitude < 9 ? formatCount(Math.round(value)) : value.toExponential(digits - 1)
  if (magnitude < -4) return value.toExponential(digits - 1)
  return value.toFixed(digits - 1 - magnitude)
}

/** `0:04:02` for four minutes and two seconds; days are spelled `2 d 03:10:00`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000))
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor((seconds % 86_400) / 3600)
  const pad = (value: number): string => String(value).padStart(2, '0')
  const clock = `${pad(Math.floor((seconds % 3600) / 60))}:${pad(seconds % 60)}`
  return days > 0 ? `${days} d ${pad(hours)}:${clock}` : `${hours}:${clock}`
}

/** `just now`, `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`; future times read `in 3 min`. */
export function formatAge(ageMs: number): string {
  const future = ageMs < 0
  const seconds = Math.floor(Math.abs(ageMs) / 1000)
  if (seconds < 2) return 'just now'
  const words =
    seconds < 100
      ? `${seconds} s`
      : seconds < 6000
        ? `${Math.round(seconds / 60)} min`
        : seconds < 172_800
          ? `${Math.round(seconds / 3600)} h`
          : `${Math.round(seconds / 86_400)} d`
  return future ? `in ${words}` : `${words} ago`
}

/** The name of the zone that `formatMoment` prints: `Z` or for example `CET`. */
export function zoneName(atMs: number, zone: Zone): string {
  if (zone === 'utc') return 'Z'
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts(atMs)
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? 'local'
}

/** `2026-11-23 14:29:38Z`, or the same in local time with the zone's short name; `short` leaves out the date. */
export function formatMoment(atMs: number, zone: Zone, style: 'full' | 'short' = 'full'): string {
  const date = new Date(zone === 'utc' ? atMs : atMs - new Date(atMs).getTimezoneOffset() * 60_000)
  const iso = date.toISOString()
  const name = zoneName(atMs, zone)
  const suffix = zone === 'utc' ? name : ` ${name}`
  return style === 'short' ? `${iso.slice(11, 19)}${suffix}` : `${iso.slice(0, 10)} ${iso.slice(11, 19)}${suffix}`
}
