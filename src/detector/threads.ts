/**
 * The small door of the detector room, for worker threads: what they need for each event of a run and nothing that takes
 * long to load. Everybody else enters by index.ts.
 */

/** One event of a compressed run into memory of its size. */
export { inflateInto } from './inflate/inflate-into.ts'
/** Digitizer banks to waveforms. */
export { decodeDigitizer, fastModel, triggerTimeMs, waveformOf } from './digitizer.ts'
export { correctTrigger, hasDrs4Correction, isCorrectable } from './drs4.ts'
