/** Timers, clocks and chance of the thread a world runs in: all of them the world's. */
import { createHash } from 'node:crypto'
import { beginMs, type Cancel, type World } from './world.ts'

class SimulatedTimer {
  cancel: Cancel = () => {}
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
  hasRef(): boolean {
    return true
  }
}

/** The names below become the thread's own; `world()` is the world that runs now. */
export function simulatedGlobals(world: () => World) {
  const RealDate = Date
  const nowMs = (): number => world().process()?.machine.wallMs() ?? Math.floor(beginMs + world().nowMs)
  class SimulatedDate extends RealDate {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(nowMs())
      else super(...(given as [number]))
    }
    static override now(): number {
      return nowMs()
    }
  }

  // A timer never comes early, and never at the same instant as another.
  const later = (ms: number): number => Math.max(0, ms) + world().chance.next() * 2
  const once = (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]): SimulatedTimer => {
    const timer = new SimulatedTimer()
    timer.cancel = world().after(later(ms), `timer ${Math.round(ms)}`, () => run(...given))
    return timer
  }
  const again = (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]): SimulatedTimer => {
    const timer = new SimulatedTimer()
    const plan = (): void => {
      timer.cancel = world().after(later(ms), `interval ${Math.round(ms)}`, () => {
        plan()
        run(...given)
      })
    }
    plan()
    return timer
  }
  const clear = (timer: SimulatedTimer | undefined): void => timer?.cancel()
  const soon = (run: (...given: unknown[]) => void, ...given: unknown[]): SimulatedTimer => {
    const timer = new SimulatedTimer()
    timer.cancel = world().after(0, 'immediate', () => run(...given))
    return timer
  }

  const timeout = (ms: number): AbortSignal => {
    const controller = new AbortController()
    once(() => controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')), ms)
    return controller.signal
  }
  const sleep = async (ms: number, value?: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> => {
    signal?.throwIfAborted()
    return await new Promise((resolve, reject) => {
      const abort = (): void => {
        timer.cancel()
        reject(new DOMException('The operation was aborted', 'AbortError'))
      }
      const timer = once(() => {
        signal?.removeEventListener('abort', abort)
        resolve(value)
      }, ms)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }
  /** The real one works in other threads and ends when it likes. */
  const digest = (_name: string, bytes: Uint8Array): Promise<ArrayBuffer> => {
    const hash = createHash('sha256').update(bytes).digest()
    return Promise.resolve(new Uint8Array(hash).buffer)
  }
  return {
    Date: SimulatedDate,
    setTimeout: once,
    setInterval: again,
    setImmediate: soon,
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
    timeout,
    sleep,
    digest,
    random: () => world().chance.next(),
    monotonicMs: () => 1_000_000 + world().nowMs,
  }
}
