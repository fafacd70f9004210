/**
 * A program for tests: opens a data root, which may be damaged, and says what it finds there, one line of JSON.
 * Usage: node list-all.ts ROOT
 */
import { openStorageOfTest } from '../test-storage.ts'
import { sha256 } from './random.ts'

export interface Found {
  /** By key, as the listing says. */
  listed: Record<string, string>
  /** SHA-256 of the bytes of each listed key. */
  read: Record<string, string>
}

const [root] = process.argv.slice(2) as [string]
const storage = await openStorageOfTest(root)
const found: Found = { listed: {}, read: {} }
const { objects } = await storage.listObjects({ bucket: 'demo-work' })
for (const { key, etag } of objects) {
  found.listed[key] = etag
  const { body } = await storage.getObject({ bucket: 'demo-work', key })
  found.read[key] = sha256(Buffer.concat(await body.toArray()))
}
process.stdout.write(JSON.stringify(found))
process.exit(0)
