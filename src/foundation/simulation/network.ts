/**
 * The network between simulated machines: one request, one answer, and everything that goes wrong with them. A request
 * may be lost, come late, come twice, overtake another; an answer may be lost after its effect; the line may be cut, or
 * be silent with nobody saying so (half-open).
 */
import type { SimulatedProcess, World } from './world.ts'
import { systemError } from './disk.ts'

export interface SimulatedRequest {
  method: string
  /** Without the origin; with the query. */
  path: string
  headers: Record<string, string>
  body: Buffer
}

export interface SimulatedAnswer {
  status: number
  headers: Record<string, string>
  body: Buffer
}

type Handler = (request: SimulatedRequest) => Promise<SimulatedAnswer>

export class SimulatedNetwork {
  readonly #world: World
  readonly #services = new Map<string, { process: SimulatedProcess; handler: Handler }>()
  /** Of each request and of each answer. */
  loss = 0
  duplicates = 0
  /** Longest delay of a message. */
  delayMs = 5
  line: 'up' | 'refused' | 'silent' = 'up'

  constructor(world: World) {
    this.#world = world
  }

  /** The current process serves this origin, e.g. 'http://store', as long as it lives. */
  listen(origin: string, handler: Handler): void {
    this.#services.set(origin, { process: this.#world.requireProcess(), handler })
  }

  /** Settles with the answer, rejects with ECONNREFUSED or ECONNRESET, or never: then the caller's patience decides. */
  ask(origin: string, request: SimulatedRequest): Promise<SimulatedAnswer> {
    const world = this.#world
    const { chance } = world
    const caller = world.requireProcess()
    const label = `${request.method} ${request.path.split('?')[0]}`
    return new Promise<SimulatedAnswer>((resolve, reject) => {
      const fail = (code: string, delayMs: number): void =>
        void world.after(delayMs, `${code} of ${label}`, () => reject(systemError(code, 'connect', origin)), caller)
      const lose = (what: string): void => {
        world.fault(`${what} of ${label} lost`)
        // Half of what is lost is told by a reset, half of it by nothing at all.
        if (chance.of(0.5)) fail('ECONNRESET', chance.next() * 100)
      }
      if (this.line === 'refused') return fail('ECONNREFUSED', 1)
      if (this.line === 'silent') return
      const deliver = (mayAnswer: boolean): void => {
        const service = this.#services.get(origin)
        if (service === undefined || !service.process.alive) return fail('ECONNREFUSED', 1)
        const served = world.after(
          0,
          `serve ${label}`,
          () => {
            void service.handler(request).then((answer) => {
              if (!mayAnswer) return
              if (this.line !== 'up' || chance.of(this.loss)) return lose('the answer')
              world.after(
                chance.next() * this.delayMs,
                `answer ${answer.status} to ${label}`,
                () => resolve(answer),
                caller,
              )
            })
          },
          service.process,
        )
        // A server that dies resets what it had not answered.
        service.process.onGone.push(() => {
          served()
          fail('ECONNRESET', 1)
        })
      }
      if (chance.of(this.loss)) return lose('the request')
      const travelMs = chance.next() * this.delayMs
      // The network carries what was sent even when its sender has died since.
      world.after(
        travelMs,
        `carry ${label}`,
        () => (this.line === 'up' ? deliver(true) : lose('the request')),
        'nobody',
      )
      if (!chance.of(this.duplicates)) return
      world.fault(`${label} came twice`)
      const laterMs = travelMs + chance.next() * this.delayMs * 20
      world.after(laterMs, `carry again ${label}`, () => deliver(false), 'nobody')
    })
  }
}
