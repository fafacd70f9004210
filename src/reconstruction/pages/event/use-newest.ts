/** Follows the newest event of the series: of this run while images arrive, then of the run after it. */
import { useEffect } from 'react'
import { useLocation } from 'wouter'
import { apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { logbookContract } from '../../../logbook/contract.ts'
import type { EventName } from './event-data.ts'
import { searchOfView } from './view-state.ts'
import type { ViewStore } from './view-state.ts'

/** `cameras`: how many pictures make an event. */
export function useNewest(name: EventName, follow: boolean, cameras: number, store: ViewStore): void {
  const { experiment, series } = name
  const [, navigate] = useLocation()
  const newest = useAnswer(
    ['logbook', 'newest-run', experiment, series],
    (signal) =>
      // The last few: a pedestal run or one whose file is still on its way is not what one looks at.
      apiOf(logbookContract).listRuns({ params: { experiment }, query: { series, limit: 5 } }, { signal }),
    { enabled: follow },
  )
  const run = newest.data?.items.find(
    (one) => one.kind !== 'pedestal' && one.state === 'closed' && (one.images ?? 0) > 0,
  )
  const event = Math.ceil((run?.images ?? 0) / cameras) - 1
  const number = run?.number
  useEffect(() => {
    if (!follow || number === undefined || event < 0) return
    if (number === name.number && event === name.event) return
    store.set({ cluster: undefined, trigger: undefined })
    navigate(`/e/${experiment}/runs/${series}/${number}/events/${event}?${searchOfView(store.get())}`, {
      replace: true,
    })
  }, [follow, number, event, name.number, name.event, experiment, series, navigate, store])
}
