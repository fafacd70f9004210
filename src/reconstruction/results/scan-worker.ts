/** The thread that reads results: scans and exports run here, several at a time, each until it ends or is cancelled. */
import { parentPort } from 'node:worker_threads'
import { createColumnReader } from './column-reader.ts'
import { exportRows } from './export-rows.ts'
import type { ExportRequest } from './export-rows.ts'
import { scan } from './scan.ts'
import type { ScanRequest, ScanState } from './scan.ts'

export type ToWorker =
  | { id: number; kind: 'scan'; request: ScanRequest }
  | { id: number; kind: 'export'; request: ExportRequest }
  | { id: number; kind: 'more' }
  | { id: number; kind: 'cancel' }
export type FromWorker =
  | { id: number; kind: 'state'; state: ScanState }
  | { id: number; kind: 'bytes'; bytes: Uint8Array }
  | { id: number; kind: 'end' }
  | { id: number; kind: 'failed'; message: string }

/** Chunks of an export that may be on their way before the reader has asked for more. */
const chunksAhead = 4

const port = parentPort!
const reader = createColumnReader()
const running = new Map<number, { abort: AbortController; credit: number; wake: () => void }>()

port.on('message', (message: ToWorker) => {
  const known = running.get(message.id)
  if (message.kind === 'cancel') {
    known?.abort.abort()
    known?.wake()
  } else if (message.kind === 'more') {
    if (known !== undefined) known.credit++
    known?.wake()
  } else void work(message)
})

async function work(message: Extract<ToWorker, { request: unknown }>): Promise<void> {
  const { id } = message
  const job = { abort: new AbortController(), credit: chunksAhead, wake: () => {} }
  running.set(id, job)
  const { signal } = job.abort
  const tell = (told: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(told, transfer)
  try {
    if (message.kind === 'scan') {
      for await (const state of scan(message.request, { reader, signal: signal })) tell({ id, kind: 'state', state })
    } else {
      for await (const bytes of exportRows(message.request, { reader, signal })) {
        while (job.credit === 0 && !signal.aborted) await new Promise<void>((wake) => (job.wake = wake))
        signal.throwIfAborted()
        job.credit--
        tell({ id, kind: 'bytes', bytes }, [bytes.buffer as ArrayBuffer])
      }
    }
    tell({ id, kind: 'end' })
  } catch (error) {
    if (!signal.aborted) tell({ id, kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  } finally {
    running.delete(id)
  }
}
