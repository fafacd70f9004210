import { describe, expect, test } from 'vitest'
import { forEachDatabase, temporaryDirectory } from '../foundation/testing.ts'
import type { WorkLimits } from './model.ts'
import { commandSpec, openTestRoom } from './testing.ts'
import { fitted, requireEnvironment, requireWithin } from './work-limits.ts'

const gibibyte = 1024 ** 3
const limits: WorkLimits = {
  cores: 2,
  memoryBytes: 4 * gibibyte,
  walltimeMs: 3_600_000,
  sessions: 1,
  environments: ['notebook'],
  by: { cores: '/cygno/students', memoryBytes: '/cygno', sessions: '/cygno/students' },
}
const usual = { cpuMilli: 1000, memoryMiB: 1024, walltimeMs: 60_000 }

describe('what a policy leaves', () => {
  test('is enough for what fits', () => {
    expect(() => requireWithin(usual, limits)).not.toThrow()
    expect(() => requireWithin({ cpuMilli: 2000, memoryMiB: 4096, walltimeMs: 3_600_000 }, limits)).not.toThrow()
    expect(() => requireWithin({ cpuMilli: 64_000, memoryMiB: 1, walltimeMs: 1 }, {})).not.toThrow()
  })

  test.each([
    [{ cpuMilli: 2001 }, 'The policy of /cygno/students leaves you 2 cores; this asks for 2.001.'],
    [{ memoryMiB: 4097 }, 'The policy of /cygno leaves you 4096 MiB of memory; this asks for 4097 MiB.'],
    [{ walltimeMs: 7_200_000 }, 'The policy of your group leaves you 1 h of time; this asks for 2 h.'],
  ])('%o is refused, and it says by whom', (more, detail) => {
    expect(() => requireWithin({ ...usual, ...more }, limits)).toThrow(detail)
  })

  test('names environments', () => {
    expect(() => requireEnvironment('notebook', limits)).not.toThrow()
    expect(() => requireEnvironment('system', limits)).toThrow('leaves you notebook; this asks for system')
    expect(() => requireEnvironment('system', {})).not.toThrow()
  })

  test('cuts what is usual to what fits', () => {
    const wide = { cpuMilli: 4000, memoryMiB: 8192, walltimeMs: 86_400_000 }
    expect(fitted(wide, limits)).toEqual({ cpuMilli: 2000, memoryMiB: 4096, walltimeMs: 3_600_000 })
    expect(fitted(wide, {})).toEqual(wide)
  })
})

forEachDatabase('a job beyond the policy', (open) => {
  test('is not taken, and neither is a session too many', async () => {
    await using folder = await temporaryDirectory()
    const { compute, submit } = await openTestRoom(await open(), folder.path, {
      limitsOf: (ownerId) => (ownerId === 'person-a' ? limits : {}),
    })
    compute.registerKind('session', {
      prepare: async () => ({ argv: ['/bin/true'], mounts: [], environment: {}, network: 'none', files: [] }),
    })
    const refused = { code: 'compute.beyond_policy', status: 422 }
    await expect(submit({ request: { ...usual, cpuMilli: 3000 } })).rejects.toMatchObject(refused)
    await expect(submit({ request: { ...usual, cpuMilli: 3000 }, ownerId: 'person-b' })).resolves.toMatchObject({
      state: 'waiting',
    })
    const session = { ...commandSpec(['true']), kind: 'session', class: 'interactive' as const, request: usual }
    const first = await submit({ ...session, idempotencyKey: 'one' })
    await expect(submit(session)).rejects.toMatchObject(refused)
    // The same again is no further session.
    expect((await submit({ ...session, idempotencyKey: 'one' })).id).toBe(first.id)
    await submit({ ...session, experiment: 'other' })
    await compute.cancel(first.id)
    await expect(submit(session)).resolves.toMatchObject({ state: 'waiting' })
    expect((await compute.living(['person-a'])).length).toBe(2)
    await compute.close()
  })

  test('that is held waits with its reason until it is released', async () => {
    await using folder = await temporaryDirectory()
    const { compute, submit } = await openTestRoom(await open(), folder.path)
    const job = await submit()
    await compute.hold([job.id], 'held: no right')
    expect(await compute.show(job.id)).toMatchObject({ state: 'waiting', reason: 'held: no right', untilMs: null })
    await compute.release([job.id])
    expect(await compute.show(job.id)).toMatchObject({ state: 'waiting', place: 1 })
    expect((await compute.show(job.id)).reason).not.toMatch(/held/)
    await compute.close()
  })
})
