/** A completion that is refused leaves the upload as it was. */
import { expect, test } from 'vitest'
import { openTestStorage, readAll } from '../testing.ts'
import { noise } from './random.ts'

const bucket = 'demo-work'
const partBytes = 5 * 1024 * 1024

test('completing with fewer parts, refused, takes nothing from the others', async () => {
  const { storage } = await openTestStorage()
  await storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
  const bodyOf = async function* (content: Buffer) {
    yield content
  }
  await storage.putObject({ bucket, key: 'whole', body: bodyOf(Buffer.from('present')) })
  const { uploadId } = await storage.createUpload({ bucket, key: 'whole', ownerId: 'me' })
  const contents = [noise('one', partBytes), noise('two', partBytes)]
  const parts = []
  for (const [index, content] of contents.entries()) {
    const put = { bucket, key: 'whole', uploadId, number: index + 1, body: bodyOf(content), sizeBytes: partBytes }
    const { number, etag } = await storage.putPart(put)
    parts.push({ number, etag })
  }
  const address = { bucket, key: 'whole', uploadId }
  await expect(storage.completeUpload({ ...address, parts: parts.slice(0, 1), ifAbsent: true })).rejects.toMatchObject({
    code: 'storage.precondition_failed',
  })
  await storage.completeUpload({ ...address, parts })
  const { body } = await storage.getObject({ bucket, key: 'whole' })
  expect((await readAll(body)).equals(Buffer.concat(contents))).toBe(true)
})
