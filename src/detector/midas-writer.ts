import { open } from 'node:fs/promises'
import { detectorFaults } from './errors.ts'
import { compressEvent } from './inflate/compress-event.ts'
import { encodeBanks } from './midas-bank.ts'
import type { BankFormat, MidasBank } from './midas-bank.ts'
import { beginOfRunId, encodeEventHeader, endOfRunId, messageId, midasMagic } from './midas-event.ts'

export interface MidasWriter {
  /** Bytes given to the file so far, before compression. */
  readonly bytesWritten: number
  /** The ODB is written as JSON, NUL-terminated, as mlogger does. */
  beginOfRun(run: { number: number; timestampSeconds: number; odb: unknown }): Promise<void>
  event(event: {
    id: number
    serialNumber: number
    timestampSeconds: number
    triggerMask?: number
    banks: readonly MidasBank[]
    format?: BankFormat
  }): Promise<void>
  message(message: { text: string; timestampSeconds: number; serialNumber?: number }): Promise<void>
  endOfRun(run: { number: number; timestampSeconds: number; odb: unknown }): Promise<void>
  /** Brings everything to the disk. A file closed without end of run is that of a crashed run. */
  close(): Promise<void>
}

/**
 * Writes a run file. It grows event by event, as under mlogger; with `gzip` each event is a member of its own, whose head says what it holds: any
 * gunzip reads the file as one, our readers hop from event to event. An existing file is refused (`alreadyThere`).
 * Bank data may be reused by the caller as soon as the promise of `event` resolves.
 */
export async function createMidasWriter(
  path: string,
  options: { gzip?: boolean; level?: number } = {},
): Promise<MidasWriter> {
  const handle = await open(path, 'wx').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EEXIST')
      throw detectorFaults.alreadyThere(`${path} exists already; a run file is never overwritten.`, { cause })
    throw cause
  })
  let bytesWritten = 0

  const put = async (pieces: Uint8Array[]): Promise<void> => {
    for (const piece of pieces) bytesWritten += piece.length
    let waiting = (options.gzip ? await compressEvent(Buffer.concat(pieces), options.level ?? 6) : pieces).filter(
      (piece) => piece.length > 0,
    )
    while (waiting.length > 0) {
      let { bytesWritten: written } = await handle.writev(waiting)
      // A short write: go on behind what the disk took.
      waiting = waiting.flatMap((piece) => {
        const done = Math.min(written, piece.length)
        written -= done
        return done === piece.length ? [] : [piece.subarray(done)]
      })
    }
  }
  const text = async (
    id: number,
    mask: number,
    serialNumber: number,
    timestampSeconds: number,
    content: string,
  ): Promise<void> => {
    const data = new TextEncoder().encode(`${content}\0`)
    await put([
      encodeEventHeader({ id, triggerMask: mask, serialNumber, timestampSeconds, dataSizeBytes: data.length }),
      data,
    ])
  }
  return {
    get bytesWritten() {
      return bytesWritten
    },
    beginOfRun: ({ number, timestampSeconds, odb }) =>
      text(beginOfRunId, midasMagic, number, timestampSeconds, JSON.stringify(odb)),
    endOfRun: ({ number, timestampSeconds, odb }) =>
      text(endOfRunId, midasMagic, number, timestampSeconds, JSON.stringify(odb)),
    message: ({ text: content, timestampSeconds, serialNumber = 0 }) =>
      text(messageId, 1, serialNumber, timestampSeconds, content),
    event: async ({ id, serialNumber, timestampSeconds, triggerMask = 1, banks, format }) => {
      const { pieces, sizeBytes } = encodeBanks(banks, format)
      await put([
        encodeEventHeader({ id, triggerMask, serialNumber, timestampSeconds, dataSizeBytes: sizeBytes }),
        ...pieces,
      ])
    },
    close: async () => {
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
  }
}
