import type { FileHandle } from 'node:fs/promises'
import { Fault } from '../foundation/errors.ts'
import { isGzip, openRunFile, readAt } from './byte-source.ts'
import { frameShape, isCameraBank } from './camera.ts'
import { decodeDigitizerHeader } from './digitizer.ts'
import { decodeBanks } from './midas-bank.ts'
import { eventHeaderBytes } from './midas-event.ts'
import type { MidasEventKind, RunFault } from './midas-event.ts'
import type { IndexOptions, MidasIndex } from './index-entries.ts'
import { openMidasIndex } from './midas-index.ts'
import type { MidasOutcome } from './midas-reader.ts'
import { odbToConditions, runParametersOf } from './odb-conditions.ts'
import type { Condition, RunParameters } from './odb-conditions.ts'
import { parseOdb } from './odb-text.ts'
import type { OdbFormat } from './odb-text.ts'

/** What a run file says of its run. */
export interface RunFacts {
  /** From begin of run; undefined for a file without one. */
  number: number | undefined
  startedMs: number | undefined
  /** From end of run; undefined while recording or after a crash. */
  endedMs: number | undefined
  /** Begin and end of run read, and nothing between them missing or damaged. */
  complete: boolean
  fault: RunFault | undefined
  /** Data events of every kind, slow control included. */
  events: number
  /** Camera frames. */
  images: number
  /** Digitizer triggers. */
  triggers: number
  /** Camera numbers seen, e.g. [0]. */
  cameras: number[]
  /** Of the first frame; undefined without one. */
  frameWidth: number | undefined
  frameHeight: number | undefined
  /** 'simulation' = made by a named production. */
  kind: 'pedestal' | 'data' | 'simulation'
  description: string
  /** From the ODB at begin of run, updated by that at end of run; secrets masked. */
  conditions: Condition[]
  /** Of the file as it lies on disk. */
  sizeBytes: number
  odbFormat: OdbFormat
}

export interface RunFactsOptions {
  signal?: AbortSignal
  /** Called at most a few times a second with the bytes of the file passed so far. */
  onProgress?: (progress: { doneBytes: number; totalBytes: number; events: number }) => void
  /** For a gzip file, which is inflated anyway: each event with the index so far, and the index in the end. */
  onEvent?: IndexOptions['onEvent']
  onIndex?: (index: MidasIndex) => void | Promise<void>
}

/**
 * Reads the facts of a run file. Of a plain file only headers, digitizer headers and the two ODB dumps are read (milliseconds per gigabyte); a gzip
 * file has to be inflated. A damaged file gives the facts up to the damage and says what is wrong in `fault`.
 * Throws `noSuchFile`, `unreadableFile` and the reason of the signal, nothing else.
 */
export async function readRunFacts(path: string, options: RunFactsOptions = {}): Promise<RunFacts> {
  const handle = await openRunFile(path)
  try {
    return await ((await isGzip(handle)) ? factsOfGzip(path, options) : factsOfPlain(path, handle, options))
  } finally {
    await handle.close()
  }
}

async function factsOfPlain(path: string, handle: FileHandle, options: RunFactsOptions): Promise<RunFacts> {
  const collector = collectFacts()
  const progress = throttled(options)
  const index = await openMidasIndex(path, {
    ...(options.signal ? { signal: options.signal } : {}),
    onEntry: async (entry, outcome) => {
      const bank = entry.banks.find((one) => one.name === 'DGH0')
      collector.event(entry, entry.banks)
      if (bank) collector.triggers(await readAt(handle, bank.sizeBytes, bank.byteOffset))
      if (entry.kind === 'begin-of-run' || entry.kind === 'end-of-run')
        collector.odb(entry.kind, await readAt(handle, entry.dataSizeBytes, entry.byteOffset + eventHeaderBytes))
      progress(outcome)
    },
  })
  return collector.facts(index.outcome)
}

async function factsOfGzip(path: string, options: RunFactsOptions): Promise<RunFacts> {
  const collector = collectFacts()
  const progress = throttled(options)
  const index = await openMidasIndex(path, {
    ...(options.signal ? { signal: options.signal } : {}),
    inflate: true,
    onEvent: async (event, partial) => {
      const banks = event.kind === 'event' ? decodeBanks(event.data).banks : []
      collector.event(
        event,
        banks.map((bank) => ({ name: bank.name, sizeBytes: bank.data.length })),
      )
      const header = banks.find((bank) => bank.name === 'DGH0')
      if (header) collector.triggers(header.data)
      if (event.kind === 'begin-of-run' || event.kind === 'end-of-run') collector.odb(event.kind, event.data)
      await options.onEvent?.(event, partial)
      progress(partial.outcome)
    },
  })
  await options.onIndex?.(index)
  return collector.facts(index.outcome)
}

function throttled(options: RunFactsOptions): (outcome: MidasOutcome) => void {
  let lastMs = 0
  return (outcome) => {
    const nowMs = performance.now()
    if (!options.onProgress || nowMs - lastMs < 250) return
    lastMs = nowMs
    options.onProgress({ doneBytes: outcome.consumedBytes, totalBytes: outcome.fileSizeBytes, events: outcome.events })
  }
}

function collectFacts() {
  const cameras = new Set<number>()
  const frameSizes: number[] = []
  let images = 0
  let triggers = 0
  let begin: RunParameters | undefined
  let end: RunParameters | undefined
  let beginSeconds: number | undefined
  let endSeconds: number | undefined
  let odbFormat: OdbFormat = 'none'
  const conditions = new Map<string, Condition>()
  return {
    event: (
      event: { kind: MidasEventKind; timestampSeconds: number },
      banks: { name: string; sizeBytes: number }[],
    ): void => {
      if (event.kind === 'begin-of-run') beginSeconds ??= event.timestampSeconds
      if (event.kind === 'end-of-run') endSeconds = event.timestampSeconds
      for (const bank of banks) {
        if (!isCameraBank(bank.name)) continue
        images++
        cameras.add(Number(bank.name[3]))
        if (frameSizes.length === 0) frameSizes.push(bank.sizeBytes)
      }
    },
    triggers: (header: Uint8Array): void => {
      try {
        // All boards of a picture are read at the same triggers.
        triggers += Math.max(0, ...decodeDigitizerHeader(header).boards.map((board) => board.triggers))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
      }
    },
    odb: (kind: 'begin-of-run' | 'end-of-run', data: Uint8Array): void => {
      try {
        const { odb, format } = parseOdb(new TextDecoder().decode(data))
        if (kind === 'begin-of-run') begin ??= runParametersOf(odb)
        else end = runParametersOf(odb)
        if (odbFormat === 'none' || odbFormat === 'unreadable') odbFormat = format
        for (const condition of odbToConditions(odb))
          conditions.set(`${condition.path}#${condition.index ?? ''}`, condition)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        if (odbFormat === 'none') odbFormat = error.extra?.format === 'xml' ? 'xml' : 'unreadable'
      }
    },
    facts: (outcome: MidasOutcome): RunFacts => {
      const shape = frameSizes[0] === undefined ? undefined : frameShape(frameSizes[0], begin?.frameShape)
      const startedMs = begin?.startedMs ?? (beginSeconds === undefined ? undefined : beginSeconds * 1000)
      const stopped = end?.endedMs ?? (endSeconds === undefined ? undefined : endSeconds * 1000)
      return {
        number: outcome.number ?? begin?.number,
        startedMs,
        endedMs: stopped !== undefined && stopped >= (startedMs ?? 0) ? stopped : undefined,
        complete: outcome.complete,
        fault: outcome.fault,
        events: outcome.events,
        images,
        triggers,
        cameras: [...cameras].sort((a, b) => a - b),
        frameWidth: shape?.width,
        frameHeight: shape?.height,
        kind: (begin ?? end)?.kind ?? 'data',
        description: end?.description || begin?.description || '',
        conditions: [...conditions.values()],
        sizeBytes: outcome.fileSizeBytes,
        odbFormat,
      }
    },
  }
}
