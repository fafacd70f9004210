/** The OpenAPI 3.1 description of the HTTP API, from the contracts alone. */
import { z } from 'zod'
import type { Contract, Route } from './contract.ts'

export type OpenApiDocument = Record<string, unknown>

/** Deterministic: the same contracts give the same text, so that a drift of the committed file can be seen. */
export function openApiOf(contracts: readonly Contract[], version = '1'): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {}
  const sorted = contracts.toSorted((one, other) => (one.room < other.room ? -1 : 1))
  for (const contract of sorted) {
    for (const [name, route] of Object.entries(contract.routes)) {
      const path = route.path.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{rest}')
      const operations = (paths[path] ??= {})
      const method = route.method.toLowerCase()
      if (operations[method] !== undefined) throw new Error(`${route.method} ${route.path} is in two contracts`)
      operations[method] = operationOf(contract.room, name, route)
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Cygnet', version, description: 'The experiment cloud for small physics collaborations.' },
    paths: Object.fromEntries(Object.entries(paths).toSorted(([one], [other]) => (one < other ? -1 : 1))),
    components: {
      schemas: { Problem: problemSchema },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  }
}

const problemSchema = {
  type: 'object',
  description: 'RFC 9457 problem details; `code` names the fault, `hint` says what to do.',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    hint: { type: 'string' },
    retry: { type: 'boolean' },
    requestId: { type: 'string' },
  },
}

function operationOf(room: string, name: string, route: Route): Record<string, unknown> {
  const problem = {
    description: 'Refused',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  }
  const parameters = [...parametersOf('path', route.params), ...parametersOf('query', route.query)]
  return {
    operationId: `${room}.${name}`,
    tags: [room],
    summary: route.summary,
    description: permissionText(route),
    security: route.permission === 'public' ? [] : [{ bearer: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: { required: true, content: { 'application/json': { schema: jsonSchemaOf(route.body, 'input') } } },
    }),
    responses: { ...answerOf(route), default: problem },
  }
}

function permissionText({ permission }: Route): string {
  if (permission === 'public') return 'Anybody may call this.'
  if (permission === 'signed-in') return 'Any signed-in caller may call this.'
  const where = permission.of === 'site' ? 'the site' : 'the experiment'
  return `Needs the permission '${permission.action}' in ${where}.`
}

function answerOf(route: Route): Record<string, unknown> {
  const schema = route.answer && jsonSchemaOf(route.answer, 'output')
  if (route.stream === 'events') {
    return { 200: { description: 'Server-sent events', content: { 'text/event-stream': { schema: schema ?? {} } } } }
  }
  if (route.stream === 'bytes') {
    return { 200: { description: 'Bytes', content: { 'application/octet-stream': { schema: {} } } } }
  }
  if (schema === undefined) return { 204: { description: 'Done' } }
  return { 200: { description: 'OK', content: { 'application/json': { schema } } } }
}

function parametersOf(place: 'path' | 'query', schema: z.ZodObject | undefined): Record<string, unknown>[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = jsonSchemaOf(schema, 'input') as {
    properties?: Record<string, unknown>
    required?: string[]
  }
  return Object.entries(properties).map(([name, inner]) => ({
    name: name === '*' ? 'rest' : name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: inner,
  }))
}

function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dropped, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<
    string,
    unknown
  >
  return rest
}
