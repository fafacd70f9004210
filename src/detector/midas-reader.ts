import { openByteSource } from './byte-source.ts'
import type { ByteSource, SourceOptions } from './byte-source.ts'
import { decodeBanks } from './midas-bank.ts'
import { decodeEventHeader, defaultMaxEventBytes, eventHeaderBytes, implausible } from './midas-event.ts'
import type { EventHeader, MidasEvent, RunFault } from './midas-event.ts'

/** How the reading of a file ended. Grows while events are read; final when the iteration is over. */
export interface MidasOutcome {
  /** Begin and end of run read, and nothing between them missing or damaged. */
  complete: boolean
  /** The first thing that is wrong with the file. */
  fault: RunFault | undefined
  /** Data events delivered, slow control included. */
  events: number
  /** Of those, events whose body is damaged. */
  damagedEvents: number
  /** Run number of begin of run. */
  number: number | undefined
  /** Uncompressed bytes understood. */
  bytesRead: number
  /** Bytes of the file on disk consumed so far, and its size when opened. */
  consumedBytes: number
  fileSizeBytes: number
  compressed: boolean
}

export interface MidasReader extends AsyncIterable<MidasEvent> {
  readonly outcome: MidasOutcome
}

export interface ReaderOptions extends SourceOptions {
  signal?: AbortSignal
  /** An event that claims more is taken for damage. Default 256 MiB. */
  maxEventBytes?: number
}

/**
 * Reads a run file event by event, plain or gzip (several members too), in the memory of one event.
 * Nothing a file holds makes it throw: everything before the damage is delivered, then `outcome` says what is wrong and where.
 * An event whose bank head is damaged is delivered with `damage` if a sound event follows it. Can be iterated once.
 * Throws `noSuchFile`, `unreadableFile`, and the reason of the signal.
 */
export function openMidasFile(path: string, options: ReaderOptions = {}): MidasReader {
  const outcome = emptyOutcome()
  return { outcome, [Symbol.asyncIterator]: () => readEvents(path, options, outcome) }
}

export const emptyOutcome = (): MidasOutcome => ({
  complete: false,
  fault: undefined,
  events: 0,
  damagedEvents: 0,
  number: undefined,
  bytesRead: 0,
  consumedBytes: 0,
  fileSizeBytes: 0,
  compressed: false,
})

/** Follows begin and end of run and keeps the first fault; shared by the stream and the index. */
export interface RunJudge {
  event(header: EventHeader, byteOffset: number): void
  /** Adds up events and banks; more than any run has are damage, and must not fill the memory. */
  count(parts: number, byteOffset: number): RunFault | undefined
  fault(fault: RunFault): void
  /** The events cannot be followed any further; after the end of run that only means that something else follows. */
  lost(fault: RunFault): void
  end(position: number): void
  complete(): boolean
}

/** The longest run known has 164,350 events of at most 4 banks. */
const partsAtMost = 1 << 21

export function judgeRun(outcome: Pick<MidasOutcome, 'fault' | 'number'>): RunJudge {
  let events = 0
  let parts = 0
  let begun = false
  let ended = false
  let sound = true
  const fault = (found: RunFault): void => {
    if (found.code !== 'trailing-data') sound = false
    outcome.fault ??= found
  }
  return {
    event: (header, byteOffset) => {
      if (events++ === 0 && header.kind !== 'begin-of-run')
        fault({ code: 'no-begin-of-run', byteOffset, reason: 'the file does not start with a begin of run' })
      if (header.kind === 'begin-of-run') {
        begun = true
        outcome.number ??= header.serialNumber
      }
      if (header.kind === 'end-of-run') ended = true
    },
    count: (more, byteOffset) => {
      parts += more
      if (parts <= partsAtMost) return undefined
      return { code: 'corrupt', byteOffset, reason: `the file has more than ${partsAtMost} events and banks` }
    },
    fault,
    lost: (found) => {
      fault(
        ended
          ? { ...found, code: 'trailing-data', reason: 'something that is not an event follows the end of run' }
          : found,
      )
    },
    end: (position) => {
      if (position === 0 && events === 0) fault({ code: 'empty', byteOffset: 0, reason: 'the file is empty' })
      else if (!ended)
        fault({
          code: 'no-end-of-run',
          byteOffset: position,
          reason: 'the file ends without an end of run: the run crashed or is still being recorded',
        })
    },
    complete: () => begun && ended && sound,
  }
}

async function* readEvents(path: string, options: ReaderOptions, outcome: MidasOutcome): AsyncGenerator<MidasEvent> {
  options.signal?.throwIfAborted()
  const source = await openByteSource(path, options)
  const judge = judgeRun(outcome)
  outcome.compressed = source.compressed
  outcome.fileSizeBytes = source.fileSizeBytes
  try {
    for await (const { event, header } of frameEvents(source, options, judge)) {
      judge.event(header, event.byteOffset)
      if (event.damage !== undefined) {
        outcome.damagedEvents++
        judge.fault({ code: 'damaged-event', byteOffset: event.byteOffset, reason: event.damage })
      }
      if (event.kind === 'event') outcome.events++
      outcome.bytesRead = event.byteOffset + eventHeaderBytes + event.data.length
      outcome.consumedBytes = source.consumedBytes()
      yield event
      options.signal?.throwIfAborted()
    }
    const damage = await source.damage()
    // That the file changed or its compression broke explains whatever was seen before it.
    if (damage && damage.code !== 'trailing-data') outcome.fault = undefined
    if (damage) judge.fault({ ...damage, byteOffset: source.position() })
    judge.end(source.position())
    outcome.consumedBytes = source.consumedBytes()
    outcome.complete = judge.complete()
  } finally {
    await source.close()
  }
}

/** Cuts the stream into events. An event with an implausible body is held back until the next header shows whether the framing still stands. */
async function* frameEvents(
  source: ByteSource,
  options: ReaderOptions,
  judge: RunJudge,
): AsyncGenerator<{ event: MidasEvent; header: EventHeader }> {
  const limit = options.maxEventBytes ?? defaultMaxEventBytes
  let held: { event: MidasEvent; header: EventHeader } | undefined
  for (;;) {
    options.signal?.throwIfAborted()
    const byteOffset = source.position()
    const headBytes = await source.read(eventHeaderBytes)
    if (headBytes.length === 0) break
    if (headBytes.length < eventHeaderBytes) {
      if (held) return judge.lost(corrupt(held.event))
      return judge.lost({
        code: 'truncated',
        byteOffset,
        reason: `the file ends in the middle of an event header, ${headBytes.length} bytes into it`,
      })
    }
    const header = decodeEventHeader(headBytes)
    const oversize = header.dataSizeBytes > limit
    // A plain file says at once whether it holds what the header claims; then memory is only taken for what is there.
    const body = oversize ? new Uint8Array(0) : await source.read(header.dataSizeBytes, true)
    const problem = oversize
      ? `an event claims ${header.dataSizeBytes} bytes, more than the limit of ${limit}`
      : implausible(header, body.subarray(0, 8))
    if (held && problem !== undefined) return judge.lost(corrupt(held.event))
    if (held) {
      yield held
      held = undefined
    }
    if (oversize) return judge.lost({ code: 'corrupt', byteOffset, reason: problem ?? '' })
    if (body.length < header.dataSizeBytes) {
      const cut = `the file ends in the middle of an event, after ${body.length} of ${header.dataSizeBytes} bytes`
      return judge.lost(
        problem !== undefined && body.length >= 8
          ? { code: 'corrupt', byteOffset, reason: problem }
          : { code: 'truncated', byteOffset, reason: cut },
      )
    }
    // Only the checksum of a member that was this event tells that it is not what was written.
    if (!(await source.sound())) return
    const { dataSizeBytes: _, ...fields } = header
    const event: MidasEvent = { ...fields, byteOffset, data: body }
    const decoded = problem === undefined && event.kind === 'event' ? decodeBanks(body) : undefined
    const tooMany = judge.count(1 + (decoded?.banks.length ?? 0), byteOffset)
    if (tooMany) return judge.lost(tooMany)
    const inner = decoded?.damage
    if (problem === undefined) yield { event: inner === undefined ? event : { ...event, damage: inner }, header }
    else held = { event: { ...event, damage: problem }, header }
  }
  // The framing held to the very end of the file.
  if (held && source.position() > 0) yield held
}

const corrupt = (event: MidasEvent): RunFault => ({
  code: 'corrupt',
  byteOffset: event.byteOffset,
  reason: `what stands here is not an event: ${event.damage}`,
})
