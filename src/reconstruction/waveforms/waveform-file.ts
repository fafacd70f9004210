/**
 * `waveforms.parquet`, written while the run is read: rows are kept until whole events make a row group of at least
 * 1000 rows. The key `cygnet.event_rows` of the footer lists [event, firstRow, endRow]: an event with digitizer banks
 * and no trigger has an empty range, one without digitizer banks none.
 */
import { fileWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer'
import { eventRowsKey } from '../products.ts'
import { waveformColumns } from '../waveform-columns.ts'
import type { Waveform } from '../waveform-columns.ts'

const rowsPerGroup = 1000

export interface WaveformFile {
  readonly rows: number
  /** Events in increasing order. */
  add(event: number, rows: readonly Waveform[]): void
  close(): void
}

export function createWaveformFile(path: string, metadata: readonly { key: string; value: string }[]): WaveformFile {
  const file = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: columnsOf([]) }),
    createdBy: 'cygnet',
  })
  const eventRows: [event: number, firstRow: number, endRow: number][] = []
  let waiting: Waveform[] = []
  let written = 0
  const flush = (): void => {
    if (waiting.length === 0) return
    // A file's write is synchronous: nothing to wait for.
    void file.write({ columnData: columnsOf(waiting), rowGroupSize: waiting.length })
    written += waiting.length
    waiting = []
  }
  return {
    get rows() {
      return written + waiting.length
    },
    add(event, rows) {
      const first = written + waiting.length
      eventRows.push([event, first, first + rows.length])
      for (const row of rows) waiting.push(row)
      if (waiting.length >= rowsPerGroup) flush()
    },
    close() {
      flush()
      file.kvMetadata = [...metadata, { key: eventRowsKey, value: JSON.stringify(eventRows) }]
      void file.finish()
    },
  }
}

function columnsOf(rows: readonly Waveform[]) {
  return waveformColumns.map(({ name, column, storage }) => ({
    name: column,
    type: storage,
    nullable: false,
    data: rows.map((row): number | boolean | string => row[name]),
    // Minima and maxima of texts of peaks help nobody.
    statistics: storage !== 'STRING',
  }))
}
