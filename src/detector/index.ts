/**
 * The door of the detector room: raw formats of the LIME generation, the facts of a run file, and a simulator with known truth.
 * Pure: no database, no HTTP. Every error is a Fault of `errors.ts`; damage inside a run file is never thrown, it is reported as a RunFault.
 */

/** One MIDAS event: kind, id, serial number, its body. Times of events are whole seconds UTC, as the format has them. */
export { decodeEventHeader, eventHeaderBytes } from './midas-event.ts'
export type { MidasEvent, RunFault, RunFaultCode } from './midas-event.ts'
export type { MidasBank } from './midas-bank.ts'
/** Streams a `.mid` or `.mid.gz` in constant memory; what ended the reading stands in `outcome` afterwards. */
export { openMidasFile, type MidasOutcome, type MidasReader } from './midas-reader.ts'
/** Memory for its events that is used again, and inflating in threads of the caller (see threads.ts). */
export type { EventMemory } from './event-memory.ts'
export type { FoundMember } from './inflate/member-lane.ts'
/** Random access: entries of a file, and the k-th event or picture of it. */
export { openMidasIndex, readEventAt, readPictureAt, type MidasIndex, type Picture } from './midas-index.ts'
/** Pictures and facts without holding up the process: compressed runs are inflated once, by a thread, and leave an index. */
export { openRunIndexes, type RunIndexes } from './run-indexes.ts'
/** Writes genuine-format files, plain or gzip, growing while it records; compresses closed ones, one member per event. */
export { createMidasWriter, type MidasWriter } from './midas-writer.ts'
export { compressRun, hashInflated } from './compress-run.ts'
/** Camera banks to 16-bit frames. */
export { framesOf, type CameraType, type Frame } from './camera.ts'
/** Digitizer banks DGH0 and DIG0 to waveforms and back. */
export {
  decodeDigitizer,
  digitizerBanksOf,
  encodeDigitizer,
  fastModel,
  triggerTimeMs,
  waveformOf,
} from './digitizer.ts'
export type { DigitizerBanks, DigitizerBoard, DigitizerEvent } from './digitizer.ts'
/** Errors of the chips of the fast digitizer, taken out with tables read from files. */
export { correctTrigger, drs4AppliedByFrontend, hasDrs4Correction, isCorrectable, readDrs4Tables } from './drs4.ts'
export type { Drs4Tables } from './drs4.ts'
/** Slow-control events: quantities with units, the surroundings of a picture. */
export {
  channelNamesOf,
  slowReadingOf,
  slowReadingsOfOdb,
  surroundingsOf,
  unknownSurroundings,
} from './slow-control.ts'
export type { ChannelNames, Surroundings } from './slow-control.ts'
/** The online database: tolerant parser, secrets masked, typed conditions, the parameters of a run. */
export { parseOdb, type Odb, type OdbFormat } from './odb-text.ts'
export { odbToConditions, runParametersOf, type Condition, type RunParameters } from './odb-conditions.ts'
/** Everything the logbook wants to know of a run file, without reading its pixels. */
export { readRunFacts, type RunFacts, type RunFactsOptions } from './run-facts.ts'
/** The simulated detector, deterministic by seed, and the truth it leaves beside each run. */
export { simulateRun } from './simulator/simulate-run.ts'
export type { SimulatedEvent, SimulationOptions, TracksPerImage, TrackRequest } from './simulator/simulate-run.ts'
export { writeSimulatedRun, type WrittenRun, type WriteRunOptions } from './simulator/write-run.ts'
export { readTruth } from './simulator/truth.ts'
export type { ImageTruth, PlacePx, Production, RunTruth, TrackKind, TrackTruth } from './simulator/truth.ts'
/** Writes ROOT files with trees of numbers. */
export { createRootFile, type RootColumn, type RootRows } from './root-file/root-writer.ts'
/** Older runs (ROOT, HDF5, HIS) in today's format. */
export { convertOlderRun } from './older/convert-older-run.ts'
