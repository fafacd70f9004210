/**
 * Contracts: what a room says over HTTP, as data. One contract per room gives the server's checks, the typed client,
 * `openapi.json` and the command line. Runs in browsers and in Node.
 */
import { z } from 'zod'

/** Everything a person, client or job can be allowed to do. The policy in `identity` decides; deny by default. */
export const actions = [
  'site.admin',
  'ops.read',
  'experiment.admin',
  'people.manage',
  'policy.edit',
  'audit.read',
  'logbook.read',
  'logbook.write',
  'data.read',
  'data.create',
  'data.modify',
  'data.archive',
  'tape.recall',
  'share.create',
  'runs.control',
  'daq.write',
  'jobs.submit',
  'jobs.read',
  'jobs.cancel',
  'reconstruction.run',
  'sessions.start',
  'sessions.stop',
  'credentials.create',
] as const

export type Action = (typeof actions)[number]

export const actionSchema = z.enum(actions)

/**
 * Who may call a route. `of` says where the experiment's name is found: 'site' = no experiment, 'params.experiment'
 * etc. = that field of the request, 'loaded' = the handler loads the thing first and then calls `context.require`
 * itself (it is an error if it does not).
 */
export type Permission =
  | 'public'
  | 'signed-in'
  | {
      readonly action: Action
      readonly of: 'site' | `params.${string}` | `query.${string}` | `body.${string}` | 'loaded'
    }

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** '/api/experiments/:experiment/runs'; a last segment '*' takes the rest of the path, slashes included. */
  readonly path: string
  readonly summary: string
  readonly permission: Permission
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  /** The JSON answer; with `stream: 'events'` the data of each event. Absent: no content. */
  readonly answer?: z.ZodType
  readonly stream?: 'events' | 'bytes'
  /** Of the JSON body, where it may be larger than the app's limit. */
  readonly bodyLimitBytes?: number
}

export type Routes = Record<string, Route>

export interface Contract<AnyRoutes extends Routes = Routes> {
  readonly room: string
  readonly routes: AnyRoutes
}

/** The contract of a room; keeps the literal types of its routes. */
export function defineContract<const AnyRoutes extends Routes>(room: string, routes: AnyRoutes): Contract<AnyRoutes> {
  return { room, routes }
}

/** One server-sent event. */
export interface ServerEvent<Data = unknown> {
  event: string
  data: Data
  id?: string
}

type OutputOf<Schema, Otherwise> = Schema extends z.ZodType ? z.output<Schema> : Otherwise
type InputOf<Schema, Otherwise> = Schema extends z.ZodType ? z.input<Schema> : Otherwise
type Part<AnyRoute, Name extends string> = AnyRoute extends { readonly [Key in Name]: infer Schema }
  ? Schema
  : undefined

/** What a handler is given, checked. */
export interface RequestOf<AnyRoute extends Route> {
  params: OutputOf<Part<AnyRoute, 'params'>, Record<string, never>>
  query: OutputOf<Part<AnyRoute, 'query'>, Record<string, never>>
  body: OutputOf<Part<AnyRoute, 'body'>, undefined>
}

/** What a caller gives: required parts are required, parts whose fields are all optional may be left out. */
export type CallOf<AnyRoute extends Route> = CallPart<AnyRoute, 'params'> &
  CallPart<AnyRoute, 'query'> &
  CallPart<AnyRoute, 'body'>

type CallPart<AnyRoute, Name extends 'params' | 'query' | 'body'> =
  Part<AnyRoute, Name> extends z.ZodType
    ? Partial<Record<never, never>> extends z.input<Part<AnyRoute, Name> & z.ZodType>
      ? { [Key in Name]?: InputOf<Part<AnyRoute, Name>, never> }
      : { [Key in Name]: InputOf<Part<AnyRoute, Name>, never> }
    : { [Key in Name]?: undefined }

/** The JSON answer (or the data of each event) as the client gets it. */
export type AnswerOf<AnyRoute extends Route> = OutputOf<
  Part<AnyRoute, 'answer'>,
  Part<AnyRoute, 'stream'> extends 'events' ? unknown : void
>

/** The JSON answer (or the data of each event) as the handler gives it. */
export type GivenAnswerOf<AnyRoute extends Route> = InputOf<
  Part<AnyRoute, 'answer'>,
  Part<AnyRoute, 'stream'> extends 'events' ? unknown : void
>

/** Query of every paged list; extend it with the list's filters. The cursor is opaque to the caller. */
export const pageQuery = z.object({
  limit: z.coerce.number<number | string | undefined>().int().min(1).max(1000).default(100),
  cursor: z.string().optional(),
})

/** Answer of every paged list. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable(), total: z.number().int().optional() })
}

/** A yes/no in a query string ('true', '1', 'yes', ...). */
export const queryFlag = z.union([z.boolean(), z.stringbool()])

/** A list in a query string: the name repeated once per item. */
export function queryList<Item extends z.ZodType>(item: Item) {
  return z.union([z.array(item), item.transform((one) => [one] as z.output<Item>[])])
}

/** A time: UTC milliseconds since 1970, an integer. */
export const timeMs = z.number().int()

/** Names of experiments, setups, buckets' first parts: lower case letters, digits, dashes. */
export const nameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,38}[a-z0-9]$/, '2 to 40 lower-case letters, digits or dashes, starting with a letter')
