/**
 * `pixels.parquet`: the pixels of bright clusters, one row each (the reference's "redpix"), in event order, brightest
 * cluster first. Written while the run is reconstructed: images come encoded and in any order from the threads, at most
 * a few wait for an earlier one, so memory does not grow with the run.
 *
 * Each image with pixels is a row group; `cygnet.event_rows` of the footer lists [event, firstRow, endRow] as in the cluster file.
 */
import { fileWriter, ParquetWriter } from 'hyparquet-writer'
import { chunkMetadata, pixelSchema } from './pixel-pages.ts'
import type { PixelPages } from './pixel-pages.ts'

export interface PixelFile {
  /** A place for the pixels of the next image; call what it returns once, in any order. */
  reserve(event: number): (pages: PixelPages) => void
  /** Ends the file; every reserved place must be filled. Returns the rows in it. */
  finish(): number
}

interface Waiting {
  event: number
  pages: PixelPages
}

export function createPixelFile(
  path: string,
  metadata: readonly { key: string; value: string }[],
  eventRowsKey: string,
): PixelFile {
  const kvMetadata = [...metadata]
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: pixelSchema,
    statistics: false,
    kvMetadata,
    createdBy: 'cygnet',
  })
  const early = new Map<number, Waiting>()
  const eventRows: [event: number, firstRow: number, endRow: number][] = []
  let rows = 0
  let reserved = 0
  let next = 0

  function append({ event, pages: { pixels, chunks } }: Waiting): void {
    const last = eventRows.at(-1)
    if (last?.[0] === event) last[2] = rows + pixels
    else eventRows.push([event, rows, rows + pixels])
    rows += pixels
    if (pixels === 0) return
    const columns = chunks.map((chunk, index) => {
      const metadata = chunkMetadata(index, pixels, chunk, writer.writer.offset)
      writer.writer.appendBytes(chunk.bytes)
      return metadata
    })
    const uncompressedBytes = chunks.reduce((sum, chunk) => sum + chunk.uncompressedBytes, 0)
    writer.row_groups.push({ columns, total_byte_size: BigInt(uncompressedBytes), num_rows: BigInt(pixels) })
    writer.num_rows += BigInt(pixels)
  }

  return {
    reserve(event) {
      const place = reserved++
      return (pages) => {
        early.set(place, { event, pages })
        for (let image = early.get(next); image !== undefined; image = early.get(next)) {
          early.delete(next++)
          append(image)
        }
      }
    },
    finish() {
      kvMetadata.push({ key: eventRowsKey, value: JSON.stringify(eventRows) })
      void writer.finish()
      return rows
    },
  }
}
