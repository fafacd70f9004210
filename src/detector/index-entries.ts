import { isCameraBank } from './camera.ts'
import type { SeekTable } from './inflate/seek-table.ts'
import type { EventHeader, MidasEvent } from './midas-event.ts'
import type { MidasOutcome } from './midas-reader.ts'

/** Where an event of a file is and what it holds, without its data. */
export interface MidasIndexEntry extends EventHeader {
  byteOffset: number
  banks: { name: string; type: number; byteOffset: number; sizeBytes: number }[]
  damage?: string
}

export interface MidasIndex {
  path: string
  entries: MidasIndexEntry[]
  /** Positions in `entries` of the events that hold a camera bank: picture k is `entries[pictures[k]]`. */
  pictures: number[]
  outcome: MidasOutcome
  /** Of a compressed file: where to inflate from. */
  seek?: SeekTable
}

export interface IndexOptions {
  signal?: AbortSignal
  maxEventBytes?: number
  /** Called for every event as it is found. */
  onEntry?: (entry: MidasIndexEntry, outcome: MidasOutcome) => void | Promise<void>
  /** Called, with its data, for every event of a file that has to be inflated anyway; `inflate` sees to it that it is. */
  onEvent?: (event: MidasEvent, index: MidasIndex) => void | Promise<void>
  /** Inflate also what could be hopped over: all checksums are then compared. */
  inflate?: boolean
}

export async function addEntry(index: MidasIndex, entry: MidasIndexEntry, options: IndexOptions): Promise<void> {
  if (entry.banks.some((bank) => isCameraBank(bank.name))) index.pictures.push(index.entries.length)
  index.entries.push(entry)
  await options.onEntry?.(entry, index.outcome)
}
