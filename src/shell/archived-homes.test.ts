import { execFileSync } from 'node:child_process'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { migrate, openDatabase, transact } from '../foundation/database.ts'
import { appendFact, openFacts } from '../foundation/facts.ts'
import { openJobs } from '../foundation/jobs.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { openStorage } from '../storage/index.ts'
import { archiveHome, followArchivedPeople, type ArchivedHomesParts } from './archived-homes.ts'

async function start(living: string[] = []) {
  const { path } = await temporaryDirectory()
  const homesFolder = join(path, 'homes')
  await mkdir(join(homesFolder, 'anna', 'deep'), { recursive: true })
  await writeFile(join(homesFolder, 'anna', 'deep', 'fit.py'), 'print(42)\n')
  await writeFile(join(homesFolder, 'secret'), 'of somebody else')
  await symlink('../secret', join(homesFolder, 'anna', 'link'))
  await symlink(homesFolder, join(homesFolder, 'anna', 'all'))
  const storage = await openStorage({
    root: join(path, 'data'),
    clock: systemClock(),
    log: silentLogger(),
    macKey: Buffer.alloc(32, 7),
  })
  onTestFinished(() => storage.close())
  await storage.createBucket({ name: 'cygno-work', experiment: 'cygno', purpose: 'work' })
  const cancelled: string[] = []
  const left = { homeName: 'anna', uid: 300_007, experiment: 'cygno' as string | null, adminId: null }
  const parts = {
    homesFolder,
    storage,
    log: silentLogger(),
    clock: systemClock(),
    facts: { follow: () => {} },
    jobs: { register: () => {} },
    identity: { leftBehind: async () => left },
    compute: {
      living: async () => living.filter((id) => !cancelled.includes(id)).map((id) => ({ id })),
      cancel: async (id: string) => void cancelled.push(id),
      ended: async () => undefined,
    },
  } as unknown as ArchivedHomesParts
  const work = (await storage.bucketPath('cygno-work')) as string
  return { path, homesFolder, parts, cancelled, left, archive: join(work, 'former-members', '300007', 'home.tar') }
}

const signal = new AbortController().signal

test('the home goes to the experiment as one archive, links as links; nothing of it stays; again is nothing', async () => {
  const { parts, homesFolder, archive, cancelled } = await start(['waiting', 'running'])
  await archiveHome(parts, 'person', signal)
  expect(cancelled).toEqual(['waiting', 'running'])
  expect(await readdir(homesFolder)).toEqual(['secret'])
  const listed = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).trim().split('\n').toSorted()
  expect(listed).toEqual(['anna/', 'anna/all', 'anna/deep/', 'anna/deep/fit.py', 'anna/link'])
  expect(execFileSync('tar', ['-xOf', archive, 'anna/deep/fit.py'], { encoding: 'utf8' })).toBe('print(42)\n')
  await archiveHome(parts, 'person', signal)
})

test('cut short between archive and removal it is simply done again; cut short before, the home is whole', async () => {
  const { parts, homesFolder, archive } = await start()
  const broken = {
    ...parts,
    storage: {
      listBuckets: () => parts.storage.listBuckets(),
      putObject: async ({ body }: { body: AsyncIterable<Uint8Array> }) => {
        for await (const _ of body) throw new Error('the disk is full')
      },
    },
  } as unknown as ArchivedHomesParts
  await expect(archiveHome(broken, 'person', signal)).rejects.toThrow('the disk is full')
  expect(await readdir(homesFolder)).toEqual(['anna', 'secret'])
  await archiveHome(parts, 'person', signal)
  await mkdir(join(homesFolder, 'anna'))
  await writeFile(join(homesFolder, 'anna', 'again'), 'x')
  await archiveHome(parts, 'person', signal)
  expect(execFileSync('tar', ['-tf', archive], { encoding: 'utf8' })).toContain('anna/again')
})

test('told by the fact of the archiving, once for each person, also after a restart in the middle', async () => {
  const { parts, homesFolder } = await start()
  const database = await openDatabase({ url: `sqlite:${join(homesFolder, '..', 'cygnet.sqlite')}` })
  await migrate(database, [])
  const clock = systemClock()
  const log = silentLogger()
  const tell = (change: string) =>
    transact(database, (trx) =>
      appendFact(trx, { kind: 'identity.subject-changed', subject: 'p', data: { subjectId: 'p', change } }, clock),
    )
  for (const change of ['suspended', 'archived', 'archived', 'erased']) await tell(change)
  let tries = 0
  for (const failing of [true, false]) {
    const facts = openFacts({ database, clock, log })
    const jobs = openJobs({ database, clock, log, soleWorker: true })
    const leftBehind = async (personId: string) => {
      tries += 1
      if (failing) throw new Error('killed')
      return await parts.identity.leftBehind(personId)
    }
    followArchivedPeople({ ...parts, facts, jobs, identity: { leftBehind } })
    jobs.start()
    while (failing ? tries === 0 : (await readdir(homesFolder)).includes('anna'))
      await new Promise((resolve) => setTimeout(resolve, 10))
    await facts.close()
    await jobs.close()
  }
  await database.close()
})

test('the home of somebody who was in no experiment stays where it is', async () => {
  const { parts, homesFolder, left } = await start()
  left.experiment = null
  await archiveHome(parts, 'person', signal)
  left.experiment = 'gone'
  await archiveHome(parts, 'person', signal)
  expect(await readdir(homesFolder)).toEqual(['anna', 'secret'])
})
