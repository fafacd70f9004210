/**
 * RunFormat of MIDAS files: `run00012.mid`, `run00012.mid.gz`, and the truth a simulation leaves beside a run,
 * `run00012.truth.json`. Everything inside the files is read by the detector room.
 */
import { open, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  decodeEventHeader,
  eventHeaderBytes,
  odbToConditions,
  openMidasFile,
  parseOdb,
  readRunFacts,
  runParametersOf,
  type Condition,
  type RunFacts,
  type RunFaultCode,
  type RunIndexes,
} from '../../detector/index.ts'
import { ingestFaults } from '../errors.ts'
import type {
  FileTracker,
  FoundCondition,
  FoundFault,
  FoundRun,
  GrowingRun,
  RunFormat,
  RunPlace,
} from '../run-format.ts'

const runFileName = /^run(\d{1,9})\.mid(?:\.gz)?$/
const sidecarName = /^run(\d{1,9})\.truth\.json$/
const placeName = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/

/** `indexes` reads compressed files in a thread, and keeps an index of each for whoever looks at its pictures later. */
export function midasRunFormat(indexes?: Pick<RunIndexes, 'readFacts'>): RunFormat {
  const readFacts = indexes?.readFacts ?? readRunFacts
  const inspect: RunFormat['inspect'] = (path, { signal }) => inspectRun(path, readFacts, signal)
  const track = (path: string): FileTracker =>
    sidecarName.test(basename(path)) ? sidecarTracker(path) : new MidasTracker(path)
  return { name: 'midas', match, matchFileName, inspect, track }
}

function matchFileName(name: string): { number: number; role: 'raw' | 'sidecar' } | undefined {
  const run = runFileName.exec(name)
  if (run !== null) return { number: Number(run[1]), role: 'raw' }
  const sidecar = sidecarName.exec(name)
  return sidecar === null ? undefined : { number: Number(sidecar[1]), role: 'sidecar' }
}

function match(key: string): RunPlace | undefined {
  const [setup, series, name, ...deeper] = key.split('/')
  if (setup === undefined || series === undefined || name === undefined || deeper.length > 0) return undefined
  const file = matchFileName(name)
  if (file === undefined || !placeName.test(setup) || !placeName.test(series)) return undefined
  return { setup, series, ...file }
}

async function inspectRun(
  path: string,
  readFacts: RunIndexes['readFacts'],
  signal: AbortSignal | undefined,
): Promise<FoundRun> {
  const facts = await readFacts(path, signal === undefined ? {} : { signal })
  const atBegin = await conditionsAtBegin(path, signal)
  const seen = new Set(atBegin.map(pathOf))
  return {
    number: facts.number ?? null,
    kind: facts.kind,
    description: facts.description,
    startedMs: facts.startedMs ?? null,
    endedMs: facts.endedMs ?? null,
    images: facts.images,
    triggers: facts.triggers,
    events: facts.events,
    endOfRunSeen: facts.endedMs !== undefined,
    conditions: [
      ...atBegin.map((one) => found(one, 'begin')),
      // What the file knows in the end; the logbook keeps only the differences. Without a begin it is all there is.
      ...facts.conditions.map((one) => found(one, seen.has(pathOf(one)) ? 'end' : 'begin')),
    ],
    faults: faultsOf(facts),
  }
}

/** The first event carries the state of the detector as the run began; the facts hold it as updated at the end. */
async function conditionsAtBegin(path: string, signal: AbortSignal | undefined): Promise<Condition[]> {
  for await (const event of openMidasFile(path, signal === undefined ? {} : { signal })) {
    if (event.kind !== 'begin-of-run') return []
    try {
      return odbToConditions(parseOdb(new TextDecoder().decode(event.data)).odb)
    } catch {
      return []
    }
  }
  return []
}

const pathOf = (one: Condition): string => (one.index === undefined ? one.path : `${one.path}[${one.index}]`)

function found(one: Condition, moment: 'begin' | 'end'): FoundCondition {
  const value = typeof one.value === 'boolean' ? String(one.value) : one.value
  return { path: pathOf(one), name: one.name, moment, value, unit: one.unit ?? '' }
}

const advice: Record<RunFaultCode, { severity: FoundFault['severity']; hint: string }> = {
  empty: {
    severity: 'error',
    hint: 'Check the disk of the DAQ machine (full? ended at once?). If the run exists elsewhere, upload that file under a new run number.',
  },
  corrupt: {
    severity: 'error',
    hint: 'What came before the damage was kept. Compare with the file on the DAQ disk; if that one is sound, upload it under a new run number.',
  },
  'damaged-event': {
    severity: 'warning',
    hint: 'The other events of the run are sound. Note it in the logbook if it comes again.',
  },
  'bad-gzip': {
    severity: 'error',
    hint: 'What could be unpacked was kept. Compress the file again on the DAQ machine and upload it under a new run number.',
  },
  truncated: {
    severity: 'warning',
    hint: 'All whole events were kept. If the file on the DAQ disk is longer, upload it under a new run number.',
  },
  'no-begin-of-run': { severity: 'warning', hint: 'Settings and start of the run are unknown; write them in a note.' },
  'no-end-of-run': {
    severity: 'warning',
    hint: 'The run crashed or was cut; all whole events were kept. Look into the log of the DAQ around its last event.',
  },
  'trailing-data': { severity: 'warning', hint: 'The run itself is whole; what follows its end was ignored.' },
  'changed-while-read': {
    severity: 'error',
    hint: 'Somebody writes into the stored file. Stop that; the file is read again when it is stored again.',
  },
}

function faultsOf(facts: RunFacts): FoundFault[] {
  if (facts.fault === undefined) return []
  const { code, reason, byteOffset, compressedOffset } = facts.fault
  const place =
    compressedOffset === undefined
      ? `${byteOffset} of ${facts.sizeBytes}`
      : `${byteOffset} of the unpacked data; the damage was met at byte ${compressedOffset} of ${facts.sizeBytes} of the file`
  const kept = `Recovered: ${facts.events} events with ${facts.images} images, up to byte ${place}.`
  const nothing = facts.events === 0 && code !== 'no-end-of-run'
  return [
    {
      code: `ingest.file_${code.replaceAll('-', '_')}`,
      severity: nothing ? 'error' : advice[code].severity,
      detail: `The run file is not sound: ${reason}. ${nothing ? 'Nothing could be recovered from it.' : kept}`,
      hint: advice[code].hint,
    },
  ]
}

const nothingYet: GrowingRun = {
  number: null,
  pedestal: undefined,
  description: '',
  startedMs: null,
  endedMs: null,
  events: 0,
  endOfRunSeen: false,
  wholeBytes: 0,
}

/** A sidecar is whole when it is whole JSON. */
function sidecarTracker(path: string): FileTracker {
  return {
    async advance() {
      const bytes = await readFile(path)
      try {
        JSON.parse(bytes.toString('utf8'))
        return { ...nothingYet, endOfRunSeen: true, wholeBytes: bytes.length }
      } catch {
        return nothingYet
      }
    },
  }
}

/** Walks from event header to event header as the file grows; reads no bodies but that of the begin of run. */
class MidasTracker implements FileTracker {
  readonly #path: string
  #offset = 0
  #state = nothingYet

  constructor(path: string) {
    this.#path = path
  }

  async advance(signal?: AbortSignal): Promise<GrowingRun> {
    const file = await open(this.#path, 'r')
    try {
      const { size } = await file.stat()
      if (size < this.#offset) {
        throw ingestFaults.fileShrank(`${this.#path} shrank to ${size} bytes; ${this.#offset} had been read.`)
      }
      const header = Buffer.alloc(eventHeaderBytes)
      while (size - this.#offset >= eventHeaderBytes) {
        signal?.throwIfAborted()
        await file.read(header, 0, eventHeaderBytes, this.#offset)
        if (this.#offset === 0 && header[0] === 0x1f && header[1] === 0x8b) break
        const event = decodeEventHeader(header)
        const end = this.#offset + eventHeaderBytes + event.dataSizeBytes
        if (end > size) break
        if (event.kind === 'begin-of-run') {
          const body = Buffer.alloc(event.dataSizeBytes)
          await file.read(body, 0, body.length, this.#offset + eventHeaderBytes)
          this.#begin(event.serialNumber, event.timestampSeconds * 1000, body)
        } else if (event.kind === 'end-of-run') {
          this.#state = { ...this.#state, endOfRunSeen: true, endedMs: event.timestampSeconds * 1000 }
        } else if (event.kind === 'event') this.#state = { ...this.#state, events: this.#state.events + 1 }
        this.#offset = end
      }
      this.#state = { ...this.#state, wholeBytes: this.#offset }
      return this.#state
    } finally {
      await file.close()
    }
  }

  #begin(number: number, startedMs: number, body: Uint8Array): void {
    this.#state = { ...this.#state, number, startedMs }
    try {
      const parameters = runParametersOf(parseOdb(new TextDecoder().decode(body)).odb)
      this.#state = { ...this.#state, pedestal: parameters.kind === 'pedestal', description: parameters.description }
    } catch {
      // The receiver reports an unreadable dump when it reads the whole file; here the run is merely nameless.
    }
  }
}
