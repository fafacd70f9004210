/** Which events are worth a look, and how one steps through a run. Pure. */

/** Numbers in the only column of a CSV, each once, ascending; the first line is its name. */
export function eventsOfCsv(text: string): number[] {
  const found = new Set<number>()
  for (const line of text.split(/\r?\n/).slice(1)) {
    if (/^\d+$/.test(line.trim())) found.add(Number(line))
  }
  return [...found].sort((a, b) => a - b)
}

/** The next of `events` after (`by` 1) or before (-1) `event`, around the end; undefined when there is no other. */
export function nextOf(events: readonly number[], event: number, by: 1 | -1): number | undefined {
  const others = events.filter((one) => one !== event)
  if (others.length === 0) return undefined
  return by > 0
    ? (others.find((one) => one > event) ?? others[0])
    : (others.findLast((one) => one < event) ?? others.at(-1))
}

/** One event on, within the brushed range when the event lies in it. */
export function stepped(
  event: number,
  by: 1 | -1,
  last: number,
  range: { from: number; to: number } | undefined,
): number {
  const inside = range !== undefined && event >= range.from && event <= range.to
  const [low, high] = inside ? [range.from, Math.min(range.to, last)] : [0, last]
  return Math.min(Math.max(event + by, low), Math.max(high, low))
}
