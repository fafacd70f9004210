/** Loops that sleep until there is something to do: woken by a commit or a poke, and once in a while anyway. */

export interface Ticket {
  /** Resolves at the first ring after this ticket was drawn, after the poll time, or when `signal` aborts. */
  wait(signal: AbortSignal, atMostMs?: number): Promise<void>
  /** Resolves after that time, rings or not, or when `signal` aborts. */
  pause(durationMs: number, signal: AbortSignal): Promise<void>
}

type Bell = 'work' | 'settled'

export class WakeUp {
  readonly #pollMs: number
  readonly #rings: Record<Bell, number> = { work: 0, settled: 0 }
  readonly #sleepers: Record<Bell, Set<() => void>> = { work: new Set(), settled: new Set() }

  constructor(pollMs: number) {
    this.#pollMs = pollMs
  }

  all(bell: Bell = 'work'): void {
    this.#rings[bell] += 1
    const sleepers = [...this.#sleepers[bell]]
    this.#sleepers[bell].clear()
    for (const wake of sleepers) wake()
  }

  /** Drawn before looking for work, so that a ring between the look and the sleep is not missed. */
  ticket(bell: Bell = 'work'): Ticket {
    const drawn = this.#rings[bell]
    return {
      wait: async (signal, atMostMs = this.#pollMs) => {
        if (this.#rings[bell] !== drawn) return
        await this.#sleep(Math.min(atMostMs, this.#pollMs), signal, this.#sleepers[bell])
      },
      pause: async (durationMs, signal) => await this.#sleep(durationMs, signal, undefined),
    }
  }

  async #sleep(durationMs: number, signal: AbortSignal, sleepers: Set<() => void> | undefined): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        sleepers?.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, durationMs)
      sleepers?.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}

/** Doubles with each attempt up to a ceiling; the jitter (half to whole) keeps failing things from coming together. */
export function backoffMs(attempt: number, firstMs: number, ceilingMs: number): number {
  const fullMs = Math.min(ceilingMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(fullMs * (0.5 + Math.random() / 2))
}
