/**
 * A program for tests: a gateway, no more than the S3 server before a data root. Says its port, lives until killed.
 * Usage: node gateway.ts ROOT
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { silentLogger } from '../../foundation/log.ts'
import { storageFaults } from '../errors.ts'
import { createS3Handler, createS3Server } from '../s3/handler.ts'
import { testKeys } from '../test-signing.ts'
import { openStorageOfTest } from '../test-storage.ts'

const [root] = process.argv.slice(2) as [string]
const storage = await openStorageOfTest(root)
if (storage.listBuckets().length === 0)
  await storage
    .createBucket({ name: 'demo-work', experiment: 'demo', purpose: 'work' })
    .catch((error: { code?: string }) => {
      if (error.code !== 'storage.bucket_already_owned_by_you') throw error
    })
const handler = createS3Handler<{ id: string }>({
  storage,
  accessKey: (id) =>
    id === testKeys.owner.id ? { secret: testKeys.owner.secret, subject: { id: 'owner' } } : undefined,
  permit(_subject, _action, { experiment }) {
    if (experiment !== 'demo') throw storageFaults.accessDenied('Not here.')
  },
  log: silentLogger(),
  region: 'us-east-1',
  hosts: [],
})
const server = createS3Server(handler)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
