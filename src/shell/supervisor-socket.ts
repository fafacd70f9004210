/**
 * What only the owner of the home may ask of the supervisor, over `HOME/run/supervisor.sock` (0600): its state, a
 * hand-over to another version (its steps are streamed as JSON lines), the end.
 */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { faultOfProblem, problemOf } from '../foundation/errors.ts'
import type { Logger } from '../foundation/log.ts'
import { shellFaults } from './errors.ts'
import type { Order, Step } from './hand-over.ts'
import type { Home } from './home.ts'
import type { ProcessState } from './supervisor.ts'

interface SupervisorState {
  version: string
  pid: number
  /** False until the platform serves for the first time, and during a hand-over. */
  ready: boolean
  processes: ProcessState[]
}

type HandOverEvent =
  | ({ event: 'step' } & Step)
  | { event: 'done'; version: string }
  | { event: 'failed'; problem: unknown }

interface SupervisorRequests {
  state(): SupervisorState
  /** Resolves when the other version serves. */
  handOver(order: Order, tell: (step: Step) => void): Promise<void>
  /** After the answer to a hand-over was sent. */
  continue(): void
  stop(): void
}

const orderSchema = z.strictObject({
  to: z.string().regex(/^[\w.+-]+$/),
  how: z.enum(['upgrade', 'rollback']),
  copy: z.string().exactOptional(),
  servePatienceMs: z.int().positive().optional(),
})

function socketPath(home: Home): string {
  return join(home.run, 'supervisor.sock')
}

/** Resolves when it listens; answers what ends it. */
export async function answerRequests(
  home: Home,
  requests: SupervisorRequests,
  log: Logger,
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    answer(request, response, requests).catch((error: unknown) => {
      log.error({ err: error, path: request.url }, 'a request to the supervisor failed')
      response.destroy()
    })
  })
  await rm(socketPath(home), { force: true })
  const umask = process.umask(0o177)
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      server.listen({ path: socketPath(home) }, done)
    })
  } finally {
    process.umask(umask)
  }
  return () => new Promise((done) => (server.close(() => done()), server.closeAllConnections()))
}

async function answer(request: IncomingMessage, response: ServerResponse, requests: SupervisorRequests): Promise<void> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /state':
      return void response.end(JSON.stringify(requests.state()))
    case 'POST /stop':
      response.end('{}')
      return requests.stop()
    case 'POST /hand-over': {
      const order = orderSchema.parse(JSON.parse(await bodyOf(request)))
      const send = (event: HandOverEvent) => void response.write(`${JSON.stringify(event)}\n`)
      try {
        await requests.handOver(order, (step) => send({ event: 'step', ...step }))
      } catch (error) {
        send({ event: 'failed', problem: problemOf(error, 'supervisor') })
        return void response.end()
      }
      send({ event: 'done', version: order.to })
      // What follows may end this process as it is: only once the answer is out.
      return void response.end(() => requests.continue())
    }
    default:
      return void response.writeHead(404).end()
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

/** Undefined when no supervisor answers in this home. */
export async function supervisorState(home: Home): Promise<SupervisorState | undefined> {
  try {
    const answer = await ask(home, 'GET', '/state', undefined, 5_000)
    return JSON.parse(await bodyOf(answer)) as SupervisorState
  } catch {
    return undefined
  }
}

export async function askToStop(home: Home): Promise<void> {
  ;(await ask(home, 'POST', '/stop', undefined, 5_000)).resume()
}

/** Throws the fault of the supervisor when the other version does not serve. */
export async function askToHandOver(home: Home, order: Order, hear: (step: Step) => void): Promise<void> {
  const answer = await ask(home, 'POST', '/hand-over', order, 0)
  for await (const line of createInterface({ input: answer })) {
    const event = JSON.parse(line) as HandOverEvent
    if (event.event === 'done') return
    if (event.event === 'failed') {
      throw faultOfProblem(event.problem) ?? shellFaults.switchFailed('The supervisor gave no reason.')
    }
    hear(event)
  }
  throw shellFaults.switchFailed('The supervisor ended in the middle of the hand-over.', {
    hint: 'Start it again with: cygnet up. It takes the hand-over up where it stopped.',
  })
}

function ask(home: Home, method: string, path: string, body: unknown, timeoutMs: number): Promise<IncomingMessage> {
  return new Promise((done, failed) => {
    const request = httpRequest({ socketPath: socketPath(home), method, path, agent: false, timeout: timeoutMs }, done)
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', (cause) =>
      failed(shellFaults.notRunning(`No Cygnet that can be asked runs in ${home.folder}.`, { cause })),
    )
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
