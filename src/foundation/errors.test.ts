import { expect, expectTypeOf, test } from 'vitest'
import {
  catalogue,
  exitCodeOf,
  Fault,
  faultLines,
  faultOfProblem,
  foundationFaults,
  problemOf,
  type CodeOf,
} from './errors.ts'

const faults = catalogue('storage', {
  noSuchBucket: { status: 404, title: 'No such bucket', hint: 'List the buckets.' },
  full: { status: 507, title: 'Disk full', retry: true },
})

test('a catalogue makes faults with codes that the type system knows', () => {
  const cause = new Error('ENOENT')
  const fault = faults.noSuchBucket("There is no bucket 'x'.", { cause, extra: { bucket: 'x' } })
  expect(fault).toBeInstanceOf(Fault)
  expect(fault).toMatchObject({
    code: 'storage.no_such_bucket',
    status: 404,
    hint: 'List the buckets.',
    retry: false,
    cause,
  })
  expectTypeOf<CodeOf<typeof faults>>().toEqualTypeOf<'storage.no_such_bucket' | 'storage.full'>()
})

test('a fault survives the way over the wire', () => {
  const fault = faults.full('There is no room for 10 MB.', { hint: 'Remove something.', extra: { freeBytes: 3 } })
  const back = faultOfProblem(JSON.parse(JSON.stringify(problemOf(fault, 'request-1'))))
  expect(back).toMatchObject({ ...fault, requestId: 'request-1' })
  expect(faultOfProblem({ error: 'something else' })).toBeUndefined()
})

test('a bug shows nothing but where to look', () => {
  const problem = problemOf(new Error('password=hunter2'), 'request-2')
  expect(JSON.stringify(problem)).not.toContain('hunter2')
  expect(problem).toMatchObject({ status: 500, code: 'foundation.unexpected', requestId: 'request-2' })
})

test('the command line tells what happened, what to do, and ends with an honest code', () => {
  const errors = [{ path: 'body.name', message: 'too short' }]
  expect(
    faultLines(foundationFaults.invalidInput('body.name: too short', { hint: 'Correct it.', extra: { errors } })),
  ).toEqual(['error: body.name: too short', '  body.name: too short', '  Correct it.', '  [foundation.invalid_input]'])
  expect(faultLines(new Error('oops'))).toEqual(['error: oops', '  (a bug; please report it)'])
  const missing = Object.assign(new Error("ENOENT: no such file or directory, open '/no/x'"), {
    code: 'ENOENT',
    path: '/no/x',
  })
  expect(faultLines(missing)[0]).toBe('error: /no/x: there is no such file or folder.')
  expect(faultLines(missing).join()).not.toContain('bug')
  const of = (status: number) => exitCodeOf(new Fault({ code: 'x.y', status, title: '', detail: '' }))
  expect([400, 422, 404, 401, 503, 429, 403, 507, 409, 412, 500].map(of)).toEqual([2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 1])
  expect(exitCodeOf(new Error('bug'))).toBe(1)
})
