/** What the event display asks the API. */
import { useEffect, useRef, useState } from 'react'
import { apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { logbookContract } from '../../../logbook/contract.ts'
import type { Run } from '../../../logbook/contract.ts'
import { matchClusters, reconstructionContract } from '../../contract.ts'
import type { Cluster, Outline, ReconstructedEvent } from '../../contract.ts'
import type { Frame } from './frame-levels.ts'
import { createFrameStore } from './frame-store.ts'
import type { FrameName, FrameStore, Pedestal } from './frame-store.ts'

export interface EventName {
  experiment: string
  series: string
  number: number
  event: number
}

const noOutlines: Outline[] = []
const noClusters: Cluster[] = []

/** Clusters and outlines of the event in one campaign. */
export interface CampaignData {
  clusters: Cluster[] | undefined
  outlines: Outline[]
  /** Rows that were searched for tracks; outside of them nothing is outlined. */
  searched: { firstRow: number; endRow: number } | undefined
  /** Why there are no clusters, when there are none to be had. */
  trouble: unknown
}

export interface EventData extends CampaignData {
  run: Run | undefined
  events: ReconstructedEvent[]
  /** The campaign that is compared with; undefined without one. */
  other: CampaignData | undefined
  /** Names of the experiment's campaigns. */
  campaigns: string[]
}

function useCampaign(name: EventName, campaign: string, enabled: boolean): CampaignData {
  const params = { experiment: name.experiment, run: `${name.series}:${name.number}`, event: name.event }
  const query = { campaign }
  const clusters = useAnswer(
    ['reconstruction', 'event-clusters', params, campaign],
    (signal) => apiOf(reconstructionContract).listEventClusters({ params, query }, { signal }),
    { enabled },
  )
  const outlines = useAnswer(
    ['reconstruction', 'outlines', params, campaign],
    (signal) => apiOf(reconstructionContract).listEventOutlines({ params, query }, { signal }),
    { enabled },
  )
  return {
    clusters: clusters.data?.items,
    outlines: outlines.data?.items ?? noOutlines,
    searched: outlines.data?.acceptance,
    trouble: clusters.error ?? outlines.error,
  }
}

export function useEventData(name: EventName, campaign: string, other: string | undefined): EventData {
  const { experiment, series, number } = name
  const params = { experiment, run: `${series}:${number}` }
  const run = useAnswer(['logbook', 'run', experiment, params.run], (signal) =>
    apiOf(logbookContract).showRun({ params }, { signal }),
  )
  const events = useAnswer(['reconstruction', 'events', params, campaign], (signal) =>
    apiOf(reconstructionContract).listRunEvents({ params, query: { limit: 1000, campaign } }, { signal }),
  )
  const campaigns = useAnswer(['reconstruction', 'campaigns', experiment], (signal) =>
    apiOf(reconstructionContract).listCampaigns({ params: { experiment }, query: { limit: 100 } }, { signal }),
  )
  const own = useCampaign(name, campaign, true)
  const second = useCampaign(name, other ?? campaign, other !== undefined)
  return {
    ...own,
    run: run.data?.run,
    events: events.data?.items ?? [],
    other: other === undefined ? undefined : second,
    campaigns: campaigns.data?.items.map((one) => one.name) ?? [],
  }
}

export interface EventClusters {
  clusters: Cluster[]
  others: Cluster[]
  /** By rank in our campaign: the cluster of the other one that is the same track. */
  pairs: ReadonlyMap<number, Cluster>
  /** Clusters that only the other campaign has. */
  onlyOther: Cluster[]
}

/** Clusters of one camera, and which of the other campaign they are. */
export function clustersOfCamera(data: EventData, camera: number): EventClusters {
  const of = (list: Cluster[] | undefined): Cluster[] => (list ?? noClusters).filter((one) => one.camera === camera)
  const clusters = of(data.clusters)
  const others = of(data.other?.clusters)
  const pairs = new Map<number, Cluster>()
  for (const pair of matchClusters(clusters, others).pairs) {
    const other = others.find((one) => one.cluster === pair.second)
    if (other !== undefined) pairs.set(pair.first, other)
  }
  const paired = new Set([...pairs.values()])
  return { clusters, others, pairs, onlyOther: others.filter((one) => !paired.has(one)) }
}

export interface FrameAnswer {
  frame: Frame | undefined
  /** undefined: not known yet; null: none is valid for this run. */
  pedestal: Pedestal | null | undefined
  error: unknown
  loading: boolean
  retry: () => void
}

/**
 * The image of an event: a small copy first, then all pixels. The one before stays on screen until something is there;
 * a coarse copy never replaces pixels of the same event (another view of it is on its way).
 */
export function useFrame(name: FrameName | undefined, neighbours: number[]): FrameAnswer {
  const store = useRef<FrameStore | undefined>(undefined)
  const [tries, setTries] = useState(0)
  const [answer, setAnswer] = useState<{ key: string; frame: Frame | undefined; error: unknown }>({
    key: '',
    frame: undefined,
    error: undefined,
  })
  const [pedestal, setPedestal] = useState<{ of: string; is: Pedestal | null }>()
  const key = JSON.stringify([name ?? null, tries])
  const around = neighbours.join()
  const pedestalOf = name === undefined ? '' : JSON.stringify([name.experiment, name.series, name.number, name.camera])
  useEffect(
    () => () => {
      store.current?.close()
      store.current = undefined
    },
    [],
  )
  useEffect(() => {
    const [asked] = JSON.parse(key) as [FrameName | null]
    if (asked === null) return
    store.current ??= createFrameStore()
    const frames = store.current
    let current = true
    frames
      .frame(asked, (coarse) => {
        if (!current) return
        setAnswer((before) => ({
          key: coarseKey(key),
          frame: fits(before, key) ? before.frame : coarse,
          error: undefined,
        }))
      })
      .then((frame) => {
        if (!current) return
        setAnswer({ key, frame, error: undefined })
        for (const event of around === '' ? [] : around.split(',').map(Number)) frames.prefetch({ ...asked, event })
        return frames.pedestal(asked).then((found) => {
          if (current) setPedestal({ of: pedestalOf, is: found ?? null })
        })
      })
      .catch((error: unknown) => {
        if (current) setAnswer((before) => (before.key === key ? before : { key, frame: undefined, error }))
      })
    return () => {
      current = false
    }
  }, [key, around, pedestalOf])
  return {
    frame: answer.frame,
    pedestal: pedestal?.of === pedestalOf ? pedestal.is : undefined,
    error: answer.key === key ? answer.error : undefined,
    loading: name !== undefined && answer.key !== key,
    retry: () => setTries((count) => count + 1),
  }
}

const coarseKey = (key: string): string => `coarse ${key}`

/** Whether what is on screen is the same event, only drawn otherwise, with all its pixels. */
function fits(before: { key: string; frame: Frame | undefined }, key: string): boolean {
  if (before.frame === undefined || before.frame.coarse || before.key === '') return false
  const [was] = JSON.parse(before.key.replace(/^coarse /, '')) as [FrameName | null]
  const [is] = JSON.parse(key) as [FrameName | null]
  if (was === null || is === null) return false
  const same = (one: FrameName): string => JSON.stringify({ ...one, masked: true })
  return same(was) === same(is)
}
