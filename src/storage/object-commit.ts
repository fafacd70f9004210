/**
 * The moment in which an object appears, is replaced or goes: one transaction in which the file gets its name and the
 * index its row and its entry in the log of changes. The file is the truth: a crash in between leaves the old or the
 * new object, and the next look at the folder brings the index in line.
 */
import { linkSync, renameSync, rmdirSync, rmSync, unlinkSync, type BigIntStats } from 'node:fs'
import { failpoint } from '../foundation/failpoints.ts'
import type { Clock } from '../foundation/time.ts'
import type { Commit } from './commit-queue.ts'
import { storageFaults } from './errors.ts'
import type { IndexStore } from './index-store.ts'
import { atticName, placeOfKey } from './key-place.ts'
import type { ObjectInfo, PutRules } from './model.ts'
import { infoOf, type Located, type ObjectFiles } from './object-files.ts'
import type { FileMetadata, MetadataStore } from './object-metadata.ts'
import { openDirectory, statEntry, type SafeDirectory } from './safe-directory.ts'
import type { Volume } from './volume.ts'

export interface Publication {
  bucket: string
  key: string
  /** A finished, synced file of this worker. */
  temporaryPath: string
  stat: BigIntStats
  metadata: FileMetadata
  rules: PutRules
  /** Folders that were made for it, relative to the bucket. */
  createdDirectories: readonly string[]
  /** True once its path was found blocked by a file or folder. */
  toAttic: boolean
}

export type Outcome =
  | { kind: 'stored'; folder: string }
  /** The folder went away meanwhile: make it again. */
  | { kind: 'again' }
  /** Something with another meaning has that path: the attic serves. */
  | { kind: 'blocked' }
  /** Only for rules.may = 'create'. */
  | { kind: 'exists'; info: ObjectInfo; folder: string }

export interface ObjectCommits {
  publish(publication: Publication): Commit<Outcome>
  remove(
    bucket: string,
    key: string,
    rules: { ifEtag?: string },
  ): Commit<{ deleted: boolean; /** To be synced before anybody is told. */ folders: string[] }>
}

export function createObjectCommits(parts: {
  volume: Volume
  index: IndexStore
  files: ObjectFiles
  metadataStore: MetadataStore
  clock: Clock
}): ObjectCommits {
  const { volume, index, files, metadataStore, clock } = parts

  function checkBucket(bucket: string): void {
    if (index.bucket(bucket) === undefined) throw storageFaults.noSuchBucket(`There is no bucket '${bucket}'.`)
  }

  /** Keeps a folder's row true across a change of our own, if it was true before. */
  function noteChange(
    bucket: string,
    path: string,
    beforeNs: bigint,
    directory: SafeDirectory,
    isNew: boolean,
    entries: number,
  ): void {
    const row = index.directory(bucket, path)
    if (row === undefined) {
      if (!isNew) return
      // Still as it was born: nobody else has put anything into it. Otherwise its time stays unknown and it is looked at.
      const mtimeNs = beforeNs === directory.bornNs() ? directory.mtimeNs() : -1n
      index.putDirectory(bucket, path, { mtimeNs, isAuto: true, isRacy: !volume.hasFineTimes, scan: 0, entries })
    } else if (row.mtimeNs === beforeNs) {
      index.putDirectory(bucket, path, {
        ...row,
        mtimeNs: directory.mtimeNs(),
        isRacy: !volume.hasFineTimes,
        entries: row.entries + entries,
      })
    }
  }

  function checkRules(rules: PutRules, bucket: string, key: string, existing: Located | undefined): void {
    if (rules.ifAbsent && existing !== undefined)
      throw storageFaults.preconditionFailed(`'${key}' exists in ${bucket}.`)
    if (rules.ifEtag === undefined) return
    if (existing === undefined) throw storageFaults.noSuchKey(`There is no object '${key}' in ${bucket}.`)
    const { etag } = infoOf(bucket, key, existing.stat, existing.metadata)
    if (etag !== rules.ifEtag) throw storageFaults.preconditionFailed(`'${key}' in ${bucket} has the ETag ${etag}.`)
  }

  /** Gives the file its final name; returns how to take it back. */
  function moveIn(temporaryPath: string, directory: SafeDirectory, name: string, present: BigIntStats | undefined) {
    const target = directory.at(name)
    if (present === undefined) {
      linkOrRename(temporaryPath, target)
      return { undo: () => rmSync(target, { force: true }), after: () => {} }
    }
    const kept = volume.newTemporaryPath()
    const isKept = linkIfPossible(target, kept)
    try {
      renameSync(temporaryPath, target)
    } catch (error) {
      rmSync(kept, { force: true })
      throw error
    }
    return {
      // The new file keeps its temporary name: the parts of an upload are in it.
      undo() {
        if (!isKept) throw new Error('The old object is gone: this file system knows no links.')
        linkSync(target, temporaryPath)
        renameSync(kept, target)
      },
      after() {
        rmSync(kept, { force: true })
        metadataStore.forget(present)
      },
    }
  }

  return {
    publish({ bucket, key, temporaryPath, stat, metadata, rules, createdDirectories, toAttic }) {
      checkBucket(bucket)
      const existing = files.locate(bucket, key)
      existing?.directory.close()
      checkRules(rules, bucket, key, existing)
      const place = placeOfKey(key)
      const isAttic = toAttic || place.kind === 'attic'
      const root = isAttic ? volume.atticRoot(bucket) : volume.bucketRoot(bucket)
      const path = isAttic ? atticName(key) : key
      const relative = path.slice(0, path.lastIndexOf('/') + 1)
      const name = path.slice(relative.length)
      const folder = relative === '' ? root : `${root}/${relative.slice(0, -1)}`
      if (existing !== undefined && rules.may === 'create') {
        return { result: { kind: 'exists', info: infoOf(bucket, key, existing.stat, existing.metadata), folder } }
      }
      const directory = openDirectory(root, relative)
      if (directory === 'missing') return { result: { kind: 'again' } }
      if (directory === 'blocked') return { result: { kind: 'blocked' } }
      let moved: ReturnType<typeof moveIn> | undefined
      try {
        const present = statEntry(directory, name)
        if (present?.isDirectory()) {
          directory.close()
          return { result: { kind: 'blocked' } }
        }
        const beforeNs = directory.mtimeNs()
        moved = moveIn(temporaryPath, directory, name, present)
        const { undo, after } = moved
        void failpoint('storage.after-rename').catch(() => {})
        if (!isAttic) {
          for (const created of createdDirectories) {
            if (created !== relative) noteNewDirectory(bucket, created)
          }
          noteChange(
            bucket,
            relative,
            beforeNs,
            directory,
            createdDirectories.includes(relative),
            present === undefined ? 1 : 0,
          )
        }
        index.putRow(bucket, key, {
          inode: stat.ino,
          size: stat.size,
          mtimeNs: stat.mtimeNs,
          etag: metadata.etag,
          isAttic,
        })
        index.appendChange({
          type: 'created',
          bucket,
          key,
          sizeBytes: Number(stat.size),
          etag: metadata.etag,
          atMs: clock.nowMs(),
        })
        return {
          result: { kind: 'stored', folder },
          undo() {
            undo()
            directory.close()
          },
          after() {
            directory.close()
            after()
            // Its path was blocked once and is not any more: the copy in the attic is the old content.
            if (existing?.isAttic && !isAttic) rmSync(`${volume.atticRoot(bucket)}/${atticName(key)}`, { force: true })
          },
        }
      } catch (error) {
        try {
          moved?.undo()
        } catch {
          volume.suspect('a change that failed could not be taken back')
        }
        directory.close()
        // Somebody put something there, or removed the folder, between two of our calls.
        if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? ''))
          return { result: { kind: 'again' } }
        if ((error as NodeJS.ErrnoException).code === 'EXDEV') {
          throw storageFaults.unsupportedFileSystem(
            `The folder of bucket ${bucket} is on another file system than the data root.`,
            { cause: error },
          )
        }
        throw error
      }
    },

    remove(bucket, key, { ifEtag }) {
      checkBucket(bucket)
      const closing: (() => void)[] = []
      const folders: string[] = []
      let found = files.locate(bucket, key)
      try {
        if (ifEtag !== undefined) checkRules({ ifEtag }, bucket, key, found)
        const first = found
        for (; found !== undefined; found = files.locate(bucket, key)) {
          const { directory, stat, isAttic, name } = found
          closing.push(() => directory.close())
          const beforeNs = directory.mtimeNs()
          unlinkSync(directory.at(name))
          metadataStore.forget(stat)
          if (isAttic) {
            folders.push(`${volume.atticRoot(bucket)}/${atticName(key).slice(0, 2)}`)
            index.removeRow(bucket, key)
            if (key.endsWith('/')) prune(bucket, key)
          } else {
            const relative = key.slice(0, key.length - name.length)
            noteChange(bucket, relative, beforeNs, directory, false, -1)
            folders.push(prune(bucket, relative))
          }
        }
        index.removeRow(bucket, key)
        if (first === undefined) return { result: { deleted: false, folders: foldersOf(bucket, key) } }
        const { etag } = infoOf(bucket, key, first.stat, first.metadata)
        index.appendChange({
          type: 'deleted',
          bucket,
          key,
          sizeBytes: Number(first.stat.size),
          etag,
          atMs: clock.nowMs(),
        })
        return { result: { deleted: true, folders } }
      } finally {
        for (const close of closing) close()
      }
    },
  }

  /** Where a key that is not there has been, or could be. */
  function foldersOf(bucket: string, key: string): string[] {
    const attic = `${volume.atticRoot(bucket)}/${atticName(key).slice(0, 2)}`
    const place = placeOfKey(key)
    return place.kind === 'attic'
      ? [attic]
      : [`${volume.bucketRoot(bucket)}/${place.directory}`.replace(/\/$/, ''), attic]
  }

  function noteNewDirectory(bucket: string, path: string): void {
    const directory = openDirectory(volume.bucketRoot(bucket), path)
    if (typeof directory === 'string') return
    // Unknown time: the folder is looked at once more when somebody lists it.
    if (index.directory(bucket, path) === undefined) {
      index.putDirectory(bucket, path, { mtimeNs: -1n, isAuto: true, isRacy: false, scan: 0, entries: 0 })
    }
    directory.close()
  }

  /** Removes empty folders that were made for keys, upwards; returns the last one that stays. */
  function prune(bucket: string, path: string): string {
    const root = volume.bucketRoot(bucket)
    let relative = path
    while (relative !== '' && index.directory(bucket, relative)?.isAuto && index.row(bucket, relative) === undefined) {
      const parentPath = relative.slice(0, relative.lastIndexOf('/', relative.length - 2) + 1)
      const parent = openDirectory(root, parentPath)
      if (typeof parent === 'string') break
      try {
        const beforeNs = parent.mtimeNs()
        rmdirSync(parent.at(relative.slice(parentPath.length, -1)))
        index.removeDirectory(bucket, relative)
        noteChange(bucket, parentPath, beforeNs, parent, false, 0)
      } catch {
        break
      } finally {
        parent.close()
      }
      relative = parentPath
    }
    return relative === '' ? root : `${root}/${relative.slice(0, -1)}`
  }
}

/** A link refuses to replace, whoever put something there meanwhile. File systems without links get a rename. */
function linkOrRename(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if (!isWithoutLinks(error)) throw error
    renameSync(from, to)
  }
}

function linkIfPossible(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (!isWithoutLinks(error)) throw error
    return false
  }
}

function isWithoutLinks(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')
}
