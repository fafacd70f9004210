/** Threads that read results, started when they are needed and ended when they have been idle for a while. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { reconstructionFaults } from '../errors.ts'
import type { ExportRequest } from './export-rows.ts'
import type { FromWorker, ToWorker } from './scan-worker.ts'
import type { ScanRequest, ScanState } from './scan.ts'

export interface ScanPool {
  /** Coarse states, then the whole one. Ends the work when the signal aborts or nobody listens any more. */
  scan(request: ScanRequest, signal: AbortSignal): AsyncGenerator<ScanState>
  /** The bytes of an export as fast as they are taken. */
  rows(request: ExportRequest, signal: AbortSignal): AsyncGenerator<Uint8Array>
  /** Threads that are alive; for tests and figures. */
  threads(): number
  close(): Promise<void>
}

interface Thread {
  worker: Worker
  listeners: Map<number, (message: FromWorker) => void>
  idle: NodeJS.Timeout | undefined
}

const idleMs = 60_000
const mostThreads = Math.max(1, Math.min(2, availableParallelism() - 1))
/** A scan that wants more is ended, not the platform. */
const memoryMiB = 192

export function createScanPool(): ScanPool {
  const threads: Thread[] = []
  let nextId = 1

  function startThread(): Thread {
    const worker = new Worker(new URL('./scan-worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: memoryMiB, maxYoungGenerationSizeMb: 32 },
    })
    worker.unref()
    const thread: Thread = { worker, listeners: new Map(), idle: undefined }
    worker.on('message', (message: FromWorker) => thread.listeners.get(message.id)?.(message))
    const ended = (message: string) => {
      const place = threads.indexOf(thread)
      if (place >= 0) threads.splice(place, 1)
      for (const [id, listen] of thread.listeners) listen({ id, kind: 'failed', message })
      thread.listeners.clear()
    }
    worker.on('error', (error) => ended(error instanceof Error ? error.message : String(error)))
    worker.on('exit', () => ended('the thread ended'))
    threads.push(thread)
    return thread
  }

  /** The least busy thread; another one while there may be more and all have work. */
  function takeThread(): Thread {
    const [least] = threads.toSorted((a, b) => a.listeners.size - b.listeners.size)
    const thread =
      least === undefined || (least.listeners.size > 0 && threads.length < mostThreads) ? startThread() : least
    clearTimeout(thread.idle)
    thread.worker.ref()
    return thread
  }

  function release(thread: Thread, id: number): void {
    thread.listeners.delete(id)
    if (thread.listeners.size > 0) return
    thread.worker.unref()
    thread.idle = setTimeout(() => {
      const place = threads.indexOf(thread)
      if (place >= 0) threads.splice(place, 1)
      void thread.worker.terminate()
    }, idleMs).unref()
  }

  /** One piece of work; `take` waits for its next message. Ends by `close`, with a cancel if it was not over. */
  function begin(
    message: { kind: 'scan'; request: ScanRequest } | { kind: 'export'; request: ExportRequest },
    signal: AbortSignal,
  ) {
    signal.throwIfAborted()
    const thread = takeThread()
    const id = nextId++
    const arrived: FromWorker[] = []
    const state = { over: false, wake: () => {} }
    const tell = (told: ToWorker) => thread.worker.postMessage(told)
    const onAbort = () => state.wake()
    thread.listeners.set(id, (told) => {
      arrived.push(told)
      state.wake()
    })
    signal.addEventListener('abort', onAbort, { once: true })
    tell({ id, ...message } as ToWorker)
    return {
      more: () => tell({ id, kind: 'more' }),
      async take(): Promise<FromWorker> {
        while (arrived.length === 0 && !signal.aborted) await new Promise<void>((wake) => (state.wake = wake))
        signal.throwIfAborted()
        const told = arrived.shift()!
        if (told.kind === 'end' || told.kind === 'failed') state.over = true
        if (told.kind === 'failed')
          throw reconstructionFaults.scanFailed(`The results could not be read: ${told.message}.`)
        return told
      },
      close(): void {
        signal.removeEventListener('abort', onAbort)
        if (!state.over) tell({ id, kind: 'cancel' })
        release(thread, id)
      },
    }
  }

  return {
    async *scan(request, signal) {
      const work = begin({ kind: 'scan', request }, signal)
      try {
        for (;;) {
          const told = await work.take()
          if (told.kind === 'end') return
          if (told.kind === 'state') yield told.state
        }
      } finally {
        work.close()
      }
    },
    async *rows(request, signal) {
      const work = begin({ kind: 'export', request }, signal)
      try {
        for (;;) {
          const told = await work.take()
          if (told.kind === 'end') return
          if (told.kind !== 'bytes') continue
          yield told.bytes
          work.more()
        }
      } finally {
        work.close()
      }
    },
    threads: () => threads.length,
    async close() {
      await Promise.all(
        threads.splice(0).map(({ worker, idle }) => {
          clearTimeout(idle)
          return worker.terminate()
        }),
      )
    },
  }
}
