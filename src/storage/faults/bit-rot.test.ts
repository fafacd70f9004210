/** One bit flips somewhere: what is served as verified is never what the disk made of it. */
import { getAttributeSync, setAttributeSync } from '@napi-rs/xattr'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { openTestServer, openTestStorage, readAll, s3Fetch, type TestServer } from '../testing.ts'
import type { Found } from './list-all.ts'
import { campaignSeed, isLong, noise, randomOf, sha256, type Random } from './random.ts'

const seed = campaignSeed()
const flips = isLong ? 1000 : 40
const bucket = 'demo-work'
const partBytes = 5 * 1024 * 1024

async function* bodyOf(content: Buffer): AsyncGenerator<Buffer> {
  yield content
}

function flipped(bytes: Buffer, random: Random): Buffer {
  const changed = Buffer.from(bytes)
  const at = random.below(changed.length)
  changed[at] = changed[at]! ^ (1 << random.below(8))
  return changed
}

/** Changes the file as a disk does: nobody's clock notices. */
function rot(path: string, random: Random): void {
  const { mtimeNs } = statSync(path, { bigint: true })
  writeFileSync(path, flipped(readFileSync(path), random))
  const seconds = mtimeNs / 1_000_000_000n
  execFileSync('touch', ['-m', '-d', `@${seconds}.${`${mtimeNs % 1_000_000_000n}`.padStart(9, '0')}`, path])
}

async function uploaded({ storage }: Pick<TestServer, 'storage'>, key: string, parts: Buffer[]): Promise<void> {
  const { uploadId } = await storage.createUpload({ bucket, key, ownerId: 'me' })
  const address = { bucket, key, uploadId }
  const done = []
  for (const [index, part] of parts.entries()) {
    const { number, etag } = await storage.putPart({
      ...address,
      number: index + 1,
      body: bodyOf(part),
      sizeBytes: part.length,
    })
    done.push({ number, etag })
  }
  await storage.completeUpload({ ...address, parts: done })
}

test('in the bytes of an object: no claim fits them, and they are not passed on', async () => {
  const server = await openTestServer()
  const { storage, root, url } = server
  const random = randomOf(seed)
  let told = 0
  for (let number = 0; number < flips; number += 1) {
    const key = `k${number}`
    const content = noise(`${seed}.${number}`, 1 + random.below(20_000))
    await storage.putObject({ bucket, key, body: bodyOf(content), checksums: ['crc64nvme'] })
    rot(join(root, bucket, key), random)
    const { info, body } = await storage.getObject({ bucket, key })
    const served = await readAll(body)
    expect(info.isForeign).toBe(false)
    // Whoever compares sees it: the claims are those of what was stored.
    expect(info.etag).not.toBe(createHash('md5').update(served).digest('hex'))
    expect(info.sha256).toBe(sha256(content))
    const copy = await s3Fetch('PUT', `${url}/${bucket}/copy`, { headers: { 'x-amz-copy-source': `${bucket}/${key}` } })
    expect(copy.status).toBe(500)
    told += 1
  }
  console.log(`campaign bit-rot seed=${seed} faults=${told} detected=${told} lost=0`)
  expect(() => storage.headObject(bucket, 'copy')).toThrow('There is no object')
})

test('in an object from parts, before or after it is whole: no SHA-256 is invented for it', async () => {
  const server = await openTestServer()
  const { storage, root, url } = server
  const random = randomOf(seed + 1)
  const content = [noise('one', partBytes), noise('two', 1000)]
  await uploaded(server, 'good', content)
  expect(await storage.sha256Of(bucket, 'good')).toBe(sha256(Buffer.concat(content)))
  await uploaded(server, 'after', content)
  rot(join(root, bucket, 'after'), random)
  const { uploadId } = await storage.createUpload({ bucket, key: 'before', ownerId: 'me' })
  const address = { bucket, key: 'before', uploadId }
  const { etag } = await storage.putPart({ ...address, number: 1, body: bodyOf(content[0]!), sizeBytes: partBytes })
  rot(join(root, '.cygnet/upload', bucket, uploadId, 'data'), random)
  await storage.completeUpload({ ...address, parts: [{ number: 1, etag }] })
  for (const key of ['after', 'before']) {
    await expect(storage.sha256Of(bucket, key)).rejects.toMatchObject({ code: 'storage.damaged_object' })
    expect(storage.headObject(bucket, key).sha256).toBeUndefined()
    const headers = { 'x-amz-copy-source': `${bucket}/${key}` }
    expect((await s3Fetch('PUT', `${url}/${bucket}/copy`, { headers })).status).toBe(500)
  }
})

test('in what a file says of itself: it says nothing any more, and its bytes are served', async () => {
  const { storage, root } = await openTestServer()
  if (!storage.health().hasAttributes) return
  const random = randomOf(seed + 2)
  for (let number = 0; number < flips; number += 1) {
    const key = `k${number}`
    const isSidecar = number % 4 === 3
    const content = noise(`${seed}.${number}`, 100)
    const note = isSidecar ? 'x'.repeat(4000) : 'x'
    await storage.putObject({ bucket, key, body: bodyOf(content), userMetadata: { note } })
    const path = join(root, bucket, key)
    const { ino } = statSync(path, { bigint: true })
    if (isSidecar) rot(join(root, '.cygnet/meta', (ino & 0xffn).toString(16).padStart(2, '0'), `${ino}`), random)
    else setAttributeSync(path, 'user.cygnet', flipped(getAttributeSync(path, 'user.cygnet')!, random))
    const { info, body } = await storage.getObject({ bucket, key })
    expect((await readAll(body)).equals(content)).toBe(true)
    expect({ foreign: info.isForeign, sha256: info.sha256, note: info.userMetadata.note }).toEqual({
      foreign: true,
      sha256: undefined,
      note: undefined,
    })
  }
})

test('in the index: objects are read from their files, and deleting the index heals every listing', async () => {
  const { path } = await temporaryDirectory('cygnet-rot-')
  const root = join(path, 'data')
  const { storage } = await openTestStorage({ root })
  await storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
  const contents = new Map<string, string>()
  for (let number = 0; number < 60; number += 1) {
    const content = noise(`${number}`, 50 + number)
    contents.set(`k${number}`, sha256(content))
    await storage.putObject({ bucket, key: `k${number}`, body: bodyOf(content) })
  }
  await storage.close()
  const random = randomOf(seed + 3)
  const file = join(root, '.cygnet/index/index.mdb')
  const whole = readFileSync(file)
  const outcomes = { right: 0, 'listing wrong': 0, 'said so': 0, died: 0 }
  for (let number = 0; number < (isLong ? 300 : 2); number += 1) {
    writeFileSync(file, flipped(whole, random))
    const found = foundIn(root)
    if (found === undefined) outcomes.died += 1
    else if (typeof found === 'string') outcomes['said so'] += 1
    else {
      for (const [key, digest] of Object.entries(found.read)) expect(digest, key).toBe(contents.get(key))
      outcomes[Object.keys(found.listed).length === contents.size ? 'right' : 'listing wrong'] += 1
    }
  }
  console.log(`campaign index-rot seed=${seed} ${JSON.stringify(outcomes)}`)
  rmSync(join(root, '.cygnet/index'), { recursive: true })
  expect(Object.keys((foundIn(root) as Found).listed).toSorted()).toEqual([...contents.keys()].toSorted())
})

/** What a process of its own finds: a damaged index may take it with it. A text is its complaint. */
function foundIn(root: string): Found | string | undefined {
  const program = join(import.meta.dirname, 'list-all.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, root], { encoding: 'utf8', timeout: 60_000 })
  if (status === 0) return JSON.parse(stdout) as Found
  return status === null ? undefined : stderr
}
