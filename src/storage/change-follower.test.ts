import { expect, onTestFinished, test } from 'vitest'
import { migrate } from '../foundation/database.ts'
import { silentLogger } from '../foundation/log.ts'
import { forEachDatabase } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { followStorageChanges } from './change-follower.ts'
import { storageMigrations } from './tables.ts'
import { bodyOf, openTestStorage } from './testing.ts'

forEachDatabase('changes become facts', (open) => {
  async function begun() {
    const { storage } = await openTestStorage()
    await storage.createBucket({ name: 'demo-raw', experiment: 'demo', purpose: 'raw' })
    const database = await open()
    await migrate(database, [storageMigrations])
    const follow = () => {
      const follower = followStorageChanges({ storage, database, clock: systemClock(), log: silentLogger() })
      onTestFinished(async () => await follower.close())
      return follower
    }
    const put = async (key: string) => await storage.putObject({ bucket: 'demo-raw', key, body: bodyOf(key) })
    const facts = async () =>
      (await database.kysely.selectFrom('fact').select(['kind', 'subject', 'data']).orderBy('sequence').execute()) as {
        kind: string
        subject: string
        data: string
      }[]
    return { storage, follow, put, facts }
  }

  test('each once, also after a restart, with all that followers need', async () => {
    const { storage, follow, put, facts } = await begun()
    await put('early')
    const first = follow()
    await put('lime/sim/run00001.mid')
    await first.settled()
    await first.close()
    await storage.deleteObject({ bucket: 'demo-raw', key: 'early' })
    const second = follow()
    await second.settled()
    expect(await second.lag()).toBe(0)
    const told = await facts()
    expect(told.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['storage.object-created', 'demo-raw/early'],
      ['storage.object-created', 'demo-raw/lime/sim/run00001.mid'],
      ['storage.object-deleted', 'demo-raw/early'],
    ])
    expect(JSON.parse(told[1]!.data)).toEqual({
      bucket: 'demo-raw',
      key: 'lime/sim/run00001.mid',
      sizeBytes: 21,
      etag: expect.stringMatching(/^[0-9a-f]{32}$/),
      experiment: 'demo',
      purpose: 'raw',
    })
  })

  test('after a rebuilt index everything there is is told once more', async () => {
    const { storage, follow, put, facts } = await begun()
    await put('a')
    const follower = follow()
    await follower.settled()
    await storage.rebuildIndex()
    await put('b')
    await follower.settled()
    expect((await facts()).map(({ subject }) => subject)).toEqual(['demo-raw/a', 'demo-raw/a', 'demo-raw/b'])
  })
})
