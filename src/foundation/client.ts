/**
 * The caller's side of a contract: a typed function per route, straight from the contract, no generated code. Runs in
 * browsers and in Node; settings are data.
 */
import type { AnswerOf, CallOf, Contract, Route, ServerEvent } from './contract.ts'
import { faultOfProblem, foundationFaults, type Fault } from './errors.ts'

export interface ClientSettings {
  /** 'http://127.0.0.1:8410'; '' in a page, for its own origin. */
  baseUrl: string
  fetch?: typeof fetch
  /** Sent with every request; a function is asked each time, e.g. for a fresh token. */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)
}

export interface CallOptions {
  signal?: AbortSignal
  /** Continue a stream of events after this id. */
  lastEventId?: string
  /** Bytes to send instead of a JSON body; a stream is sent as it comes. */
  bytes?: NonNullable<RequestInit['body']>
  /** For this request only, e.g. Range. */
  headers?: Record<string, string>
}

type ClientAnswer<AnyRoute extends Route> = AnyRoute extends { readonly stream: 'events' }
  ? AsyncIterable<ServerEvent<AnswerOf<AnyRoute>>>
  : AnyRoute extends { readonly stream: 'bytes' }
    ? Promise<Response>
    : Promise<AnswerOf<AnyRoute>>

type ClientCall<AnyRoute extends Route> =
  Record<never, never> extends CallOf<AnyRoute>
    ? (call?: CallOf<AnyRoute>, options?: CallOptions) => ClientAnswer<AnyRoute>
    : (call: CallOf<AnyRoute>, options?: CallOptions) => ClientAnswer<AnyRoute>

export type Client<AnyContract extends Contract> = {
  [Name in keyof AnyContract['routes']]: ClientCall<AnyContract['routes'][Name]>
}

interface Call {
  params?: Record<string, unknown>
  query?: Record<string, unknown>
  body?: unknown
}

/**
 * `client.listRuns({ params, query, body }, { signal })`. Resolves with the checked answer; a route of events gives an
 * async iterable, one of bytes the `Response`. Throws a Fault: the server's own, rebuilt, or 'foundation.unreachable'.
 */
export function createClient<AnyContract extends Contract>(
  contract: AnyContract,
  settings: ClientSettings,
): Client<AnyContract> {
  const calls = Object.entries(contract.routes).map(([name, route]) => {
    const call = (given: Call = {}, options: CallOptions = {}): unknown => {
      if (route.stream === 'events') return events(route, given, options, settings)
      if (route.stream === 'bytes') return send(route, given, options, settings)
      return send(route, given, options, settings).then((response) => readAnswer(route, response))
    }
    return [name, call]
  })
  return Object.fromEntries(calls) as Client<AnyContract>
}

/** The address of a route with its parameters filled in, for links and images. */
export function addressOf<AnyRoute extends Route>(route: AnyRoute, given: CallOf<AnyRoute>, baseUrl = ''): string {
  return address(route, given as Call, baseUrl)
}

function address(route: Route, { params = {}, query = {} }: Call, baseUrl: string): string {
  const path = route.path.replace(/:(\w+)|\*$/g, (_all, name: string | undefined) => {
    const value = params[name ?? '*']
    if (value === undefined) throw new TypeError(`${route.path} needs the parameter '${name ?? '*'}'`)
    return name === undefined
      ? String(value).split('/').map(encodeURIComponent).join('/')
      : encodeURIComponent(String(value))
  })
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one))
  }
  return `${baseUrl.replace(/\/$/, '')}${path}${search.size === 0 ? '' : `?${search.toString()}`}`
}

async function send(route: Route, given: Call, options: CallOptions, settings: ClientSettings): Promise<Response> {
  const own = typeof settings.headers === 'function' ? await settings.headers() : settings.headers
  const headers: Record<string, string> = { accept: 'application/json', ...own, ...options.headers }
  if (route.stream === 'events') headers.accept = 'text/event-stream'
  if (route.stream === 'bytes') headers.accept = '*/*'
  if (options.lastEventId !== undefined) headers['last-event-id'] = options.lastEventId
  const init: RequestInit = { method: route.method, headers }
  if (options.signal !== undefined) init.signal = options.signal
  if (route.body !== undefined && given.body !== undefined) {
    headers['content-type'] = 'application/json'
    init.body = JSON.stringify(given.body)
  }
  if (options.bytes !== undefined) {
    headers['content-type'] = 'application/octet-stream'
    Object.assign(init, { body: options.bytes, duplex: 'half' })
  }
  const { fetch: ask = fetch, baseUrl } = settings
  const response = await ask(address(route, given, baseUrl), init).catch((cause: unknown) => {
    options.signal?.throwIfAborted()
    throw foundationFaults.unreachable(`No answer from ${baseUrl || 'the platform'}.`, { cause })
  })
  if (response.ok) return response
  throw await refusal(route, response)
}

/** The server's Fault; what a proxy in between says becomes one as well. */
async function refusal(route: Route, response: Response): Promise<Fault> {
  const text = await response.text().catch(() => '')
  const fault = faultOfProblem(parsed(text))
  if (fault !== undefined) return fault
  const detail = `${route.method} ${route.path} was answered with status ${response.status}.`
  const make = [502, 503, 504].includes(response.status)
    ? foundationFaults.unreachable
    : foundationFaults.unexpectedAnswer
  return make(detail, { extra: { status: response.status, body: text.slice(0, 500) } })
}

async function readAnswer(route: Route, response: Response): Promise<unknown> {
  const text = await response.text()
  if (route.answer === undefined) return undefined
  return checked(route, parsed(text))
}

function checked(route: Route, value: unknown): unknown {
  if (route.answer === undefined) return value
  const result = route.answer.safeParse(value)
  if (result.success) return result.data
  throw foundationFaults.unexpectedAnswer(
    `${route.method} ${route.path} gave an answer that this version does not know.`,
    {
      cause: result.error,
      hint: 'Client and platform may be of different versions.',
      retry: false,
    },
  )
}

async function* events(
  route: Route,
  given: Call,
  options: CallOptions,
  settings: ClientSettings,
): AsyncGenerator<ServerEvent> {
  const response = await send(route, given, options, settings)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  try {
    let rest = ''
    for (;;) {
      const { value, done } = await reader.read().catch((cause: unknown) => {
        options.signal?.throwIfAborted()
        throw foundationFaults.unreachable('The stream of events was cut.', { cause })
      })
      if (done) return
      const blocks = (rest + value).split('\n\n')
      rest = blocks.pop()!
      for (const block of blocks) {
        const event = parseEvent(block)
        if (event === undefined) continue
        if (event.event === 'fault')
          throw faultOfProblem(event.data) ?? foundationFaults.unexpectedAnswer('The stream broke.')
        yield { ...event, data: checked(route, event.data) }
      }
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** One block of the event stream; `undefined` for comments. Our servers send one data line per event. */
function parseEvent(block: string): ServerEvent | undefined {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const match = /^(\w+): ?(.*)$/.exec(line)
    if (match !== null) fields.set(match[1]!, match[2]!)
  }
  const data = fields.get('data')
  if (data === undefined) return undefined
  const id = fields.get('id')
  return { event: fields.get('event') ?? 'message', data: parsed(data), ...(id === undefined ? {} : { id }) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
