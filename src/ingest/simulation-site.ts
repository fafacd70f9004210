/** For the simulation: control of a site (facts, jobs, logbook, receiver and the routes of the agents), all of it real. */
import { EventEmitter } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { openDatabase } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import type { Gate } from '../foundation/http.ts'
import { openJobs } from '../foundation/jobs.ts'
import { silentLogger } from '../foundation/log.ts'
import type { SimulatedAnswer, SimulatedRequest, Simulation } from '../foundation/simulation.ts'
import { systemClock } from '../foundation/time.ts'
import { openLogbook } from '../logbook/index.ts'
import { followStorageChanges } from '../storage/index.ts'
import { openIngest } from './ingest.ts'
import { simulatedRunFormat } from './simulation-run-format.ts'
import type { SimulatedStore } from './simulation-store.ts'

export const databasePath = '/database/cygnet.sqlite'
const log = silentLogger()
const tokenMs = 3_600_000

interface BoundRoute {
  method: string
  pattern: RegExp
  names: string[]
  handler(request: object, reply: object): Promise<unknown>
}

/** Opens control on what its disk holds, and serves until its process dies. */
export async function control(simulation: Simulation, store: SimulatedStore): Promise<never> {
  const { world, network } = simulation
  const clock = systemClock()
  const database = await openDatabase({ url: `sqlite:${databasePath}`, exclusive: true, log })
  const facts = openFacts({ database, clock, log })
  const jobs = openJobs({ database, clock, log, soleWorker: true })
  const logbook = openLogbook({ database, facts, clock })
  const storage = store.asStorage()
  followStorageChanges({ storage, database, clock, log })
  const s3 = { url: 'http://store', region: 'local' }
  const formats = [simulatedRunFormat()]
  const ingest = openIngest({ database, facts, jobs, logbook, files: storage, clock, log, s3, formats })
  ingest.start()
  const routes: BoundRoute[] = []
  ingest.routes(collecting(routes), gate)
  jobs.start()
  const machine = world.machine('site')
  network.listen('http://control', async (request) => {
    if (request.path === '/api/identity/token') {
      const expiresAtMs = machine.wallMs() + tokenMs
      return json(200, { accessToken: `token until ${expiresAtMs}`, tokenType: 'Bearer', expiresAtMs })
    }
    const untilMs = Number(/token until (\d+)/.exec(request.headers.authorization ?? '')?.[1] ?? 0)
    if (untilMs <= machine.wallMs())
      return json(401, { code: 'identity.invalid_token', status: 401, title: 'x', detail: 'no longer', type: 'x' })
    return await serve(routes, request)
  })
  return await new Promise(() => {})
}

const gate: Gate = {
  authenticate: async () => ({ id: 'daq1', kind: 'client', name: 'daq1', subject: undefined }),
  require: () => undefined,
}

function collecting(routes: BoundRoute[]): FastifyInstance {
  const route = (given: { method: string; url: string; handler: BoundRoute['handler'] }): void => {
    const names = [...given.url.matchAll(/:(\w+)/g)].map(([, name]) => name!)
    const pattern = new RegExp(`^${given.url.replaceAll(/:\w+/g, '([^/]+)')}$`)
    routes.push({ method: given.method, pattern, names, handler: given.handler })
  }
  return { route } as unknown as FastifyInstance
}

async function serve(routes: BoundRoute[], request: SimulatedRequest): Promise<SimulatedAnswer> {
  const { pathname, searchParams } = new URL(request.path, 'http://control')
  const found = routes.find(({ method, pattern }) => method === request.method && pattern.test(pathname))
  if (found === undefined) return json(404, {})
  const values = found.pattern.exec(pathname)!.slice(1).map(decodeURIComponent)
  const params = Object.fromEntries(found.names.map((name, index) => [name, values[index]]))
  const answer: SimulatedAnswer = { status: 200, headers: {}, body: Buffer.alloc(0) }
  const reply = {
    sent: false,
    raw: new EventEmitter(),
    get statusCode() {
      return answer.status
    },
    code(status: number) {
      answer.status = status
      return reply
    },
    header: () => reply,
    headers: () => reply,
    send(text = '') {
      answer.body = Buffer.from(text)
      return reply
    },
  }
  const body: unknown = request.body.length === 0 ? undefined : JSON.parse(request.body.toString())
  await found.handler(
    {
      id: 'request',
      method: request.method,
      url: request.path,
      params,
      query: Object.fromEntries(searchParams),
      body,
      log,
    },
    reply,
  )
  return answer
}

function json(status: number, body: object): SimulatedAnswer {
  return { status, headers: {}, body: Buffer.from(JSON.stringify(body)) }
}
