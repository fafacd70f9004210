/**
 * The port of track files: energy deposits that another program made, in its order. A reader of any format gives such rows; what they mean is checked
 * here for all of them.
 */
export interface DepositRow {
  /** Groups deposits into pictures; rows of one event stand together. */
  event: number
  /** Groups deposits of an event into tracks. */
  track: number
  /** From the centre of the GEM plane: x along the columns to the right, y down the rows. */
  xMm: number
  yMm: number
  /** From the first GEM towards the cathode. */
  zMm: number
  energyKev: number
  /** From the beginning of the event. Default 0. */
  timeNs?: number
  /** A name as of Geant4 or a PDG number; decides quenching. */
  particle?: string
}

/** A file (or anything else) of deposits that can be read from its beginning as often as asked. */
export interface TrackSource {
  /** For people: the file's name. */
  name: string
  /** 'csv', 'parquet', 'root' … */
  format: string
  /** Of the bytes read, lower-case hexadecimal; recorded in the production. */
  fingerprint(signal?: AbortSignal): Promise<{ sha256: string; sizeBytes: number }>
  /** Rows with the place a person would look for them ('line 17', 'row 4'). Throws `badTracks` for what is not a row. */
  rows(signal?: AbortSignal): AsyncIterable<{ row: DepositRow; place: string }>
}
