/**
 * Faults: the one kind of error a caller may see. Every other thing that is thrown is a bug: it is logged with the
 * request's id and never shown. Runs in browsers and in Node.
 */

export interface FaultDefinition {
  /** HTTP status; the command line derives its exit code from it. */
  readonly status: number
  /** The same for every occurrence, e.g. 'No such bucket'. */
  readonly title: string
  /** What the reader can do, unless the place that throws knows better. */
  readonly hint?: string
  /** True when the same request may succeed later without any change. */
  readonly retry?: boolean
}

export interface FaultOptions {
  hint?: string
  cause?: unknown
  retry?: boolean
  /** Further facts for programs, rendered as members of the problem body (e.g. `errors` of a 422). */
  extra?: Record<string, unknown>
}

interface FaultParts extends FaultOptions {
  code: string
  status: number
  title: string
  detail: string
}

/** RFC 9457 problem details, with our code, hint and request id. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  hint?: string
  retry?: boolean
  requestId: string
  [member: string]: unknown
}

export class Fault<Code extends string = string> extends Error {
  readonly code: Code
  readonly status: number
  readonly title: string
  /** What happened, for the person who asked. */
  readonly detail: string
  /** What to do about it. */
  readonly hint: string | undefined
  readonly retry: boolean
  readonly extra: Record<string, unknown> | undefined
  /** The request in which it happened, when it came over the wire. */
  requestId: string | undefined

  constructor(parts: FaultParts & { code: Code }) {
    super(parts.detail, parts.cause === undefined ? undefined : { cause: parts.cause })
    this.name = 'Fault'
    this.code = parts.code
    this.status = parts.status
    this.title = parts.title
    this.detail = parts.detail
    this.hint = parts.hint
    this.retry = parts.retry ?? false
    this.extra = parts.extra
  }
}

type SnakeCase<Text extends string> = Text extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeCase<Rest>}`
  : Text

type Catalogue<Room extends string, Definitions> = {
  [Name in keyof Definitions & string]: (detail: string, options?: FaultOptions) => Fault<`${Room}.${SnakeCase<Name>}`>
}

/** The closed union of the codes of a catalogue, so that a `switch` over them is checked. */
export type CodeOf<AnyCatalogue extends Record<string, (detail: string) => Fault>> = ReturnType<
  AnyCatalogue[keyof AnyCatalogue]
>['code']

/**
 * The faults of one room. `catalogue('storage', { noSuchBucket: { status: 404, title: 'No such bucket' } })` gives
 * `{ noSuchBucket(detail, options?) }`, whose faults carry the code 'storage.no_such_bucket'.
 */
export function catalogue<Room extends string, const Definitions extends Record<string, FaultDefinition>>(
  room: Room,
  definitions: Definitions,
): Catalogue<Room, Definitions> {
  const entries = Object.entries(definitions).map(([name, definition]) => {
    const code = `${room}.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`
    return [
      name,
      (detail: string, options: FaultOptions = {}) => new Fault({ ...definition, ...options, code, detail }),
    ]
  })
  return Object.fromEntries(entries) as Catalogue<Room, Definitions>
}

/** Faults of the foundation itself; other rooms have their own `errors.ts`. */
export const foundationFaults = catalogue('foundation', {
  unexpected: { status: 500, title: 'Unexpected error', hint: 'Report it with the request id; the log has the rest.' },
  invalidInput: { status: 422, title: 'Invalid input' },
  badRequest: { status: 400, title: 'Bad request' },
  bodyTooLarge: { status: 413, title: 'Request body too large' },
  noSuchRoute: { status: 404, title: 'No such address' },
  signInNeeded: { status: 401, title: 'Sign-in needed', hint: 'Sign in and try again.' },
  permissionNotChecked: { status: 500, title: 'Permission not checked' },
  answerBreaksContract: { status: 500, title: 'Answer breaks the contract' },
  unexpectedAnswer: { status: 502, title: 'Unexpected answer', retry: true },
  unreachable: {
    status: 503,
    title: 'Not reachable',
    hint: 'Check that the platform is running and that the address is right.',
    retry: true,
  },
  locked: { status: 409, title: 'Already in use' },
  networkFileSystem: {
    status: 500,
    title: 'Database on a network file system',
    hint: 'Put the home on a local disk (--home), or configure PostgreSQL.',
  },
  badDatabaseUrl: { status: 400, title: 'Bad database address' },
  databaseUnavailable: { status: 503, title: 'Database not available', retry: true },
  databaseDamaged: { status: 500, title: 'Database damaged' },
  databaseMoving: { status: 409, title: 'Database is being moved' },
  databasesDiffer: { status: 409, title: 'The databases differ' },
  diskFull: {
    status: 507,
    title: 'No room left',
    hint: 'Free some room; nothing needs to be started again.',
    retry: true,
  },
  migrationFailed: { status: 500, title: 'Migration failed' },
  invalidConfig: { status: 400, title: 'Invalid configuration' },
  invalidFile: { status: 500, title: 'Invalid file' },
  commandNotFound: { status: 500, title: 'Command not found' },
  commandTimedOut: { status: 504, title: 'Command timed out', retry: true },
  injected: { status: 500, title: 'Injected failure', retry: true },
  noSuchJob: { status: 404, title: 'No such background job' },
})

/**
 * The RFC 9457 body of anything thrown. A `Fault` says what it says; anything else is a bug, whose words stay in the
 * log: the body then only carries 'foundation.unexpected' and the request id.
 */
export function problemOf(error: unknown, requestId: string): Problem {
  const fault =
    error instanceof Fault ? error : foundationFaults.unexpected('Something went wrong on our side.', { cause: error })
  return {
    ...fault.extra,
    type: `urn:cygnet:fault:${fault.code}`,
    title: fault.title,
    status: fault.status,
    detail: fault.detail,
    code: fault.code,
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    ...(fault.retry ? { retry: true } : {}),
    requestId,
  }
}

const standardMembers = new Set(['type', 'title', 'status', 'detail', 'code', 'hint', 'retry', 'requestId'])

/** The reverse of `problemOf`: a Fault from a problem body, or `undefined` if it is none. */
export function faultOfProblem(body: unknown): Fault | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const problem = body as Partial<Problem>
  if (typeof problem.code !== 'string' || typeof problem.status !== 'number') return undefined
  const extra = Object.fromEntries(Object.entries(problem).filter(([member]) => !standardMembers.has(member)))
  const fault = new Fault({
    code: problem.code,
    status: problem.status,
    title: problem.title ?? problem.code,
    detail: problem.detail ?? problem.title ?? problem.code,
    retry: problem.retry ?? false,
    ...(problem.hint === undefined ? {} : { hint: problem.hint }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  })
  fault.requestId = problem.requestId
  return fault
}

/**
 * Exit code of the command line: 0 ok, 1 failed, 2 usage (400, 422), 3 not found (404, 410), 4 sign-in needed (401),
 * 5 temporary (429, 502, 503, 504), 6 not allowed (403), 7 no room (507), 8 conflict or checksum (409, 412).
 */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof Fault)) return 1
  return exitCodes[error.status] ?? 1
}

const exitCodes: Record<number, number> = {
  400: 2,
  422: 2,
  404: 3,
  410: 3,
  401: 4,
  429: 5,
  502: 5,
  503: 5,
  504: 5,
  403: 6,
  507: 7,
  409: 8,
  412: 8,
}

interface NodeError {
  code?: string
  path?: string
}

/** What the operating system says of a path that somebody gave: theirs to mend, no bug of ours. */
const systemFaults: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'it is there already, and not what is needed',
  EACCES: 'it may not be read or written by you',
  EPERM: 'it may not be read or written by you',
  EROFS: 'its file system is read-only',
  ENOSPC: 'no room is left on its disk',
}

/** What the command line prints on stderr for anything thrown: what happened, what to do, where to look. */
export function faultLines(error: unknown): string[] {
  if (!(error instanceof Fault)) {
    const message = error instanceof Error ? error.message : String(error)
    const why = systemFaults[(error as NodeError | null)?.code ?? '']
    const path = (error as NodeError | null)?.path
    if (why !== undefined && path !== undefined) return [`error: ${path}: ${why}.`, `  (${message})`]
    return [`error: ${message}`, '  (a bug; please report it)']
  }
  const fields = Array.isArray(error.extra?.errors) ? (error.extra.errors as FieldError[]) : []
  return [
    `error: ${error.detail}`,
    ...fields.map((field) => `  ${field.path}: ${field.message}`),
    ...(error.hint === undefined ? [] : [`  ${error.hint}`]),
    `  [${error.code}${error.requestId === undefined ? '' : `, request ${error.requestId}`}]`,
  ]
}

/** One wrong field of a 422: `path` like 'body.files[2].name'. */
export interface FieldError {
  path: string
  message: string
}
