/** The live log of a job: pieces by offset, attempt after attempt, with the job's state between them. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServerEvent } from '../foundation/contract.ts'
import type { Job, LogEvent } from './contract.ts'
import { readLogPiece } from './job-folder.ts'

const pieceBytes = 64 * 1024
const lookMs = 200

/**
 * Follows until the job has ended and everything was sent, or `signal` aborts. `from` is `<attempt>:<offset>` of the
 * next byte wanted. A piece ends at a whole character (UTF-8) unless the log ends inside one.
 */
export async function* followLog(options: {
  from: string | undefined
  signal: AbortSignal
  folderOf(attempt: number): string
  load(): Promise<Job>
  /** Resolves at the next change of the job, or after the given time. */
  changed(timeoutMs: number, signal: AbortSignal): Promise<void>
}): AsyncGenerator<ServerEvent<LogEvent>> {
  let job = await options.load()
  let [attempt, offset] = (options.from ?? `${Math.max(1, job.attempt)}:0`).split(':').map(Number) as [number, number]
  let told = ''
  const state = (): ServerEvent<LogEvent> => ({
    event: 'state',
    data: { type: 'state', job },
    id: `${attempt}:${offset}`,
  })
  while (!options.signal.aborted) {
    const ended = ['done', 'failed', 'cancelled'].includes(job.state)
    for (;;) {
      const piece = await readLogPiece(options.folderOf(attempt), offset, pieceBytes)
      const whole = ended || attempt < job.attempt ? piece.length : wholeCharacters(piece)
      if (whole === 0) break
      const nextOffset = offset + whole
      const data: LogEvent = {
        type: 'log',
        attempt,
        offset,
        nextOffset,
        text: piece.subarray(0, whole).toString('utf8'),
      }
      offset = nextOffset
      yield { event: 'log', data, id: `${attempt}:${offset}` }
      if (options.signal.aborted) return
    }
    if (attempt < job.attempt) {
      attempt += 1
      offset = 0
      continue
    }
    const facts = `${job.state} ${job.attempt} ${job.reason}`
    if (facts !== told) {
      told = facts
      yield state()
    }
    if (ended) return
    await options.changed(lookMs, options.signal)
    job = await options.load()
  }
}

/** Length without a character that is cut off at the end. */
export function wholeCharacters(piece: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, piece.length); back++) {
    const byte = piece[piece.length - back]!
    if (byte < 0x80) break
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
      return length > back ? piece.length - back : piece.length
    }
  }
  return piece.length
}

/** The last line that a finished attempt printed, for reasons; '' when there is none. */
export async function lastLineOf(folder: string): Promise<string> {
  const sizeBytes = (await stat(join(folder, 'log')).catch(() => undefined))?.size ?? 0
  const piece = await readLogPiece(folder, Math.max(0, sizeBytes - 2048), 2048)
  return piece.toString('utf8').trim().split('\n').at(-1) ?? ''
}
