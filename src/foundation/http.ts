/**
 * The server's side of a contract: input checked, permission asked before the handler, answers checked, errors
 * rendered as problem+json, events and bytes streamed.
 */
import { fastify, LogController, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import type { z } from 'zod'
import { sendEvents } from './adapters/send-events.ts'
import type { Contract, GivenAnswerOf, RequestOf, Route, Routes, ServerEvent } from './contract.ts'
import { Fault, foundationFaults, problemOf, type FieldError } from './errors.ts'
import { uuid7 } from './ids.ts'
import type { Logger } from './log.ts'

/** Who asks. `subject` is what the gate's policy knows about them (identity's Subject); opaque here. */
export interface Caller {
  id: string
  kind: 'person' | 'client' | 'session' | 'job' | 'anonymous'
  name: string
  subject: unknown
}

/** Plugged in by identity: who asks, and may they? */
export interface Gate {
  /** The caller, of kind 'anonymous' if the request carries no credentials; throws a Fault 401 for bad ones. */
  authenticate(request: FastifyRequest): Promise<Caller>
  /** Throws a Fault 401 or 403 unless the caller may do this there (`undefined` = the whole site), to this thing. */
  require(caller: Caller, action: string, experiment: string | undefined, about?: About): void
  /**
   * For an answer that goes on for long: the same caller as he is now; throws when he is no longer signed in, or not
   * with what he began with. Keeps no sign-in alive.
   */
  still?(request: FastifyRequest, caller: Caller): Promise<Caller>
  /** Calls whenever somebody's rights have changed; answers what ends it. */
  onChange?(listener: () => void): () => void
  /** Hears of everything that a route answers instead of what was asked for. */
  refused?(request: FastifyRequest, error: unknown): void
}

/** What is known of the thing, in the words of the policy: `ownerId`, or `bucket`, `key`, `purpose` and `listing`. */
export type About = Readonly<Record<string, string | boolean | undefined>>

export interface RequestContext {
  caller: Caller
  requestId: string
  /** Aborts when the caller goes away before the answer is complete. */
  signal: AbortSignal
  /** Throws a Fault 401 or 403 unless the caller may do this there, to this thing. */
  require(action: string, experiment?: string, about?: About): void
  request: FastifyRequest
  reply: FastifyReply
  log: Logger
}

/** The answer of a route with `stream: 'bytes'`. */
export interface BytesAnswer {
  contentType: string
  sizeBytes?: number
  /** Default 200. */
  status?: number
  headers?: Record<string, string>
  body: Readable | Uint8Array
}

type HandlerAnswer<AnyRoute extends Route> = AnyRoute extends { readonly stream: 'events' }
  ? AsyncIterable<ServerEvent<GivenAnswerOf<AnyRoute>>> | Promise<AsyncIterable<ServerEvent<GivenAnswerOf<AnyRoute>>>>
  : AnyRoute extends { readonly stream: 'bytes' }
    ? Promise<BytesAnswer>
    : Promise<GivenAnswerOf<AnyRoute>>

export type Handlers<AnyRoutes extends Routes> = {
  [Name in keyof AnyRoutes]: (
    request: RequestOf<AnyRoutes[Name]>,
    context: RequestContext,
  ) => HandlerAnswer<AnyRoutes[Name]>
}

export interface AppOptions {
  log: Logger
  /** Of JSON bodies; default 4 MiB. Bytes travel by S3. */
  bodyLimitBytes?: number
}

/** A Fastify app that logs one line per request and renders every error as problem+json. Not yet listening. */
export function createApp({ log, bodyLimitBytes = 4 * 1024 * 1024 }: AppOptions): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: (request) => incomingId(request.headers['x-request-id']) ?? uuid7(),
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: true,
    return503OnClosing: false,
  }) as unknown as FastifyInstance
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    // The path only: queries may carry tokens and signatures.
    const path = request.url.split('?', 1)[0]
    const fields = { method: request.method, path, status: reply.statusCode, tookMs: Math.round(reply.elapsedTime) }
    request.log[reply.statusCode >= 500 ? 'error' : 'debug'](fields, 'request')
  })
  app.setErrorHandler((error, request, reply) => sendFault(error, request, reply))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]
    return sendFault(foundationFaults.noSuchRoute(`There is nothing at ${request.method} ${path}.`), request, reply)
  })
  return app
}

/**
 * Binds a contract to functions. For each request: authenticate, check the shape (422 with field paths), ask the gate,
 * call the handler. A route whose permission is of 'loaded' must call `context.require` before it answers, or else
 * the answer is a 500 and nothing is given away.
 */
export function bindRoutes<AnyRoutes extends Routes>(
  app: FastifyInstance,
  contract: Contract<AnyRoutes>,
  handlers: Handlers<AnyRoutes>,
  gate: Gate,
): void {
  for (const [name, route] of Object.entries(contract.routes)) {
    const handler = handlers[name] as unknown as AnyHandler
    app.route({
      method: route.method,
      url: route.path,
      ...(route.bodyLimitBytes !== undefined && { bodyLimit: route.bodyLimitBytes }),
      handler: async (request, reply) => {
        try {
          await answer(route, handler, gate, request, reply)
        } catch (error) {
          gate.refused?.(request, error)
          await sendFault(error, request, reply)
        }
        return reply
      },
    })
  }
}

type AnyHandler = (request: Record<'params' | 'query' | 'body', unknown>, context: RequestContext) => unknown

async function answer(route: Route, handler: AnyHandler, gate: Gate, request: FastifyRequest, reply: FastifyReply) {
  const caller = await callerOf(route, gate, request)
  // For the gateway in front, which passes it on to nobody: whose share of the platform this request takes from.
  if (caller.kind !== 'anonymous') reply.header('x-cygnet-principal', `${caller.kind} ${caller.id}`)
  const input = checkInput(route, request)
  const { permission } = route
  let asked = typeof permission === 'string' || permission.of !== 'loaded'
  const granted: Granted[] = []
  if (typeof permission === 'object' && permission.of !== 'loaded') {
    const experiment = permission.of === 'site' ? undefined : experimentOf(permission.of, input)
    gate.require(caller, permission.action, experiment)
    granted.push([permission.action, experiment, undefined])
  }
  const over = new AbortController()
  const context: RequestContext = {
    caller,
    requestId: request.id,
    signal: AbortSignal.any([signalOf(reply), over.signal]),
    require(action, experiment, about) {
      gate.require(caller, action, experiment, about)
      asked = true
      granted.push([action, experiment, about])
    },
    request,
    reply,
    log: request.log as Logger,
  }
  const given = await handler(input, context)
  if (route.stream === 'events') {
    using _ = caller.kind === 'anonymous' ? undefined : keepAsking(gate, request, caller, granted, over)
    await sendEvents(given as AsyncIterable<ServerEvent>, {
      request,
      reply,
      signal: context.signal,
      check: (data) => checkAnswer(route, data),
      mayStart: () => asked,
      refuse: () => notAsked(route),
    })
    return
  }
  if (!asked) throw notAsked(route)
  if (route.stream === 'bytes') return sendBytes(given as BytesAnswer, request, reply)
  if (route.answer === undefined) return reply.code(reply.statusCode === 200 ? 204 : reply.statusCode).send()
  const text = JSON.stringify(checkAnswer(route, given))
  return reply.header('content-type', 'application/json').header('cache-control', 'no-store').send(text)
}

type Granted = [action: string, experiment: string | undefined, about: About | undefined]

/** Sign-outs are seen this late in streams that are open; changes of rights at once. */
const askAgainMs = 4000

/** Ends a stream whose caller may no longer have it: everything he was granted for it is asked again. */
function keepAsking(
  gate: Gate,
  request: FastifyRequest,
  caller: Caller,
  granted: readonly Granted[],
  over: AbortController,
): Disposable {
  const ask = async (): Promise<void> => {
    const now = (await gate.still?.(request, caller)) ?? caller
    for (const [action, experiment, about] of granted) gate.require(now, action, experiment, about)
  }
  const askOrEnd = (): void => {
    ask().catch((error: unknown) => {
      if (over.signal.aborted) return
      if (!(error instanceof Fault)) request.log.error({ error }, 'whether a stream may go on could not be asked')
      over.abort(new Error('the caller may no longer have this stream', { cause: error }))
    })
  }
  const unfollow = gate.onChange?.(askOrEnd)
  const timer = setInterval(askOrEnd, askAgainMs)
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
      unfollow?.()
    },
  }
}

function notAsked(route: Route): Fault {
  return foundationFaults.permissionNotChecked(`${route.method} ${route.path} did not ask whether the caller may.`)
}

async function callerOf(route: Route, gate: Gate, request: FastifyRequest): Promise<Caller> {
  if (route.permission === 'public') {
    // A public route must work with an expired cookie too: that is how one signs in again.
    return await gate.authenticate(request).catch((error: unknown) => {
      if (error instanceof Fault && error.status === 401) return anonymous
      throw error
    })
  }
  const caller = await gate.authenticate(request)
  // Whatever else a route asks: nobody does it. Before anything is loaded, so that a 404 tells strangers nothing.
  if (caller.kind === 'anonymous') {
    throw foundationFaults.signInNeeded('This needs a signed-in person.')
  }
  return caller
}

const anonymous: Caller = { id: 'anonymous', kind: 'anonymous', name: 'anonymous', subject: undefined }

function checkInput(route: Route, request: FastifyRequest): Record<'params' | 'query' | 'body', unknown> {
  const errors: FieldError[] = []
  const check = (name: 'params' | 'query' | 'body', schema: z.ZodType | undefined, value: unknown): unknown => {
    if (schema === undefined) return name === 'body' ? undefined : {}
    const result = schema.safeParse(value)
    if (result.success) return result.data
    for (const issue of result.error.issues) errors.push({ path: pathOf(name, issue.path), message: issue.message })
    return undefined
  }
  const input = {
    params: check('params', route.params, request.params),
    query: check('query', route.query, request.query),
    body: check('body', route.body, request.body),
  }
  if (errors.length === 0) return input
  const [first] = errors
  throw foundationFaults.invalidInput(`${first!.path}: ${first!.message}`, {
    hint: errors.length === 1 ? 'Correct this field.' : `Correct these ${errors.length} fields.`,
    extra: { errors },
  })
}

function pathOf(part: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    part,
  )
}

/** Takes 'params.experiment' out of the checked input. */
function experimentOf(place: string, input: Record<string, unknown>): string {
  let value: unknown = input
  for (const name of place.split('.')) value = (value as Record<string, unknown> | undefined)?.[name]
  if (typeof value === 'string' && value !== '') return value
  throw foundationFaults.invalidInput(`${place}: names no experiment`, {
    extra: { errors: [{ path: place, message: 'names no experiment' }] },
  })
}

/** The answer as the contract describes it: fields that it does not name are left out, a wrong one is our bug. */
function checkAnswer(route: Route, given: unknown): unknown {
  if (route.answer === undefined) return given
  const result = route.answer.safeParse(given)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw foundationFaults.answerBreaksContract(
    `${route.method} ${route.path}: ${pathOf('answer', issue!.path)}: ${issue!.message}`,
    { cause: result.error },
  )
}

async function sendBytes(given: BytesAnswer, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply
    .code(given.status ?? 200)
    .header('content-type', given.contentType)
    .headers(given.headers ?? {})
  if (given.sizeBytes !== undefined) reply.header('content-length', given.sizeBytes)
  if (given.body instanceof Readable) {
    given.body.once('error', (error) => request.log.error({ error }, 'a stream of bytes broke'))
    // Fastify ends a broken stream by cutting the connection, so that nobody takes the part for the whole.
    reply.send(given.body)
    return
  }
  reply.send(Buffer.from(given.body.buffer, given.body.byteOffset, given.body.byteLength))
}

/** Renders anything thrown; what is not the caller's doing is logged with the request's id. */
async function sendFault(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const fault = faultOf(error)
  const problem = problemOf(fault ?? error, request.id)
  if (problem.status >= 500 && problem.status !== 503)
    request.log.error({ error }, `${problem.code}: ${request.method} ${request.url.split('?', 1)[0]}`)
  if (reply.sent || reply.raw.headersSent) {
    reply.raw.destroy()
    return
  }
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer')
  if (typeof problem.retryAfterSeconds === 'number') reply.header('retry-after', problem.retryAfterSeconds)
  await reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problem))
}

/** Fastify's own refusals (bad JSON, too large a body) as Faults of ours. */
function faultOf(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode === 413) return foundationFaults.bodyTooLarge('The request body is too large.', { cause: error })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return foundationFaults.badRequest(message ?? 'The request cannot be understood.', { cause: error })
  }
  return undefined
}

function signalOf(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the caller went away'))
  })
  return gone.signal
}

function incomingId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w-]{8,64}$/.test(header) ? header : undefined
}
