import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { detectorFaults } from '../errors.ts'
import { csvRows } from './csv-tracks.ts'
import { parquetRows } from './parquet-tracks.ts'
import { rootRows } from './root-tracks.ts'
import type { TrackSource } from './track-source.ts'

/** Opens the rows of one file; `name` is what errors call it. */
export type TrackReader = (path: string, name: string, signal?: AbortSignal) => ReturnType<TrackSource['rows']>

/** Readers by the end of the file's name. */
export const trackReaders: Record<string, { format: string; rows: TrackReader }> = {
  '.csv': { format: 'csv', rows: csvRows },
  '.csv.gz': { format: 'csv', rows: csvRows },
  '.parquet': { format: 'parquet', rows: parquetRows },
  '.root': { format: 'root', rows: rootRows },
}

/**
 * A file of deposits. Which reader reads it follows from its name; further readers are given with it. Throws `badOptions` for a name no reader
 * knows; reading throws `noSuchFile` and `badTracks`.
 */
export function trackFile(path: string, readers: typeof trackReaders = trackReaders): TrackSource {
  const name = basename(path)
  const ending = Object.keys(readers).find((one) => name.toLowerCase().endsWith(one))
  const reader = ending === undefined ? undefined : readers[ending]
  if (!reader)
    throw detectorFaults.badOptions(`${name} is not a track file that can be read.`, {
      hint: `Its name ends in ${Object.keys(readers).join(', ')}; one row per deposit.`,
    })
  const missing = (error: unknown): unknown => {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'EISDIR') return error
    return detectorFaults.noSuchFile(`There is no readable track file ${path}.`, { cause: error })
  }
  return {
    name,
    format: reader.format,
    async fingerprint(signal) {
      const hash = createHash('sha256')
      let sizeBytes = 0
      try {
        for await (const chunk of createReadStream(path, signal ? { signal } : {})) {
          hash.update(chunk as Uint8Array)
          sizeBytes += (chunk as Uint8Array).length
        }
      } catch (error) {
        throw missing(error)
      }
      return { sha256: hash.digest('hex'), sizeBytes }
    },
    async *rows(signal) {
      try {
        yield* reader.rows(path, name, signal)
      } catch (error) {
        throw missing(error)
      }
    },
  }
}
