import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../foundation/database.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { keepFoldersMs } from './folder-keeping.ts'
import type { JobKind, Launch } from './model.ts'
import type { ComputeOptions } from './room.ts'
import { openTestRoom, shell } from './testing.ts'

const thereIs = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  )

const presentParts = async (folder: string): Promise<string[]> => {
  const present: string[] = []
  for (const name of ['spec.json', 'done.json', 'log', 'out', 'private', 'session'])
    if (await thereIs(join(folder, name))) present.push(name)
  return present
}

const script = (text: string): Launch => ({
  argv: ['/bin/sh', '-c', text],
  mounts: [],
  environment: { PATH: '/usr/bin:/bin' },
  network: 'none',
  files: [{ name: 'token', content: 'secret' }],
  session: true,
})

async function home() {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  onTestFinished(() => database.close())
  const open = async (kinds: Record<string, JobKind> = {}, options: Partial<ComputeOptions> = {}) => {
    const room = await openTestRoom(database, folder.path, options)
    for (const [name, kind] of Object.entries(kinds)) room.compute.registerKind(name, kind)
    await room.compute.start()
    return room
  }
  return { open }
}

test('what a kind has published leaves the folder at the end; what is nowhere else stays', async () => {
  const { open } = await home()
  const published: string[] = []
  const room = await open({
    copier: {
      prepare: async () => script('echo made; echo 1 > /out/a; mkdir /out/b; echo 2 > /out/b/c; chmod 500 /out/b'),
      async publish(_job, { outFolder }) {
        published.push(await readFile(join(outFolder, 'b/c'), 'utf8'))
      },
    },
  })
  onTestFinished(() => room.compute.close())
  const job = await room.compute.ended((await room.submit({ kind: 'copier' })).id)
  expect(job).toMatchObject({
    state: 'done',
    outputs: [
      { name: 'a', published: true },
      { name: 'b/c', published: true },
    ],
  })
  expect(published).toEqual(['2\n'])
  const folder = room.compute.folderOf(job.id, 1)
  await expect.poll(() => presentParts(folder)).toEqual(['spec.json', 'done.json', 'log'])
  expect(await readFile(join(folder, 'log'), 'utf8')).toBe('made\n')
  const command = await room.compute.ended((await room.submit(shell('echo 1 > /out/a'))).id)
  expect(command.outputs).toMatchObject([{ name: 'a', published: false }])
  await expect
    .poll(() => presentParts(room.compute.folderOf(command.id, 1)))
    .toEqual(['spec.json', 'done.json', 'log', 'out'])
})

test('the sweep does again what a dead control left, and removes whole folders after their time', async () => {
  const { open } = await home()
  const copier: JobKind = { prepare: async () => script('echo 1 > /out/a'), publish: async () => undefined }
  const first = await open({ copier })
  const job = await first.compute.ended((await first.submit({ kind: 'copier' })).id)
  const command = await first.compute.ended((await first.submit(shell('echo 1 > /out/a'))).id)
  await first.compute.close()
  const folders = [job, command].map(({ id }) => first.compute.folderOf(id, 1))
  const stranger = join(folders[0]!, '..', '00000000-0000-7000-8000-000000000000.1')
  await mkdir(stranger)
  // As if control had been killed between the end and the emptying.
  for (const name of ['out', 'private']) {
    await mkdir(join(folders[0]!, name), { recursive: true })
    await writeFile(join(folders[0]!, name, 'left'), '')
  }
  const second = await open({ copier })
  await expect.poll(() => presentParts(folders[0]!)).toEqual(['spec.json', 'done.json', 'log'])
  expect(await presentParts(folders[1]!)).toContain('out')
  await second.compute.close()
  const later = { nowMs: () => systemClock().nowMs() + keepFoldersMs + 60_000 }
  const third = await open({ copier }, { clock: later })
  onTestFinished(() => third.compute.close())
  for (const folder of folders) await expect.poll(() => thereIs(folder)).toBe(false)
  expect(await thereIs(stranger)).toBe(true)
  expect(await third.compute.show(job.id)).toMatchObject({ state: 'done' })
})
