/** The clock of a page: one tick a second for everybody, one zone setting for the whole app. */
import { createContext, use, useSyncExternalStore } from 'react'
import type { ReactNode } from 'react'
import { formatAge, formatMoment } from './format.ts'
import type { Zone } from './format.ts'

export const ZoneContext = createContext<{ zone: Zone; setZone: (zone: Zone) => void }>({
  zone: 'utc',
  setZone: () => {},
})

export function useZone(): Zone {
  return use(ZoneContext).zone
}

// One timer for the page, running only while something on screen shows an age (no timers per widget).
const ticker = {
  listeners: new Set<() => void>(),
  nowMs: Date.now(),
  timer: undefined as ReturnType<typeof setInterval> | undefined,
}

function subscribe(listener: () => void): () => void {
  ticker.listeners.add(listener)
  ticker.timer ??= setInterval(() => {
    ticker.nowMs = Date.now()
    for (const wake of ticker.listeners) wake()
  }, 1000)
  return () => {
    ticker.listeners.delete(listener)
    if (ticker.listeners.size > 0) return
    clearInterval(ticker.timer)
    ticker.timer = undefined
  }
}

/** The present, refreshed once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => ticker.nowMs)
}

/** A moment in the chosen zone; hovering shows the other zone. */
export function Moment(props: { atMs: number | null | undefined; style?: 'full' | 'short' }): ReactNode {
  const zone = useZone()
  if (props.atMs === null || props.atMs === undefined) return '–'
  const other = formatMoment(props.atMs, zone === 'utc' ? 'local' : 'utc')
  return (
    <time className="cy-number" dateTime={new Date(props.atMs).toISOString()} title={other}>
      {formatMoment(props.atMs, zone, props.style)}
    </time>
  )
}

/** How long ago, ticking; hovering shows the moment itself. */
export function Age(props: { atMs: number }): ReactNode {
  const nowMs = useNow()
  const zone = useZone()
  return (
    <time className="cy-number" dateTime={new Date(props.atMs).toISOString()} title={formatMoment(props.atMs, zone)}>
      {formatAge(nowMs - props.atMs)}
    </time>
  )
}
