/** Buckets: a folder, and a record beside it that outlives the index. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { checkBucketName } from './bucket-name.ts'
import { isEmptyTree, removeEmptyTree } from './empty-tree.ts'
import { storageFaults } from './errors.ts'
import type { Bucket, Purpose } from './model.ts'
import { requireBucket, type StorageParts } from './parts.ts'

const recordSchema = z.object({
  name: z.string(),
  experiment: z.string(),
  purpose: z.enum(['raw', 'reco', 'work']),
  createdAtMs: z.number().int(),
})

/** Creates a bucket, or makes a folder that is there already one. Throws 'storage.bucket_already_owned_by_you' or '..._exists'. */
export async function createBucket(
  parts: StorageParts,
  wanted: { name: string; experiment: string; purpose: Purpose },
): Promise<Bucket> {
  const { volume, index, clock, reconciler, ownership } = parts
  const name = checkBucketName(wanted.name)
  volume.requireTrust()
  index.refresh()
  const present = index.bucket(name)
  if (present !== undefined) {
    const make =
      present.experiment === wanted.experiment
        ? storageFaults.bucketAlreadyOwnedByYou
        : storageFaults.bucketAlreadyExists
    throw make(`There is already a bucket '${name}'.`)
  }
  const bucket: Bucket = { name, experiment: wanted.experiment, purpose: wanted.purpose, createdAtMs: clock.nowMs() }
  const folder = volume.bucketRoot(name)
  mkdirSync(folder, { recursive: true, mode: ownership.isPerPerson ? 0o700 : 0o755 })
  ownership.shapeTop(bucket)
  mkdirSync(volume.uploadRoot(name), { recursive: true, mode: 0o700 })
  mkdirSync(volume.atticRoot(name), { recursive: true, mode: 0o700 })
  await writeFileDurable(join(volume.bucketRecords, `${name}.json`), JSON.stringify(bucket), { mode: 0o600 })
  await Promise.all([
    volume.syncDirectory(volume.root),
    volume.syncDirectory(join(volume.uploadRoot(name), '..')),
    volume.syncDirectory(join(volume.atticRoot(name), '..')),
  ])
  index.write(() => index.putBucket(bucket))
  await reconciler.reconcileBucket(name)
  return bucket
}

/** Deletes a bucket without objects and uploads; folders that people left empty go with it. */
export async function deleteBucket(parts: StorageParts, name: string): Promise<void> {
  const { volume, index, queue, reconciler } = parts
  requireBucket(parts, name)
  await reconciler.reconcileBucket(name)
  if (readdirSync(volume.uploadRoot(name)).length > 0)
    throw storageFaults.bucketNotEmpty(`There are unfinished uploads in ${name}.`)
  await queue.submit(() => {
    if (!isEmptyTree(volume.bucketRoot(name)) || !isEmptyTree(volume.atticRoot(name))) {
      throw storageFaults.bucketNotEmpty(`There are objects in ${name}.`)
    }
    for (const folder of [volume.bucketRoot(name), volume.atticRoot(name), volume.uploadRoot(name)])
      removeEmptyTree(folder)
    rmSync(join(volume.bucketRecords, `${name}.json`), { force: true })
    index.removeBucket(name)
    return { result: undefined }
  })
  await Promise.all([volume.syncDirectory(volume.root), volume.syncDirectory(volume.bucketRecords)])
}

/** Buckets as the records on disk say; a record whose folder is gone is none. */
export async function bucketRecords({ volume }: Pick<StorageParts, 'volume'>): Promise<Bucket[]> {
  const folders = new Set(readdirSync(volume.root))
  const names = readdirSync(volume.bucketRecords).filter((name) => name.endsWith('.json'))
  const records = await Promise.all(names.map((name) => readJsonFile(join(volume.bucketRecords, name), recordSchema)))
  return records.filter((record) => record !== undefined && folders.has(record.name)) as Bucket[]
}
