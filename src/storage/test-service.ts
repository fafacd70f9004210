/**
 * A program for tests: one opened storage as a gateway has it, told by JSON lines on standard input what to do. Run it
 * under setpriv to see what an account with few rights can do.
 * Usage: node test-service.ts ROOT '{"serviceUid":..,"people":{..},"groups":{..}}'
 */
import { createInterface } from 'node:readline'
import { experimentGroup } from '../identity/contract.ts'
import type { Purpose } from './model.ts'
import type { FileOwners } from './ownership.ts'
import { openStorageOfTest } from './test-storage.ts'

/** Numbers as JSON: people by id, first gid by experiment. */
export interface OwnerNumbers {
  serviceUid: number
  people: Record<string, number>
  groups: Record<string, number>
}

export type Order =
  | { do: 'bucket'; name: string; experiment: string; purpose: Purpose }
  | { do: 'put'; bucket: string; key: string; content: string; ownerId?: string; may?: 'create' | 'replace' }
  | { do: 'multipart'; bucket: string; key: string; content: string; ownerId: string }
  | { do: 'get' | 'delete' | 'sha256'; bucket: string; key: string }
  | { do: 'list'; bucket: string; prefix?: string }
  | { do: 'removeBucket'; bucket: string }
  | { do: 'handOver' }

export function ownersOf({ serviceUid, people, groups }: OwnerNumbers): FileOwners {
  return {
    serviceUid,
    uidOf: (id) => people[id],
    groupOf: (experiment) => (groups[experiment] === undefined ? undefined : experimentGroup(groups[experiment])),
  }
}

async function serve(root: string, numbers: OwnerNumbers | null): Promise<void> {
  const storage = await openStorageOfTest(root, numbers === null ? {} : { owners: ownersOf(numbers) })
  const body = async function* (content: string) {
    yield Buffer.from(content)
  }

  async function run(order: Order): Promise<unknown> {
    switch (order.do) {
      case 'bucket':
        return await storage.createBucket(order)
      case 'put':
        return await storage.putObject({ ...order, body: body(order.content) })
      case 'multipart': {
        const { bucket, key, ownerId, content } = order
        const { uploadId } = await storage.createUpload({ bucket, key, ownerId })
        const address = { bucket, key, uploadId }
        const part = await storage.putPart({ ...address, number: 1, body: body(content), sizeBytes: content.length })
        return await storage.completeUpload({ ...address, parts: [{ number: 1, etag: part.etag }] })
      }
      case 'get': {
        const chunks: Uint8Array[] = []
        for await (const chunk of (await storage.getObject(order)).body) chunks.push(chunk as Uint8Array)
        return Buffer.concat(chunks).toString()
      }
      case 'delete':
        return await storage.deleteObject(order)
      case 'sha256':
        return await storage.sha256Of(order.bucket, order.key)
      case 'list':
        return (await storage.listObjects(order)).objects.map(({ key }) => key)
      case 'removeBucket':
        return await storage.deleteBucket(order.bucket)
      case 'handOver':
        return await (
          await storage.handOver()
        ).finished
    }
  }

  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await run(JSON.parse(line) as Order).then(
      (result) => ({ result: result ?? null }),
      (error: { code?: string; message: string }) => ({ error: error.code ?? error.message, message: error.message }),
    )
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  await storage.close()
}

if (import.meta.main) await serve(process.argv[2]!, JSON.parse(process.argv[3]!) as OwnerNumbers | null)
