import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Readable, Writable } from 'node:stream'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  ensureDirectory,
  freeBytes,
  networkFileSystemOf,
  readJsonFile,
  removeTornWrites,
  writeFileDurable,
} from './files.ts'
import { loadOrCreateSecret } from './secrets.ts'
import { followSnapshot, publishSnapshot } from './snapshot.ts'
import { limitStream, meterStream } from './streams.ts'
import { temporaryDirectory } from './testing.ts'

test('what killed writers left of a durable write is removed, of ours only', async () => {
  await using folder = await temporaryDirectory()
  const torn = ['a.json.0123456789ab.tmp', 'b.json.0123456789ab.tmp', 'a.json', 'a.json.tmp']
  for (const name of torn) await writeFile(join(folder.path, name), 'half')
  await removeTornWrites(folder.path, (name) => name === 'a.json')
  expect((await readdir(folder.path)).toSorted()).toEqual(['a.json', 'a.json.tmp', 'b.json.0123456789ab.tmp'])
  await removeTornWrites(join(folder.path, 'absent'), () => true)
})

test('a durable write replaces the whole file, has its mode, and leaves nothing beside it', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'a.json')
  await writeFileDurable(path, 'first')
  await writeFileDurable(path, '{"n":1}', { mode: 0o600 })
  expect(await readFile(path, 'utf8')).toBe('{"n":1}')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  await mkdir(join(folder.path, 'taken'))
  await expect(writeFileDurable(join(folder.path, 'taken'), 'x')).rejects.toThrow()
  expect((await readdir(folder.path)).toSorted()).toEqual(['a.json', 'taken'])
  expect(await freeBytes(folder.path)).toBeGreaterThan(0)
  expect(await networkFileSystemOf(folder.path)).toBeUndefined()
})

test('a JSON file is absent, what it should be, or a fault', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'n.json')
  const schema = z.object({ n: z.number() })
  expect(await readJsonFile(path, schema)).toBeUndefined()
  await writeFile(path, '{"n":1}')
  expect(await readJsonFile(path, schema)).toEqual({ n: 1 })
  for (const content of ['{"n":', '{"n":"1"}']) {
    await writeFile(path, content)
    await expect(readJsonFile(path, schema)).rejects.toMatchObject({ code: 'foundation.invalid_file' })
  }
})

test('a folder gets exactly the mode that is asked for', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'a/b')
  await ensureDirectory(path, 0o711)
  await ensureDirectory(path)
  expect((await stat(path)).mode & 0o777).toBe(0o711)
})

test('a secret is made once, also when many ask at the same time, and only its owner can read it', async () => {
  await using folder = await temporaryDirectory()
  const directory = join(folder.path, 'secrets')
  const secrets = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateSecret(directory, 'key', 48)))
  expect(new Set(secrets.map((secret) => secret.toString('hex'))).size).toBe(1)
  expect(secrets[0]).toHaveLength(48)
  expect((await stat(directory)).mode & 0o777).toBe(0o700)
  expect((await stat(join(directory, 'key'))).mode & 0o777).toBe(0o600)
  expect(await readdir(directory)).toEqual(['key'])
  await expect(loadOrCreateSecret(directory, 'key', 32)).rejects.toMatchObject({ code: 'foundation.invalid_file' })
})

test('followers see each published snapshot whole, keep the last good one, and know its age', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'snapshot.json')
  const schema = z.object({ version: z.number(), filler: z.string() })
  const seen: number[] = []
  const errors: unknown[] = []
  const followed = await followSnapshot(path, schema, {
    onChange: ({ version }) => seen.push(version),
    onError: (error) => errors.push(error),
  })
  expect(followed.current()).toBeUndefined()
  expect(followed.ageMs()).toBe(Infinity)
  for (let version = 1; version <= 30; version++) await publishSnapshot(path, { version, filler: 'x'.repeat(100_000) })
  await expect.poll(() => followed.current()?.version).toBe(30)
  expect(errors).toEqual([])
  expect(seen).toEqual(seen.toSorted((one, other) => one - other))
  expect(followed.ageMs()).toBeLessThan(60_000)
  await publishSnapshot(path, { version: 'bad' })
  await expect.poll(() => errors.length, { timeout: 5000 }).toBeGreaterThan(0)
  expect(followed.current()?.version).toBe(30)
  await publishSnapshot(path, { version: 31, filler: '' })
  await expect.poll(() => followed.current()?.version, { timeout: 5000 }).toBe(31)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  followed.close()
})

test('a meter passes bytes through and knows their size and checksums; a limit cuts', async () => {
  const bytes = Buffer.from('123456789')
  const meter = meterStream(['md5', 'sha256', 'crc32'])
  const out: Buffer[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      out.push(chunk)
      done()
    },
  })
  await pipeline(Readable.from([bytes.subarray(0, 4), bytes.subarray(4)]), meter, sink)
  expect(Buffer.concat(out)).toEqual(bytes)
  expect(meter.sizeBytes).toBe(9)
  expect(meter.digest('crc32')).toBe('cbf43926')
  expect(meter.digest('md5')).toBe(createHash('md5').update(bytes).digest('hex'))
  const limited = pipeline(
    Readable.from([bytes, bytes]),
    limitStream(10, () => new Error('too much')),
    new Writable({ write: (_c, _e, done) => done() }),
  )
  await expect(limited).rejects.toThrow('too much')
})
