import { expect, test } from 'vitest'
import { transact } from '../foundation/database.ts'
import { forEachDatabase } from '../foundation/testing.ts'
import { experimentGroup, isExperimentGid } from './experiment-group.ts'
import { startIdentity } from './testing.ts'

forEachDatabase('numbers of experiments', (open) => {
  test('each experiment has a pair of its own for ever, whoever asks first', async () => {
    const { identity, reopen } = await startIdentity(open)
    const names = Array.from({ length: 12 }, (_, index) => `exp${index % 6}`)
    const groups = await Promise.all(names.map((name) => identity.experimentGroupOf(name)))
    for (const [index, group] of groups.entries()) {
      expect(group).toEqual(groups[index % 6])
      expect(group.writersGid).toBe(group.gid + 1)
      expect(experimentGroup(group.gid)).toEqual(group)
    }
    expect(new Set(groups.map(({ gid }) => gid)).size).toBe(6)
    const again = await reopen()
    expect(await again.experimentGroupOf('exp3')).toEqual(groups[3])
    expect((await again.experimentGroupOf('new')).gid).toBeGreaterThan(Math.max(...groups.map(({ gid }) => gid)))
    await again.close()
  })

  test('gateways get the numbers of people and of every experiment that somebody has a role in', async () => {
    const { identity, database } = await startIdentity(open)
    const roles = [{ experiment: 'demo', role: 'member' as const }]
    const { id } = await identity.createPerson({ name: 'anna', displayName: 'Anna', siteAdmin: false, roles })
    const { client } = await identity.registerClient({ experiment: 'demo', name: 'daq' })
    const before = identity.snapshotPart()
    expect(before.subjects[id]!.uid).toBe(await identity.platformUidOf(id))
    expect(before.subjects[client.id]!.uid).toBeUndefined()
    expect(before.experiments!.demo).toEqual(await identity.experimentGroupOf('demo'))
    await transact(database, (trx) => identity.grantRole(trx, id, 'second', 'exp-admin'))
    await identity.refresh()
    const { demo, second } = identity.snapshotPart().experiments!
    expect(second!.gid).toBe(demo!.gid + 2)
  })
})

test('only the first number of a pair names an experiment, and no person has one', () => {
  expect(experimentGroup(1_000_000)).toEqual({ gid: 1_000_000, writersGid: 1_000_001 })
  for (const gid of [1_000_001, 999_998, 2_000_000, 0, 300_000, 299_998]) expect(experimentGroup(gid)).toBeUndefined()
  expect([999_999, 1_000_000, 1_999_999, 2_000_000].map(isExperimentGid)).toEqual([false, true, true, false])
})
