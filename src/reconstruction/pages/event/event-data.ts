/** What the event display asks the API. */
import { useEffect, useRef, useState } from 'react'
import { apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { logbookContract } from '../../../logbook/contract.ts'
import type { Run } from '../../../logbook/contract.ts'
import { reconstructionContract } from '../../contract.ts'
import type { Cluster, Outline, ReconstructedEvent } from '../../contract.ts'
import type { Frame } from './frame-levels.ts'
import { createFrameStore } from './frame-store.ts'
import type { FrameName, FrameStore } from './frame-store.ts'

export interface EventName {
  experiment: string
  series: string
  number: number
  event: number
}

const noOutlines: Outline[] = []

export interface EventData {
  run: Run | undefined
  events: ReconstructedEvent[]
  clusters: Cluster[] | undefined
  outlines: Outline[]
  /** Rows that were searched for tracks; outside of them nothing is outlined. */
  searched: { firstRow: number; endRow: number } | undefined
  /** Why there are no clusters, when there are none to be had. */
  clusterTrouble: unknown
}

export function useEventData(name: EventName): EventData {
  const { experiment, series, number, event } = name
  const params = { experiment, run: `${series}:${number}` }
  const run = useAnswer(['logbook', 'run', experiment, params.run], (signal) =>
    apiOf(logbookContract).showRun({ params }, { signal }),
  )
  const events = useAnswer(['reconstruction', 'events', params], (signal) =>
    apiOf(reconstructionContract).listRunEvents({ params, query: { limit: 1000 } }, { signal }),
  )
  const clusters = useAnswer(['reconstruction', 'event-clusters', params, event], (signal) =>
    apiOf(reconstructionContract).listEventClusters({ params: { ...params, event } }, { signal }),
  )
  const outlines = useAnswer(['reconstruction', 'outlines', params, event], (signal) =>
    apiOf(reconstructionContract).listEventOutlines({ params: { ...params, event } }, { signal }),
  )
  return {
    run: run.data?.run,
    events: events.data?.items ?? [],
    clusters: clusters.data?.items,
    outlines: outlines.data?.items ?? noOutlines,
    searched: outlines.data?.acceptance,
    clusterTrouble: clusters.error ?? outlines.error,
  }
}

export interface FrameAnswer {
  frame: Frame | undefined
  error: unknown
  loading: boolean
  retry: () => void
}

/** The image of an event; the one before stays on screen, dimmed, until the next is there. */
export function useFrame(name: FrameName, neighbours: number[]): FrameAnswer {
  const store = useRef<FrameStore | undefined>(undefined)
  const [tries, setTries] = useState(0)
  const [answer, setAnswer] = useState<{ key: string; frame: Frame | undefined; error: unknown }>({
    key: '',
    frame: undefined,
    error: undefined,
  })
  const key = JSON.stringify([name, tries])
  const around = neighbours.join()
  useEffect(
    () => () => {
      store.current?.close()
      store.current = undefined
    },
    [],
  )
  useEffect(() => {
    store.current ??= createFrameStore()
    const frames = store.current
    let current = true
    const [asked] = JSON.parse(key) as [FrameName]
    frames
      .frame(asked)
      .then((frame) => {
        if (!current) return
        setAnswer({ key, frame, error: undefined })
        for (const event of around === '' ? [] : around.split(',').map(Number)) frames.prefetch({ ...asked, event })
      })
      .catch((error: unknown) => {
        if (current) setAnswer({ key, frame: undefined, error })
      })
    return () => {
      current = false
    }
  }, [key, around])
  return {
    frame: answer.frame,
    error: answer.key === key ? answer.error : undefined,
    loading: answer.key !== key,
    retry: () => setTries((count) => count + 1),
  }
}
