/**
 * A program for tests: does each thing that the room acknowledges once, and writes a line to a file when it is
 * acknowledged, with the paths that must survive a power cut from there on, and those that must not come back.
 * Usage: node one-of-each.ts ROOT MARKS
 */
import { mkdirSync, openSync, readdirSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { atticName } from '../key-place.ts'
import { openStorageOfTest } from '../test-storage.ts'
import { noise } from './random.ts'

export interface Mark {
  what: string
  there: string[]
  gone: string[]
}

const [root, marks] = process.argv.slice(2) as [string, string]
const bucket = 'demo-work'
const record = openSync(marks, 'a')
const partBytes = 5 * 1024 * 1024

function mark(what: string, there: string[], gone: string[] = []): void {
  writeSync(record, `${JSON.stringify({ what, there, gone } satisfies Mark)}\n`)
}

async function* bodyOf(content: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

const storage = await openStorageOfTest(root)
await storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
mark('bucket', [bucket, `.cygnet/bucket/${bucket}.json`, `.cygnet/upload/${bucket}`, `.cygnet/attic/${bucket}`])

const put = async (key: string, content: string, more: object = {}) =>
  await storage.putObject({ bucket, key, body: bodyOf(content), ...more })
const of = (key: string) => `${bucket}/${key}`

await put('new', 'one')
mark('a new object', [of('new')])
await put('new', 'two')
mark('an object replaced', [of('new')])
await put('a/b/c/deep', 'one')
mark('an object in new folders', [of('a/b/c/deep')])
mkdirSync(join(root, of('made/by')), { recursive: true })
await put('made/by/others', 'one')
mark('an object in folders of which nobody knows whether they are durable', [of('made/by/others')])
await put('x//y', 'one')
mark('an object in the attic', [`.cygnet/attic/${bucket}/${atticName('x//y')}`])
await put('large', 'one', { userMetadata: { note: 'x'.repeat(4000) } })
const { ino } = statSync(join(root, of('large')), { bigint: true })
mark('an object with a sidecar', [of('large'), `.cygnet/meta/${(ino & 0xffn).toString(16).padStart(2, '0')}/${ino}`])
await put('large', 'one', { may: 'create' })
mark('the same again', [of('large')])
await storage.deleteObject({ bucket, key: 'new' })
mark('a deletion', [], [of('new')])
await storage.deleteObject({ bucket, key: 'x//y' })
mark('a deletion in the attic', [], [`.cygnet/attic/${bucket}/${atticName('x//y')}`])
await storage.deleteObject({ bucket, key: 'a/b/c/deep' })
mark('a deletion that empties folders', [], [of('a/b/c/deep'), of('a')])

for (const kind of ['new', 'replaced', 'of different sizes'] as const) {
  const key = kind === 'of different sizes' ? 'different' : 'whole'
  const { uploadId } = await storage.createUpload({ bucket, key, ownerId: 'me' })
  const folder = `.cygnet/upload/${bucket}/${uploadId}`
  mark(`an upload (${kind})`, [`${folder}/upload.json`, `${folder}/data`])
  const sizes = kind === 'of different sizes' ? [partBytes, partBytes + 1, 10] : [partBytes, partBytes, 10]
  const parts = []
  for (const [index, size] of sizes.entries()) {
    const content = noise(`${kind}${index}`, size)
    const { number, etag } = await storage.putPart({
      bucket,
      key,
      uploadId,
      number: index + 1,
      body: bodyOf(content),
      sizeBytes: size,
    })
    parts.push({ number, etag })
    const own = readdirSync(join(root, folder)).filter((name) => name.startsWith(`part.${number}.`))
    const claim = [
      `${folder}/layout`,
      ...(own.length > 0 ? own.map((name) => `${folder}/${name}`) : [`${folder}/claim.${number}`]),
    ]
    mark(`part ${number} (${kind})`, [`${folder}/data`, `${folder}/parts.jsonl`, ...claim])
  }
  await storage.completeUpload({ bucket, key, uploadId, parts })
  mark(`an upload completed (${kind})`, [of(key)], [folder])
  await storage.completeUpload({ bucket, key, uploadId, parts })
  mark(`an upload completed again (${kind})`, [of(key)])
}
const { uploadId } = await storage.createUpload({ bucket, key: 'aborted', ownerId: 'me' })
mark('an upload begun', [`.cygnet/upload/${bucket}/${uploadId}/upload.json`])
await storage.abortUpload({ bucket, key: 'aborted', uploadId })
mark('an upload aborted', [], [`.cygnet/upload/${bucket}/${uploadId}`])
await storage.close()
