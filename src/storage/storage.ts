/** Opening a data root: its parts put together, what a crash left behind put right, and the functions others call. */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { networkFileSystemOf } from '../foundation/files.ts'
import { acquireLock, type Lock } from '../foundation/lock.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import { createAdopter } from './adopter.ts'
import { adoptPath, type AdoptPath } from './adopt-path.ts'
import { bucketRecords, createBucket, deleteBucket } from './buckets.ts'
import { createCommitQueue } from './commit-queue.ts'
import { completeUpload, type CompleteUpload } from './complete-upload.ts'
import { storageFaults } from './errors.ts'
import { streamRange } from './file-reader.ts'
import { handOverTops, handOverTrees } from './hand-over.ts'
import { createHashThreads } from './hash-threads.ts'
import { openIndexStore, removeIndexStore, type IndexStore } from './index-store.ts'
import { checkKey, placeOfKey } from './key-place.ts'
import { createLister } from './list-objects.ts'
import type {
  Bucket,
  ByteRange,
  Changes,
  ChangePosition,
  GotObject,
  Listing,
  ListOptions,
  ObjectInfo,
  OpenObject,
} from './model.ts'
import type { Purpose, PutObject, Stored, Upload, UploadedPart } from './model.ts'
import {
  abortUpload,
  createUpload,
  listParts,
  listUploads,
  putPart,
  removeLeftovers,
  requireUpload,
} from './multipart.ts'
import type { NewUpload, PutPart, UploadAddress } from './multipart.ts'
import { createObjectCommits } from './object-commit.ts'
import { createObjectFiles, infoOf, noSuchKey } from './object-files.ts'
import { createMetadataStore } from './object-metadata.ts'
import { createOwnership, type FileOwners } from './ownership.ts'
import { requireBucket, type StorageParts } from './parts.ts'
import { putObject } from './put-object.ts'
import { diskFault } from './receive-body.ts'
import { createReconciler } from './reconcile.ts'
import { sha256Of } from './sha256-of.ts'
import { openVolume, type Volume } from './volume.ts'

export interface StorageOptions {
  /** The data root, on one local file system. Several processes may open the same one. */
  root: string
  clock: Clock
  log: Logger
  /** 32 bytes; whoever knows it can invent checksums. The same for every process and every start. */
  macKey: Uint8Array
  /** Uploads are refused when less would stay free; default 256 MiB. */
  freeFloorBytes?: number
  /** Whose the files shall be, where the process may give them away; without, all files have its own uid. */
  owners?: FileOwners | undefined
}

export interface Storage {
  createBucket(bucket: { name: string; experiment: string; purpose: Purpose }): Promise<Bucket>
  listBuckets(): Bucket[]
  /** Throws 'storage.no_such_bucket'. */
  headBucket(name: string): Bucket
  deleteBucket(name: string): Promise<void>
  /** Durable when it resolves; when it rejects nothing has changed. */
  putObject(put: PutObject): Promise<Stored>
  /** Publishes a file that is already written on this machine; see AdoptPath. */
  adoptPath(adopt: AdoptPath): Promise<Stored>
  /** Throws 'storage.no_such_key'. Destroy the body if you do not read it to its end. */
  getObject(object: { bucket: string; key: string; range?: ByteRange }): Promise<GotObject>
  openObject(bucket: string, key: string): OpenObject
  headObject(bucket: string, key: string): ObjectInfo
  /** SHA-256 in hexadecimal; computed from the bytes now if it is not known. */
  sha256Of(bucket: string, key: string): Promise<string>
  deleteObject(object: { bucket: string; key: string; ifEtag?: string }): Promise<{ deleted: boolean }>
  listObjects(options: ListOptions): Promise<Listing>
  createUpload(upload: NewUpload): Promise<Upload>
  headUpload(address: UploadAddress): Promise<Upload>
  putPart(part: PutPart): Promise<UploadedPart>
  listParts(address: UploadAddress): Promise<{ upload: Upload; parts: UploadedPart[] }>
  listUploads(bucket: string): Promise<Upload[]>
  completeUpload(complete: CompleteUpload): Promise<Stored>
  abortUpload(address: UploadAddress): Promise<void>
  /** What happened to objects, in order; poll it. Without `since`, from the oldest that is kept. */
  changes(query?: { since?: ChangePosition | undefined; limit?: number }): Changes
  /** The end of the changes as of now. */
  lastChange(): ChangePosition
  /** Calls `listener` soon after any process has changed something: a hint to ask for changes. Returns what ends it. */
  onChange(listener: () => void): () => void
  /** Absolute path of the file; throws 'storage.no_posix_path' for the few keys that no file can have. */
  pathOf(bucket: string, key: string): string
  /** The folder of a bucket, for mounting it. */
  bucketPath(name: string): string
  /** Makes the index again from the tree: a new epoch, every object once more in the changes. Alone on the data root. */
  rebuildIndex(): Promise<void>
  health(): { readOnlyReason: string | undefined; hasAttributes: boolean; epoch: string }
  /**
   * As root: gives what is there to people and groups. When it resolves, the walls before buckets stand; what is inside
   * follows in the background. Does nothing where it was done before.
   */
  handOver(): Promise<{ finished: Promise<void> }>
  /** Resolves when the foreign files met so far are hashed. */
  adopted(): Promise<void>
  close(): Promise<void>
}

const defaultFloorBytes = 256 * 1024 * 1024

/** Opens a data root; creates it if it is empty. Slow only when the index has to be made again. */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { clock, log, macKey, freeFloorBytes = defaultFloorBytes } = options
  const volume = openVolume({ root: options.root, freeFloorBytes, log })
  const network = await networkFileSystemOf(volume.indexFolder)
  if (network !== undefined)
    throw storageFaults.unsupportedFileSystem(
      `The data root lies on a network file system (${network}); its index would break.`,
    )
  const probe = volume.newTemporary(0o600)
  const metadataStore = createMetadataStore({ sidecars: volume.sidecars, macKey, probePath: probe.path })
  probe.discard()
  await using lock = await openingLock(join(volume.root, '.cygnet', 'opening.lock'))
  const index = openIndex(volume, log)
  const ownership = createOwnership(volume, options.owners, log)
  const files = createObjectFiles(volume, metadataStore, ownership)
  const reconciler = createReconciler({ volume, index, metadataStore, ownership, clock })
  const commits = createObjectCommits({ volume, index, files, metadataStore, clock })
  const threads = createHashThreads()
  const adopter = createAdopter(() => parts)
  const adoptLater = (bucket: string, key: string) => adopter.add(bucket, key)
  const queue = createCommitQueue(index, volume, log)
  const parts: StorageParts = {
    volume,
    index,
    queue,
    commits,
    files,
    metadataStore,
    ownership,
    reconciler,
    threads,
    clock,
    log,
    adoptLater,
  }
  const lister = createLister({ volume, index, metadataStore, ownership, reconciler, onForeign: adoptLater })

  async function align(): Promise<void> {
    const records = await bucketRecords(parts)
    index.write(() => {
      for (const record of records) index.putBucket(record)
      const names = new Set(records.map((record) => record.name))
      for (const known of index.buckets()) if (!names.has(known.name)) index.removeBucket(known.name)
    })
    for (const record of records) {
      await removeLeftovers(parts, record.name)
      await reconciler.reconcileBucket(record.name)
    }
  }

  if (index.epoch() === undefined) index.write(() => index.reset())
  await align()
  await lock.release()

  const closing = new AbortController()
  let handingOver: Promise<void> = Promise.resolve()

  function openObject(bucket: string, key: string): OpenObject {
    requireBucket(parts, bucket)
    checkKey(key)
    const file = files.open(bucket, key)
    if (file === undefined) throw noSuchKey(bucket, key)
    if (file.metadata === undefined) adoptLater(bucket, key)
    let isOpen = true
    return {
      info: infoOf(bucket, key, file.stat, file.metadata),
      fd: file.fd,
      close() {
        if (isOpen) closeSync(file.fd)
        isOpen = false
      },
    }
  }

  return {
    createBucket: (bucket) => saidPlainly(createBucket(parts, bucket)),
    listBuckets() {
      index.refresh()
      return index.buckets()
    },
    headBucket(name) {
      index.refresh()
      return requireBucket(parts, name)
    },
    deleteBucket: (name) => saidPlainly(deleteBucket(parts, name)),
    putObject: (put) => saidPlainly(putObject(parts, put)),
    adoptPath: (adopt) => adoptPath(parts, adopt),
    async getObject({ bucket, key, range }) {
      const { info, fd, close } = openObject(bucket, key)
      return { info, body: streamRange(fd, range ?? { start: 0, end: info.sizeBytes - 1 }, close) }
    },
    openObject,
    headObject(bucket, key) {
      requireBucket(parts, bucket)
      checkKey(key)
      const found = files.locate(bucket, key)
      found?.directory.close()
      if (found === undefined) throw noSuchKey(bucket, key)
      if (found.metadata === undefined) adoptLater(bucket, key)
      return infoOf(bucket, key, found.stat, found.metadata)
    },
    sha256Of: (bucket, key) => sha256Of(parts, bucket, checkKey(key)),
    async deleteObject({ bucket, key, ifEtag }) {
      requireBucket(parts, bucket)
      checkKey(key)
      try {
        const { deleted, folders } = await queue.submit(() =>
          commits.remove(bucket, key, ifEtag === undefined ? {} : { ifEtag }),
        )
        // Also when nothing was there: who removed it may still be waiting for its folder to be synced.
        await Promise.all(folders.map((folder) => volume.directories.syncNearest(folder)))
        return { deleted }
      } catch (error) {
        throw diskFault(error)
      }
    },
    listObjects: (list) => lister.list(list),
    createUpload: (upload) => saidPlainly(createUpload(parts, upload)),
    headUpload: async (address) => (await requireUpload(parts, address)).upload,
    putPart: (part) => saidPlainly(putPart(parts, part)),
    listParts: (address) => listParts(parts, address),
    listUploads: (bucket) => listUploads(parts, bucket),
    completeUpload: (complete) => saidPlainly(completeUpload(parts, complete)),
    abortUpload: (address) => saidPlainly(abortUpload(parts, address)),
    changes: (query = {}) => changesSince(index, query),
    lastChange() {
      index.refresh()
      return { epoch: index.epoch() ?? '', sequence: index.lastSequence() }
    },
    onChange: (listener) => index.watch(listener),
    pathOf(bucket, key) {
      requireBucket(parts, bucket)
      const path = files.pathOf(bucket, checkKey(key))
      if (path !== undefined) return path
      const found = files.locate(bucket, key)
      found?.directory.close()
      if (found === undefined && placeOfKey(key).kind === 'path') throw noSuchKey(bucket, key)
      throw storageFaults.noPosixPath(`'${key}' in ${bucket} has no path of its own.`)
    },
    bucketPath: (name) => volume.bucketRoot(requireBucket(parts, name).name),
    async rebuildIndex() {
      index.write(() => index.reset())
      await align()
    },
    health: () => ({
      readOnlyReason: volume.suspicion(),
      hasAttributes: metadataStore.hasAttributes,
      epoch: index.epoch() ?? '',
    }),
    async handOver() {
      if (options.owners !== undefined) handOverTops(parts, options.owners.serviceUid)
      handingOver = handOverTrees(parts, closing.signal).catch((error: unknown) =>
        log.error({ error }, 'files could not be handed over; the next start goes on'),
      )
      return { finished: handingOver }
    },
    adopted: () => adopter.settled(),
    async close() {
      closing.abort()
      await handingOver
      await adopter.close()
      await threads.close()
      await index.close()
      volume.close()
    },
  }
}

/** Wherever on the way the disk was full or broken, callers hear the same of it. */
async function saidPlainly<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw diskFault(error)
  }
}

/** One process at a time puts things right; the others wait for it. */
async function openingLock(path: string): Promise<Lock> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await acquireLock(path)
    } catch (error) {
      if ((error as { code?: string }).code !== 'foundation.locked' || attempt > 6000) throw error
      await sleep(50)
    }
  }
}

/** Only a damaged index is thrown away, and only alone: on a full disk, or while others use it, it would lose changes. */
function openIndex({ indexFolder, isShared }: Volume, log: Logger): IndexStore {
  try {
    return openIndexStore(indexFolder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBADMSG') throw diskFault(error)
    if (isShared())
      throw storageFaults.damagedIndex('The index of the data root cannot be read.', {
        cause: error,
        hint: 'Stop all of Cygnet on this data root and start it again: the index is then made again from the files.',
      })
    log.error({ error }, 'the index of the data root cannot be read; it is made again from the tree')
    removeIndexStore(indexFolder)
    return openIndexStore(indexFolder)
  }
}

function changesSince(
  index: IndexStore,
  { since, limit = 1000 }: { since?: ChangePosition | undefined; limit?: number },
): Changes {
  index.refresh()
  const epoch = index.epoch() ?? ''
  const first = index.firstSequence()
  const isContinued =
    since !== undefined &&
    since.epoch === epoch &&
    since.sequence >= first - 1 &&
    since.sequence <= index.lastSequence()
  const after = isContinued ? since.sequence : first - 1
  const items = index.changes(after, limit)
  return {
    epoch,
    items,
    next: { epoch, sequence: items.at(-1)?.sequence ?? after },
    reset: since !== undefined && !isContinued,
  }
}
