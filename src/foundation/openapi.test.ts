import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineContract, pageOf, pageQuery } from './contract.ts'
import { openApiOf } from './openapi.ts'

const contract = defineContract('test', {
  listRuns: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs',
    summary: 'Runs',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    query: pageQuery,
    answer: pageOf(z.object({ number: z.number().int() })),
  },
  download: {
    method: 'GET',
    path: '/api/files/*',
    summary: 'Bytes',
    permission: 'public',
    params: z.object({ '*': z.string() }),
    stream: 'bytes',
  },
})

test('the document says what the contract says', () => {
  const { paths } = openApiOf([contract]) as { paths: Record<string, Record<string, unknown>> }
  expect(Object.keys(paths)).toEqual(['/api/experiments/{experiment}/runs', '/api/files/{rest}'])
  expect(paths['/api/experiments/{experiment}/runs']?.get).toMatchObject({
    operationId: 'test.listRuns',
    description: "Needs the permission 'logbook.read' in the experiment.",
    parameters: [
      { name: 'experiment', in: 'path', required: true, schema: { type: 'string' } },
      { name: 'limit', in: 'query', required: false },
      { name: 'cursor', in: 'query', required: false },
    ],
    responses: { 200: { content: { 'application/json': { schema: { required: ['items', 'nextCursor'] } } } } },
  })
})

test('the same contracts give the same text; two routes at one address are refused', () => {
  expect(JSON.stringify(openApiOf([contract]))).toBe(JSON.stringify(openApiOf([contract])))
  expect(() => openApiOf([contract, { ...contract, room: 'other' }])).toThrow('two contracts')
})
