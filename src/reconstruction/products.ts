/**
 * The Parquet files of a campaign: `clusters.parquet` (one row per cluster, event order, brightest first) and
 * `events.parquet` (one row per image).
 *
 * Row groups hold whole events, at least 1000 rows each; the key `cygnet.event_rows` of the footer lists
 * [event, firstRow, endRow] so that one event is read without the others. Nothing in the files depends on the attempt
 * or on time: the same run, code, parameters and calibration give the same bytes.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { parquetWriteFile } from 'hyparquet-writer'
import { clusterColumns } from './contract.ts'
import type { Cluster, ReconstructedEvent, ResultLineage } from './contract.ts'

/** Key-value metadata of the files that say where they come from. */
export interface Lineage {
  run: string
  campaign: string
  codeVersion: string
  calibrationId: string
  parameters: Record<string, unknown>
  /** More of where it comes from, where that is known. Host and time stay in the summary: the files do not depend on them. */
  origin?: ResultLineage | undefined
}

export interface ImageRows {
  row: ReconstructedEvent
  clusters: Cluster[]
  /** JSON of the rings of each cluster. */
  outlines: string[]
}

/** The column with the borders, JSON `[[x0, y0, x1, y1, ...], ...]` in pixel edges. */
export const outlineColumn = 'outline_px'
export const eventRowsKey = 'cygnet.event_rows'
const rowsPerGroup = 1000

export const eventColumns = [
  { name: 'event', column: 'event', type: 'INT32' },
  { name: 'camera', column: 'camera', type: 'INT32' },
  { name: 'atMs', column: 'at_ms', type: 'DOUBLE' },
  { name: 'widthPx', column: 'width_px', type: 'INT32' },
  { name: 'heightPx', column: 'height_px', type: 'INT32' },
  { name: 'macroHits', column: 'macro_hits', type: 'INT32' },
  { name: 'clusters', column: 'clusters', type: 'INT32' },
  { name: 'selectedClusters', column: 'selected_clusters', type: 'INT32' },
  { name: 'zeroSuppressedSumCounts', column: 'zero_suppressed_sum_counts', type: 'DOUBLE' },
  { name: 'note', column: 'note', type: 'STRING' },
  { name: 'detectorPressureBar', column: 'detector_pressure_bar', type: 'DOUBLE', branch: 'Lime_pressure' },
  { name: 'atmosphericPressureBar', column: 'atmospheric_pressure_bar', type: 'DOUBLE', branch: 'Atm_pressure' },
  { name: 'gasTemperatureCelsius', column: 'gas_temperature_celsius', type: 'DOUBLE', branch: 'Lime_temperature' },
  { name: 'roomTemperatureCelsius', column: 'room_temperature_celsius', type: 'DOUBLE', branch: 'Atm_temperature' },
  { name: 'humidityPercent', column: 'humidity_percent', type: 'DOUBLE', branch: 'Humidity' },
  { name: 'mixtureDensityGPerL', column: 'mixture_density_g_per_l', type: 'DOUBLE', branch: 'Mixture_Density' },
] as const satisfies readonly { name: keyof ReconstructedEvent; column: string; type: string; branch?: string }[]
/** Columns with nulls: times and slow-control values may be unknown. */
const mayBeNull = new Set<string>(['atMs', ...eventColumns.filter((one) => 'branch' in one).map(({ name }) => name)])

/** Images must be in event order (then camera order). */
export function writeClusterFile(path: string, images: readonly ImageRows[], lineage: Lineage): void {
  const clusters = images.flatMap((image) => image.clusters)
  const eventRows: [event: number, firstRow: number, endRow: number][] = []
  let row = 0
  for (const image of images) {
    const last = eventRows.at(-1)
    const end = row + image.clusters.length
    if (last?.[0] === image.row.event) last[2] = end
    else eventRows.push([image.row.event, row, end])
    row = end
  }
  const columnData = clusterColumns.map(({ name, column, storage }) => ({
    name: column,
    type: storage,
    nullable: false,
    data: clusters.map((cluster): number | boolean => cluster[name]),
  }))
  parquetWriteFile({
    filename: path,
    columnData: [
      ...columnData,
      {
        name: outlineColumn,
        type: 'STRING',
        nullable: false,
        data: images.flatMap((image) => image.outlines),
        statistics: false,
      },
    ],
    rowGroupSize: groupSizes(eventRows),
    kvMetadata: [...lineageMetadata(lineage), { key: eventRowsKey, value: JSON.stringify(eventRows) }],
    createdBy: 'cygnet',
  })
}

export function writeEventFile(path: string, images: readonly ImageRows[], lineage: Lineage): void {
  parquetWriteFile({
    filename: path,
    columnData: eventColumns.map(({ name, column, type }) => ({
      name: column,
      type,
      nullable: mayBeNull.has(name),
      data: images.map((image) => image.row[name]),
    })),
    kvMetadata: lineageMetadata(lineage),
    createdBy: 'cygnet',
  })
}

export function lineageMetadata(lineage: Lineage): { key: string; value: string }[] {
  return [
    { key: 'cygnet.run', value: lineage.run },
    { key: 'cygnet.campaign', value: lineage.campaign },
    { key: 'cygnet.code_version', value: lineage.codeVersion },
    { key: 'cygnet.calibration', value: lineage.calibrationId },
    { key: 'cygnet.parameters', value: JSON.stringify(lineage.parameters) },
    ...originMetadata(lineage.origin),
  ]
}

function originMetadata(origin: ResultLineage | undefined): { key: string; value: string }[] {
  if (origin === undefined) return []
  return [
    { key: 'cygnet.campaign_version', value: String(origin.campaignVersion) },
    { key: 'cygnet.git_commit', value: origin.gitCommit ?? '' },
    { key: 'cygnet.raw_sha256', value: origin.rawSha256 },
    { key: 'cygnet.truth_sha256', value: origin.truthSha256 },
    { key: 'cygnet.model_sha256', value: origin.modelSha256 },
  ]
}

function groupSizes(eventRows: readonly [number, number, number][]): number[] {
  const sizes: number[] = []
  let begin = 0
  for (const [, , end] of eventRows) {
    if (end - begin >= rowsPerGroup) {
      sizes.push(end - begin)
      begin = end
    }
  }
  const total = eventRows.at(-1)?.[2] ?? 0
  if (total > begin || sizes.length === 0) sizes.push(Math.max(1, total - begin))
  return sizes
}

/** One hash over several files in the order given. */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const path of paths) await pipeline(createReadStream(path), hash, { end: false })
  return hash.digest('hex')
}
