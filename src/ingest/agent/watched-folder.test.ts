import { appendFile, open, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeSimulatedRun } from '../../detector/index.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { midasRunFormat } from '../adapters/midas-run-format.ts'
import { openJournal } from './agent-journal.ts'
import { readKeyFile } from './key-file.ts'
import { watchFolder } from './watched-folder.ts'

const small = {
  seed: 3,
  kind: 'data' as const,
  images: 3,
  startMs: Date.UTC(2026, 0, 2),
  frame: { width: 64, height: 64 },
}

async function runBytes(number: number): Promise<Buffer> {
  const { path } = await temporaryDirectory()
  const run = await writeSimulatedRun(path, { ...small, number })
  return await readFile(run.path)
}

async function folderOf(idleMs = 3_600_000) {
  const { path } = await temporaryDirectory()
  const journal = await openJournal(join(path, '.cygnet'))
  const folder = watchFolder({
    directory: path,
    setup: 'lime',
    series: 'sim',
    format: midasRunFormat(),
    journal,
    idleMs,
  })
  const scan = async (name: string) => (await folder.scan()).find((file) => file.name === name)
  return { path, journal, folder, scan }
}

test('however a file grows, its end is seen when it is there and not before, and nothing is read twice into the count', async () => {
  const bytes = await runBytes(7)
  const { path } = await temporaryDirectory()
  const format = midasRunFormat()
  let turn = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 }), async (cuts) => {
      const file = join(path, `run${String(turn++).padStart(5, '0')}.mid`)
      await writeFile(file, '')
      const tracker = format.track(file)
      let written = 0
      for (const cut of [...cuts.toSorted((one, other) => one - other), bytes.length]) {
        await appendFile(file, bytes.subarray(written, cut))
        written = cut
        const seen = await tracker.advance()
        expect(seen.endOfRunSeen).toBe(written === bytes.length)
        expect(seen.wholeBytes).toBeLessThanOrEqual(written)
      }
      const last = await tracker.advance()
      expect(last).toMatchObject({ number: 7, wholeBytes: bytes.length, pedestal: false, startedMs: small.startMs })
      expect(last.events).toBeGreaterThanOrEqual(3)
    }),
    { numRuns: 25 },
  )
})

test('a run file is closed by its end of run, a sidecar when it is whole, and other names are left alone', async () => {
  const { path, scan } = await folderOf()
  const bytes = await runBytes(12)
  const name = 'run00012.mid'
  await writeFile(join(path, name), bytes.subarray(0, bytes.length - 10))
  await writeFile(join(path, 'notes.txt'), 'x')
  await writeFile(join(path, 'run00012.truth.json'), '{"half":')
  expect(await scan(name)).toMatchObject({ phase: 'growing', key: 'lime/sim/run00012.mid', run: 'sim:12' })
  expect(await scan('notes.txt')).toBeUndefined()
  expect(await scan('run00012.truth.json')).toMatchObject({ phase: 'growing' })
  await appendFile(join(path, name), bytes.subarray(bytes.length - 10))
  await appendFile(join(path, 'run00012.truth.json'), '1}')
  expect(await scan(name)).toMatchObject({ phase: 'closed', growing: { endOfRunSeen: true } })
  expect(await scan('run00012.truth.json')).toMatchObject({ phase: 'closed', role: 'sidecar' })
})

test('a file without an end is closed after a quiet time, but not while somebody has it open for writing', async () => {
  const { path, scan } = await folderOf(1000)
  const file = join(path, 'run00003.mid')
  const bytes = await runBytes(3)
  await writeFile(file, bytes.subarray(0, 5000))
  const writer = await open(file, 'a')
  await utimes(file, new Date(0), new Date(0))
  expect(await scan('run00003.mid')).toMatchObject({ phase: 'growing' })
  await writer.close()
  expect(await scan('run00003.mid')).toMatchObject({ phase: 'closed', growing: { endOfRunSeen: false } })
})

test('a file that shrinks is told and watched again; one that changes after it was safe is no longer safe', async () => {
  const { path, scan, journal } = await folderOf()
  const bytes = await runBytes(5)
  const file = join(path, 'run00005.mid')
  await writeFile(file, bytes.subarray(0, 20_000))
  await scan('run00005.mid')
  await truncate(file, 100)
  expect(await scan('run00005.mid')).toMatchObject({ phase: 'growing', trouble: { code: 'ingest.file_shrank' } })
  await writeFile(file, bytes)
  const closed = await scan('run00005.mid')
  expect(closed).toMatchObject({ phase: 'closed', trouble: undefined })
  const record = {
    file: 'run00005.mid',
    stamp: closed!.stamp,
    bucket: 'demo-raw',
    key: closed!.key,
    sizeBytes: bytes.length,
  }
  await journal.writeSafe({ ...record, sha256: 'ab', verifiedBy: 'receiver', safeMs: 1 })
  closed!.phase = 'safe'
  expect(await scan('run00005.mid')).toMatchObject({ phase: 'safe' })
  const again = watchFolder({
    directory: path,
    setup: 'lime',
    series: 'sim',
    format: midasRunFormat(),
    journal,
    idleMs: 1e9,
  })
  expect((await again.scan())[0]).toMatchObject({ phase: 'safe', sha256: 'ab' })
  await appendFile(file, 'x')
  expect(await scan('run00005.mid')).toMatchObject({ phase: 'growing' })
})

test('a journal that was cut or belongs to another version counts as absent', async () => {
  const { path } = await temporaryDirectory()
  const journal = await openJournal(path)
  await writeFile(join(path, 'run00001.safe.json'), '{"file":')
  await writeFile(join(path, 'run00001.upload.json'), '{"version":99}')
  expect(await journal.readSafe('run00001.mid')).toBeUndefined()
  expect(await journal.readUpload('run00001.mid')).toBeUndefined()
})

test('a key file that others can read, or that holds no key, is refused with what to do', async () => {
  const { path } = await temporaryDirectory()
  const file = join(path, 'daq.key')
  await expect(readKeyFile(file)).rejects.toMatchObject({
    code: 'ingest.bad_key_file',
    hint: expect.stringContaining('credentials create'),
  })
  await writeFile(file, '{"accessKeyId":"CYG1","secretAccessKey":"s"}', { mode: 0o644 })
  await expect(readKeyFile(file)).rejects.toMatchObject({ hint: `Run: chmod 600 ${file}` })
  const owned = join(path, 'mine.key')
  await writeFile(owned, '{"accessKeyId":"CYG1","secretAccessKey":"s"}', { mode: 0o600 })
  expect(await readKeyFile(owned)).toEqual({ accessKeyId: 'CYG1', secretAccessKey: 's' })
  await writeFile(owned, 'CYG1:s')
  await expect(readKeyFile(owned)).rejects.toMatchObject({ detail: expect.stringContaining('does not hold a key') })
})
