/**
 * One data root: where things lie, how much room there is, whether the disk is still to be trusted.
 *
 *   ROOT/<bucket>/<key>                 the object, a plain file
 *   ROOT/.cygnet/                       0700, never reachable by a key
 *     bucket/<bucket>.json              the bucket's record
 *     tmp/<worker>/<name>               bodies in flight; a dead worker's folder is removed
 *     upload/<bucket>/<uploadId>/       multipart uploads
 *     attic/<bucket>/<h2>/<hash>        keys that no file can be called
 *     meta/<h2>/<inode>                 metadata too large for, or without, extended attributes
 *     index/                            the LMDB index, can be deleted at any time while nothing runs
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { release } from 'node:os'
import { dirname, join } from 'node:path'
import { freeBytes } from '../foundation/files.ts'
import { randomToken } from '../foundation/ids.ts'
import type { Logger } from '../foundation/log.ts'
import { isSameProcess, processIdentity, type ProcessIdentity } from '../foundation/processes.ts'
import { createDirectorySync, type DirectorySync } from './directory-sync.ts'
import { createDiskTrust, type DiskTrust } from './disk-trust.ts'
import { storageFaults } from './errors.ts'

export interface Volume extends DiskTrust {
  root: string
  bucketRoot(bucket: string): string
  atticRoot(bucket: string): string
  uploadRoot(bucket: string): string
  bucketRecords: string
  sidecars: string
  indexFolder: string
  directories: DirectorySync
  /** A new file of this worker, open for reading and writing. */
  newTemporary(mode: number): Temporary
  /** A name in this worker's folder that does not exist yet. */
  newTemporaryPath(): string
  /** Throws 'storage.insufficient_storage' if so many more bytes would pass the floor, 'storage.read_only' on a suspect disk. */
  checkRoom(sizeBytes: number): Promise<void>
  /** True while another process works on this data root. */
  isShared(): boolean
  /** False where two changes of a folder within a few ms can carry the same time. */
  hasFineTimes: boolean
  close(): void
}

export interface Temporary {
  path: string
  fd: number
  /** Closes the descriptor; removes the file unless it has got another name. */
  discard(): void
}

export interface VolumeOptions {
  root: string
  /** Uploads are refused when less than this would be left. */
  freeFloorBytes: number
  log: Logger
}

export function openVolume({ root: given, freeFloorBytes, log }: VolumeOptions): Volume {
  mkdirSync(given, { recursive: true, mode: 0o711 })
  const root = realpathSync(given)
  const hidden = join(root, '.cygnet')
  mkdirSync(hidden, { recursive: true, mode: 0o700 })
  for (const name of ['bucket', 'tmp', 'upload', 'attic', 'meta', 'index'])
    mkdirSync(join(hidden, name), { recursive: true, mode: 0o700 })
  for (const folder of [hidden, root, dirname(root)]) syncFolder(folder)
  removeDeadWorkers(join(hidden, 'tmp'))

  const worker = join(hidden, 'tmp', `${process.pid}-${randomToken(6)}`)
  mkdirSync(worker, { mode: 0o700 })
  writeFileSync(join(worker, 'worker.json'), JSON.stringify(processIdentity(process.pid)))
  let counter = 0
  const trust = createDiskTrust(log)
  let room = { bytes: 0, validUntilMs: 0 }
  const newTemporaryPath = () => join(worker, `${(counter += 1)}`)

  return {
    root,
    bucketRoot: (bucket) => join(root, bucket),
    atticRoot: (bucket) => join(hidden, 'attic', bucket),
    uploadRoot: (bucket) => join(hidden, 'upload', bucket),
    bucketRecords: join(hidden, 'bucket'),
    sidecars: join(hidden, 'meta'),
    indexFolder: join(hidden, 'index'),
    ...trust,
    directories: createDirectorySync(trust),
    newTemporaryPath,
    newTemporary(mode) {
      const path = newTemporaryPath()
      const fd = openSync(path, 'wx+', mode)
      let isOpen = true
      return {
        path,
        fd,
        discard() {
          if (isOpen) closeSync(fd)
          isOpen = false
          rmSync(path, { force: true })
        },
      }
    },
    async checkRoom(sizeBytes) {
      trust.requireTrust()
      const nowMs = performance.now()
      if (room.validUntilMs < nowMs) room = { bytes: await freeBytes(root), validUntilMs: nowMs + 200 }
      if (room.bytes - sizeBytes < freeFloorBytes) {
        throw storageFaults.insufficientStorage(
          `There is no room for this: ${Math.floor(room.bytes / 1e6)} MB are free and ${Math.ceil(freeFloorBytes / 1e6)} MB must stay free.`,
        )
      }
    },
    isShared: () =>
      readdirSync(join(hidden, 'tmp')).some((name) => {
        const identity = workerOf(join(hidden, 'tmp', name))
        return identity !== undefined && identity.pid !== process.pid && isSameProcess(identity)
      }),
    hasFineTimes: hasFineTimes(root),
    close() {
      rmSync(worker, { recursive: true, force: true })
    },
  }
}

/** What lies below is only as durable as the names on the way to it. */
function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Folders of workers that are no more: their bodies were never acknowledged. */
function removeDeadWorkers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const identity = workerOf(path)
    if (identity !== undefined && isSameProcess(identity)) continue
    // A worker that is just starting has not written its identity yet.
    if (
      identity === undefined &&
      Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < 60_000 &&
      isAlive(name)
    )
      continue
    rmSync(path, { recursive: true, force: true })
  }
}

function workerOf(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(join(path, 'worker.json'), 'utf8')) as ProcessIdentity
  } catch {
    return undefined
  }
}

function isAlive(name: string): boolean {
  return processIdentity(Number.parseInt(name, 10)) !== undefined
}

/** ext4, btrfs, xfs and tmpfs of Linux 6.13 and later give each observed change its own time (multigrain timestamps). */
function hasFineTimes(root: string): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const type = statfsSync(root).type >>> 0
  return (major > 6 || (major === 6 && minor >= 13)) && [0xef53, 0x9123683e, 0x58465342, 0x01021994].includes(type)
}
