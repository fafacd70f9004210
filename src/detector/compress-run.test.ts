import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { compressRun, hashInflated } from './compress-run.ts'
import { openMidasIndex, readPictureAt } from './midas-index.ts'
import { fileOf, readAll, sampleRun } from './sample-file.ts'
import { pictureRun } from './sample-frames.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function compressed(path: string, level?: number) {
  const target = join((await temporaryDirectory()).path, 'run00042.mid.gz')
  return { target, made: await compressRun(path, target, level === undefined ? {} : { level }) }
}

test('a run compressed event by event is the same run, to zcat and to us; its pictures are found by hopping', async () => {
  const plain = await pictureRun({ pictures: 5, side: 300 })
  const { target, made } = await compressed(plain)
  const bytes = await readFile(plain)
  const { stdout } = await promisify(execFile)('zcat', [target], { encoding: 'buffer', maxBuffer: 1 << 30 })
  expect(Buffer.compare(stdout, bytes)).toBe(0)
  expect(made).toEqual({
    sizeBytes: (await readFile(target)).length,
    originalBytes: bytes.length,
    sha256: sha256(await readFile(target)),
    originalSha256: sha256(bytes),
  })
  expect(made.sizeBytes).toBeLessThan(bytes.length / 2)
  expect(await hashInflated(target)).toEqual({ sha256: made.originalSha256, sound: true })
  const index = await openMidasIndex(target)
  expect(index.seek?.kind).toBe('members')
  expect(await readPictureAt(index, 4)).toEqual(await readPictureAt(plain, 4))
  // A copy that a kill left half done can be made anew: the same bytes come.
  expect((await compressed(plain)).made).toEqual(made)
})

test('whatever a file holds comes back byte for byte', async () => {
  const plain = await readFile(await sampleRun())
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(plain.length - 1), fc.nat(255)), { maxLength: 3 }),
      fc.nat(plain.length),
      fc.uint8Array({ maxLength: 100 }),
      async (changes, cut, more) => {
        const bytes = Buffer.concat([Buffer.from(plain.subarray(0, cut)), more])
        for (const [at, to] of changes) if (at < bytes.length) bytes[at] = to
        const { target, made } = await compressed(await fileOf(bytes), 6)
        expect(made.originalSha256).toBe(sha256(bytes))
        // An empty file makes an empty one, which is no gzip but has the same bytes.
        expect(await hashInflated(target)).toEqual({ sha256: sha256(bytes), sound: true })
      },
    ),
    { numRuns: 60 },
  )
})

test('damage in the compressed file is seen; an existing one is left alone; a signal ends it', async () => {
  const plain = await pictureRun({ pictures: 3, side: 200 })
  const { target, made } = await compressed(plain)
  await expect(compressRun(plain, target)).rejects.toMatchObject({ code: 'detector.already_there' })
  const bytes = await readFile(target)
  for (const at of [200, bytes.length >> 1, bytes.length - 3]) {
    await writeFile(target, bytes.with(at, bytes[at]! ^ 4))
    const { sha256: found, sound } = await hashInflated(target)
    expect(sound && found === made.originalSha256).toBe(false)
  }
  await writeFile(target, bytes)
  expect((await readAll(target)).outcome.complete).toBe(true)
  await expect(compressRun(plain, `${target}2`, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  })
})
