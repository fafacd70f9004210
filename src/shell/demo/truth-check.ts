/**
 * A second, coarser opinion than the platform's own truth matching, from what anybody can read: clusters by the API,
 * truth from the DAQ's folder. A track is found when a selected cluster's box holds more than half of its light; a
 * selected cluster is a track when its barycentre lies in a track's box (a macro-pixel wider).
 */
import { readTruth, type TrackTruth } from '../../detector/index.ts'
import type { Client } from '../../foundation/client.ts'
import { reconstructionContract, type Cluster } from '../../reconstruction/index.ts'
import { experiment, type Demo } from './demo.ts'

/** Fainter tracks are not expected to be found (the selection asks for it too), nor those not wholly inside the acceptance. */
const leastCounts = 2_000
const marginPx = 8

export interface OutsideMatch {
  images: number
  clusters: number
  findable: number
  found: number
  selected: number
  pure: number
}

export async function matchOutside({ client }: Demo, run: string, truthFile: string): Promise<OutsideMatch> {
  const truth = await readTruth(truthFile)
  const api = client(reconstructionContract)
  const clusters = await allClusters(api, run)
  const { acceptance } = await api.listEventOutlines({ params: { experiment, run, event: 0 } })
  const match = { images: truth.images.length, clusters: clusters.length, findable: 0, found: 0, selected: 0, pure: 0 }
  for (const { event, tracks } of truth.images) {
    const selected = clusters.filter((cluster) => cluster.event === event && cluster.selected)
    const findable = tracks.filter(
      (track) => track.expectedCounts > leastCounts && isInside(track, truth.frameWidth, acceptance),
    )
    match.findable += findable.length
    match.found += findable.filter((track) => selected.some((cluster) => shareOfLight(track, cluster) > 0.5)).length
    match.selected += selected.length
    match.pure += selected.filter((cluster) => tracks.some((track) => holdsBarycentre(track, cluster))).length
  }
  return match
}

async function allClusters(api: Client<typeof reconstructionContract>, run: string): Promise<Cluster[]> {
  const clusters: Cluster[] = []
  let cursor: string | null | undefined
  do {
    const query = { limit: 1000, ...(cursor ? { cursor } : {}) }
    const page = await api.listRunClusters({ params: { experiment, run }, query })
    clusters.push(...page.items)
    cursor = page.nextCursor
  } while (cursor)
  return clusters
}

function isInside({ box }: TrackTruth, width: number, rows: { firstRow: number; endRow: number }): boolean {
  return box.x0 > 0 && box.x1 < width && box.y0 >= rows.firstRow && box.y1 <= rows.endRow
}

function shareOfLight({ cells, expectedCounts }: TrackTruth, cluster: Cluster): number {
  let inside = 0
  let cell = 0
  for (let index = 0; index < cells.runs.length; index += 3) {
    const [row, column, length] = [cells.runs[index]!, cells.runs[index + 1]!, cells.runs[index + 2]!]
    const y = (row + 0.5) * cells.rebin
    for (let offset = 0; offset < length; offset++, cell++) {
      const x = (column + offset + 0.5) * cells.rebin
      const isIn = x >= cluster.xMinPx && x <= cluster.xMaxPx + 1 && y >= cluster.yMinPx && y <= cluster.yMaxPx + 1
      if (isIn) inside += cells.counts[cell]!
    }
  }
  return inside / expectedCounts
}

function holdsBarycentre({ box }: TrackTruth, { xMeanPx, yMeanPx }: Cluster): boolean {
  const inX = xMeanPx >= box.x0 - marginPx && xMeanPx <= box.x1 + marginPx
  return inX && yMeanPx >= box.y0 - marginPx && yMeanPx <= box.y1 + marginPx
}
