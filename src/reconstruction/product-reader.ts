/** Reads clusters, events and outlines from the Parquet files of a campaign: only the rows and columns asked for. */
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import type { AsyncBuffer, FileMetaData } from 'hyparquet'
import { z } from 'zod'
import { neutralDetails } from './cluster-detail-columns.ts'
import { clusterColumns } from './contract.ts'
import type { Cluster, Outline, ReconstructedEvent } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import { eventColumns, eventRowsKey, outlineColumn } from './products.ts'
import { waveformColumns } from './waveform-columns.ts'
import type { Waveform } from './waveform-columns.ts'

export interface Page<Item> {
  items: Item[]
  /** Row to go on from, null at the end. */
  nextRow: number | null
}

export interface StoredPixel {
  camera: number
  cluster: number
  xPx: number
  yPx: number
  counts: number
}

export interface ProductReader {
  /** Clusters of a file from a row on; `selected` leaves out those that do not (or do) pass the quality cut. */
  clusters(
    path: string,
    page: { fromRow: number; limit: number; selected?: boolean | undefined },
  ): Promise<Page<Cluster>>
  clustersOfEvent(path: string, event: number): Promise<Cluster[]>
  outlinesOfEvent(path: string, event: number): Promise<Outline[]>
  events(path: string, page: { fromRow: number; limit: number }): Promise<Page<ReconstructedEvent>>
  waveforms(path: string, page: { fromRow: number; limit: number }): Promise<Page<Waveform> & { total: number }>
  /** Undefined for an event without digitizer banks. */
  waveformsOfEvent(path: string, event: number): Promise<Waveform[] | undefined>
  /** Stored pixels of an event's bright clusters, in cluster order. */
  pixelsOfEvent(path: string, event: number): Promise<StoredPixel[]>
}

interface OpenFile {
  file: AsyncBuffer
  metadata: FileMetaData
}

const scanRows = 2000
const rememberedFooters = 64

const eventRowsSchema = z.array(z.tuple([z.int(), z.int(), z.int()]))

export function createProductReader(): ProductReader {
  const footers = new Map<string, FileMetaData>()

  /** Opens once, so that a file that is replaced meanwhile is still read as a whole. */
  async function using<Result>(path: string, work: (open: OpenFile) => Promise<Result>): Promise<Result> {
    let handle: FileHandle
    try {
      handle = await open(path, 'r')
    } catch (cause) {
      throw reconstructionFaults.productsMissing(
        `The file ${path.split('/').at(-1)} of this result is not in the store.`,
        {
          cause,
        },
      )
    }
    try {
      const { size, mtimeMs, ino } = await handle.stat()
      const file = bufferOf(handle, size)
      const key = `${path}\0${size}\0${mtimeMs}\0${ino}`
      const metadata = footers.get(key) ?? (await parquetMetadataAsync(file))
      footers.delete(key)
      footers.set(key, metadata)
      if (footers.size > rememberedFooters) footers.delete(footers.keys().next().value!)
      return await work({ file, metadata })
    } finally {
      await handle.close()
    }
  }

  return {
    clusters: (path, { fromRow, limit, selected }) =>
      using(path, async (open) => {
        const total = Number(open.metadata.num_rows)
        const items: Cluster[] = []
        let row = fromRow
        while (row < total && items.length < limit) {
          const end = Math.min(total, row + (selected === undefined ? limit - items.length : scanRows))
          const found = await readClusters(open, row, end)
          for (const cluster of found) {
            if (items.length === limit) break
            row++
            if (selected === undefined || cluster.selected === selected) items.push(cluster)
          }
        }
        return { items, nextRow: row < total ? row : null }
      }),
    clustersOfEvent: (path, event) =>
      using(path, async (open) => {
        const [begin, end] = rowsOfEvent(open.metadata, event)
        return await readClusters(open, begin, end)
      }),
    outlinesOfEvent: (path, event) =>
      using(path, async ({ file, metadata }) => {
        const [rowStart, rowEnd] = rowsOfEvent(metadata, event)
        if (rowStart === rowEnd) return []
        const columns = ['cluster', 'camera', 'selected', outlineColumn]
        const rows = await parquetReadObjects({ file, metadata, rowStart, rowEnd, columns })
        return rows.map((row) => ({
          cluster: row.cluster as number,
          camera: row.camera as number,
          selected: row.selected as boolean,
          rings: JSON.parse(row[outlineColumn] as string) as number[][],
        }))
      }),
    waveforms: (path, { fromRow, limit }) =>
      using(path, async (open) => {
        const total = Number(open.metadata.num_rows)
        const end = Math.min(total, fromRow + limit)
        return { items: await readWaveforms(open, fromRow, end), nextRow: end < total ? end : null, total }
      }),
    waveformsOfEvent: (path, event) =>
      using(path, async (open) => {
        const found = eventRowsOf(open.metadata).find(([number]) => number === event)
        return found && (await readWaveforms(open, found[1], found[2]))
      }),
    pixelsOfEvent: (path, event) =>
      using(path, async ({ file, metadata }) => {
        const found = eventRowsOf(metadata).find(([number]) => number === event)
        if (found === undefined || found[1] === found[2]) return []
        const rows = await parquetReadObjects({ file, metadata, rowStart: found[1], rowEnd: found[2] })
        return rows.map((row) => ({
          camera: row.camera as number,
          cluster: row.cluster as number,
          xPx: row.x_px as number,
          yPx: row.y_px as number,
          counts: row.counts as number,
        }))
      }),
    events: (path, { fromRow, limit }) =>
      using(path, async ({ file, metadata }) => {
        const total = Number(metadata.num_rows)
        const rowEnd = Math.min(total, fromRow + limit)
        if (fromRow >= rowEnd) return { items: [], nextRow: null }
        const rows = await parquetReadObjects({ file, metadata, rowStart: fromRow, rowEnd })
        const items = rows.map(
          (row) =>
            Object.fromEntries(
              eventColumns.map(({ name, column }) => [name, row[column] ?? null]),
            ) as unknown as ReconstructedEvent,
        )
        return { items, nextRow: rowEnd < total ? rowEnd : null }
      }),
  }
}

/** Columns that a file of an older version does not have yet are given their neutral values. */
async function readClusters({ file, metadata }: OpenFile, rowStart: number, rowEnd: number): Promise<Cluster[]> {
  if (rowStart >= rowEnd) return []
  const stored = new Set(metadata.schema.map(({ name }) => name))
  const present = clusterColumns.filter(({ column }) => stored.has(column))
  const columns = present.map(({ column }) => column)
  const rows = await parquetReadObjects({ file, metadata, rowStart, rowEnd, columns })
  return rows.map(
    (row) =>
      ({
        ...neutralDetails,
        ...Object.fromEntries(present.map(({ name, column }) => [name, row[column]])),
      }) as unknown as Cluster,
  )
}

async function readWaveforms({ file, metadata }: OpenFile, rowStart: number, rowEnd: number): Promise<Waveform[]> {
  if (rowStart >= rowEnd) return []
  const rows = await parquetReadObjects({ file, metadata, rowStart, rowEnd })
  return rows.map(
    (row) => Object.fromEntries(waveformColumns.map(({ name, column }) => [name, row[column]])) as unknown as Waveform,
  )
}

function eventRowsOf(metadata: FileMetaData): [event: number, firstRow: number, endRow: number][] {
  const text = metadata.key_value_metadata?.find(({ key }) => key === eventRowsKey)?.value
  return eventRowsSchema.parse(JSON.parse(text ?? '[]'))
}

/** Row range of an event from the footer; throws `noSuchEvent` for an event the run does not have. */
function rowsOfEvent(metadata: FileMetaData, event: number): [number, number] {
  const rows = eventRowsOf(metadata)
  const found = rows.find(([number]) => number === event)
  if (found === undefined) {
    throw reconstructionFaults.noSuchEvent(`The reconstructed run has no event ${event}.`, {
      hint: rows.length === 0 ? 'It has no events at all.' : `Its events are ${rows[0]![0]} to ${rows.at(-1)![0]}.`,
    })
  }
  return [found[1], found[2]]
}

function bufferOf(handle: FileHandle, sizeBytes: number): AsyncBuffer {
  return {
    byteLength: sizeBytes,
    async slice(start, end = sizeBytes) {
      const bytes = new Uint8Array(end - start)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
      return bytes.buffer.slice(0, bytesRead)
    },
  }
}
