/**
 * A program for tests: writes, replaces and deletes objects of a data root as fast as it can and says on standard
 * output what it begins and what was acknowledged, until somebody kills it (or until so many rounds are done).
 * Usage: node test-writer.ts ROOT NAME ROUNDS
 */
import { createHash, randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openStorageOfTest } from './test-storage.ts'

const [root, name, rounds] = process.argv.slice(2) as [string, string, string]
const bucket = 'demo-work'
const storage = await openStorageOfTest(root)

/** The bytes leave the process with the call: an acknowledgement that was printed was given. */
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`)

async function* pieces(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536)
}

/** Each lane has its own keys, so that the order of what happened to a key is known. */
async function lane(number: number): Promise<void> {
  for (let round = 0; round < Number(rounds); round += 1) {
    const key = `${name}/${number}/${'sub/'.repeat(round % 3)}k${round % 5}`
    if (round % 7 === 6) {
      say({ begin: key, sha256: null })
      await storage.deleteObject({ bucket, key })
      say({ done: key, sha256: null })
      continue
    }
    const isMultipart = number === 0 && round % 5 === 4
    const content = randomBytes(isMultipart ? 5 * 1024 * 1024 + round : round % 4 === 3 ? 2_100_000 : 1 + round * 10)
    const sha256 = createHash('sha256').update(content).digest('hex')
    say({ begin: key, sha256 })
    if (isMultipart) await inParts(key, content)
    else await storage.putObject({ bucket, key, body: pieces(content), sizeBytes: content.length })
    say({ done: key, sha256 })
  }
}

async function inParts(key: string, content: Buffer): Promise<void> {
  const { uploadId } = await storage.createUpload({ bucket, key, ownerId: name })
  const address = { bucket, key, uploadId }
  const cut = 5 * 1024 * 1024
  const parts = []
  for (const [index, part] of [content.subarray(0, cut), content.subarray(cut)].entries()) {
    const { number, etag } = await storage.putPart({
      ...address,
      number: index + 1,
      body: pieces(part),
      sizeBytes: part.length,
    })
    parts.push({ number, etag })
  }
  await storage.completeUpload({ ...address, parts })
}

say({ ready: true })
await Promise.all([0, 1, 2].map(lane))
await storage.close()
