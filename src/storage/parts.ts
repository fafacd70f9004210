/** What the functions of an open storage share. Made once by openStorage. */
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { CommitQueue } from './commit-queue.ts'
import { storageFaults } from './errors.ts'
import type { HashThreads } from './hash-threads.ts'
import type { IndexStore } from './index-store.ts'
import type { Bucket } from './model.ts'
import type { ObjectCommits } from './object-commit.ts'
import type { ObjectFiles } from './object-files.ts'
import type { Ownership } from './ownership.ts'
import type { MetadataStore } from './object-metadata.ts'
import type { Reconciler } from './reconcile.ts'
import type { Volume } from './volume.ts'

export interface StorageParts {
  volume: Volume
  index: IndexStore
  queue: CommitQueue
  commits: ObjectCommits
  files: ObjectFiles
  metadataStore: MetadataStore
  ownership: Ownership
  reconciler: Reconciler
  threads: HashThreads
  clock: Clock
  log: Logger
  /** Asks for a foreign file to be hashed in the background. */
  adoptLater(bucket: string, key: string): void
}

/** Throws 'storage.no_such_bucket'. */
export function requireBucket({ index }: Pick<StorageParts, 'index'>, name: string): Bucket {
  const bucket = index.bucket(name)
  if (bucket === undefined) throw storageFaults.noSuchBucket(`There is no bucket '${name}'.`)
  return bucket
}
