import { expect, test } from 'vitest'
import { openTestRoom, commandSpec } from '../compute/testing.ts'
import type { Job } from '../compute/index.ts'
import { silentLogger } from '../foundation/log.ts'
import { forEachDatabase, temporaryDirectory, type OpenTestDatabase } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { openLiveEffect, workersOnly } from './live-effect.ts'

type WhyNot = (ownerId: string, action: string, experiment: string) => string | undefined

async function start(open: OpenTestDatabase, whenRightsEnd: 'end' | 'finish' = 'end', memoryMiB = 4096) {
  const folder = await temporaryDirectory()
  const room = await openTestRoom(await open(), folder.path, {
    config: { cpuMilli: 4000, memoryMiB, interactiveMemoryMiB: 0 },
  })
  const rights: { whyNot: WhyNot; ends: number[] } = { whyNot: () => undefined, ends: [] }
  const identity = {
    whyNotOn: (ownerId: string, action: string, experiment: string) => rights.whyNot(ownerId, action, experiment),
    snapshotPart: () => ({ subjects: { a: { roles: rights.ends.map((untilMs) => ({ untilMs })) } } }) as never,
  }
  const parts = {
    identity,
    compute: room.compute,
    clock: systemClock(),
    log: silentLogger(),
    ownId: 'platform',
    whenRightsEnd,
  }
  const live = openLiveEffect(parts)
  room.compute.registerKind('session', {
    prepare: async () => ({ argv: ['/bin/sleep', '600'], mounts: [], environment: {}, network: 'none', files: [] }),
  })
  const until = async (id: string, state: Job['state']): Promise<Job> => {
    for (;;) {
      const job = await room.compute.show(id)
      if (job.state === state) return job
      if (['done', 'failed', 'cancelled'].includes(job.state)) throw new Error(`${job.state}: ${job.reason}`)
      await room.compute.changed(id, 200)
    }
  }
  return {
    ...room,
    rights,
    live,
    until,
    sleeper: (more: object = {}) => room.submit({ ...commandSpec(['/bin/sleep', '600']), ...more }),
    async [Symbol.asyncDispose]() {
      await live.close()
      for (const job of await room.compute.living()) await room.compute.cancel(job.id)
      for (const job of await room.compute.living()) await room.compute.ended(job.id)
      await room.compute.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

forEachDatabase('whoever loses a right', (open) => {
  test('loses what runs by it, and nobody else does', async () => {
    await using stand = await start(open)
    const { compute, rights, live, sleeper, until } = stand
    const job = await sleeper()
    const session = await sleeper({ kind: 'session', class: 'interactive' })
    const platforms = await sleeper({ ownerId: 'platform' })
    const others = await sleeper({ ownerId: 'person-b' })
    await compute.start()
    for (const { id } of [job, session, platforms, others]) await until(id, 'running')
    rights.whyNot = (ownerId, action) => (ownerId === 'person-b' ? undefined : `no role gives ${action}`)
    live.now()
    expect(await compute.ended(job.id)).toMatchObject({
      state: 'cancelled',
      reason: 'ended: no role gives jobs.submit',
    })
    expect(await compute.ended(session.id)).toMatchObject({
      state: 'cancelled',
      reason: 'ended: no role gives sessions.start',
    })
    for (const { id } of [platforms, others]) expect((await compute.show(id)).cancelRequested).toBe(false)
  })

  test('keeps the place of what waits, held until the right is back', async () => {
    await using stand = await start(open)
    const { compute, rights, live, sleeper, until } = stand
    const waiting = await sleeper()
    const session = await sleeper({ kind: 'session', class: 'interactive' })
    rights.whyNot = (ownerId) => (ownerId === 'person-a' ? 'the membership has ended' : undefined)
    live.now()
    // A session that nobody waits for any more is not kept.
    expect(await compute.ended(session.id)).toMatchObject({
      state: 'cancelled',
      reason: 'ended: the membership has ended',
    })
    await compute.start()
    const later = await sleeper({ ownerId: 'person-b' })
    await until(later.id, 'running')
    expect(await compute.show(waiting.id)).toMatchObject({ state: 'waiting', reason: 'held: the membership has ended' })
    rights.whyNot = () => undefined
    live.now()
    await until(waiting.id, 'running')
  })

  test('may finish a job where the site says so, and never a session', async () => {
    await using stand = await start(open, 'finish')
    const { compute, rights, live, sleeper, until } = stand
    const job = await sleeper()
    const session = await sleeper({ kind: 'session', class: 'interactive' })
    await compute.start()
    for (const { id } of [job, session]) await until(id, 'running')
    rights.whyNot = () => 'gone'
    live.now()
    expect(await compute.ended(session.id)).toMatchObject({ state: 'cancelled' })
    expect(await compute.show(job.id)).toMatchObject({ state: 'running', cancelRequested: false })
  })

  test('loses it at the end of a right without a word from anybody, and once more after a start', async () => {
    await using stand = await start(open)
    const { compute, rights, live, sleeper, until } = stand
    const job = await sleeper()
    await compute.start()
    await until(job.id, 'running')
    const endMs = Date.now() + 300
    rights.ends = [endMs]
    rights.whyNot = () => (Date.now() >= endMs ? 'the membership has ended' : undefined)
    live.now()
    expect(await compute.ended(job.id)).toMatchObject({ state: 'cancelled', reason: 'ended: the membership has ended' })
    expect(Date.now()).toBeGreaterThanOrEqual(endMs)
  })
})

test('nothing starts for somebody who lost the right before its turn', async () => {
  const workspace = { personName: 'anna', uid: 300_001, groups: [], buckets: [] }
  const given: string[] = []
  const workspaceOf = async (ownerId: string) => {
    given.push(ownerId)
    return workspace
  }
  const may = new Set(['jobs.submit'])
  const identity = { whyNotOn: (_: string, action: string) => (may.has(action) ? undefined : 'no role') } as never
  const guarded = workersOnly({ identity, ownId: 'platform' }, workspaceOf)
  await expect(guarded('anna', 'cygno')).resolves.toBe(workspace)
  may.clear()
  await expect(guarded('anna', 'cygno')).rejects.toMatchObject({ code: 'identity.not_allowed' })
  await expect(guarded('platform', 'cygno')).resolves.toBe(workspace)
  expect(given).toEqual(['anna', 'platform'])
})
