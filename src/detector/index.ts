/**
 * The door of the detector room: raw formats of the LIME generation, the facts of a run file, and a simulator with known truth.
 * Pure: no database, no HTTP. Every error is a Fault of `errors.ts`; damage inside a run file is never thrown, it is reported as a RunFault.
 */

/** One MIDAS event: kind, id, serial number, its body. Times of events are whole seconds UTC, as the format has them. */
export type { MidasEvent, MidasEventKind, RunFault, RunFaultCode } from './midas-event.ts'
export { decodeEventHeader, eventHeaderBytes } from './midas-event.ts'
/** The three bank header forms; decode never throws, it gives the banks before the damage and the damage. */
export { bankNumbers, decodeBanks, encodeBanks } from './midas-bank.ts'
export type { BankFormat, BankType, DecodedBanks, MidasBank } from './midas-bank.ts'
/** Streams a `.mid` or `.mid.gz` in constant memory; what ended the reading stands in `outcome` afterwards. */
export { openMidasFile } from './midas-reader.ts'
export type { MidasOutcome, MidasReader } from './midas-reader.ts'
/** Random access: entries of a file, and the k-th event or picture of it. */
export { openMidasIndex, readEventAt, readPictureAt } from './midas-index.ts'
export type { MidasIndex, MidasIndexEntry, Picture } from './midas-index.ts'
/** Writes genuine-format files, plain or gzip, growing while it records. */
export { createMidasWriter } from './midas-writer.ts'
export type { MidasWriter } from './midas-writer.ts'
/** Camera banks to 16-bit frames and back. */
export { cameraBank, cameraTypeOf, framesOf, frameShape } from './camera.ts'
export type { CameraType, Frame } from './camera.ts'
/** Digitizer banks DGH0 and DIG0 to waveforms and back. */
export { decodeDigitizer, encodeDigitizer, waveformOf } from './digitizer.ts'
export type { DigitizerBoard, DigitizerEvent } from './digitizer.ts'
/** The online database: tolerant parser, secrets masked, typed conditions, the parameters of a run. */
export { maskOdb, parseOdb } from './odb-text.ts'
export type { Odb, OdbFormat, OdbValue } from './odb-text.ts'
export { odbToConditions, runParametersOf } from './odb-conditions.ts'
export type { Condition, RunParameters } from './odb-conditions.ts'
/** Everything the logbook wants to know of a run file, without reading its pixels. */
export { readRunFacts } from './run-facts.ts'
export type { RunFacts, RunFactsOptions } from './run-facts.ts'
/** Light collection of the lens, relative to the centre. */
export { readVignettingMap, simulatedVignettingMap, vignettingAt } from './vignetting.ts'
export type { VignettingMap } from './vignetting.ts'
/** The simulated detector, deterministic by seed, and the truth it leaves beside each run. */
export { simulateRun } from './simulator/simulate-run.ts'
export type { SimulatedEvent, SimulationOptions, TracksPerImage, TrackRequest } from './simulator/simulate-run.ts'
export { simulatedRunNames, writeSimulatedRun } from './simulator/write-run.ts'
export type { WrittenRun, WriteRunOptions } from './simulator/write-run.ts'
export { readTruth } from './simulator/truth.ts'
export type { ImageTruth, RunTruth, TrackKind, TrackTruth } from './simulator/truth.ts'
