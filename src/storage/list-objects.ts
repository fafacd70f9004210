/**
 * Listings: a range of the index, with a jump over everything below a rolled-up prefix. Before a page is given out the
 * folders that it touches are compared with the tree (one stat each) and every row with its file (one lstat each), so
 * that names and sizes are exact whoever wrote the files.
 */
import { isDiskBroken, isDiskFull } from './disk-trust.ts'
import { storageFaults } from './errors.ts'
import { behindPrefix, decodeRow, keyOfRow, rowKey, type IndexRow } from './index-rows.ts'
import type { IndexStore } from './index-store.ts'
import { directoriesTo, maxKeyBytes } from './key-place.ts'
import type { Listing, ListOptions, ObjectRow } from './model.ts'
import type { MetadataStore } from './object-metadata.ts'
import type { Ownership } from './ownership.ts'
import { etagOf, isSameFile, type Reconciler } from './reconcile.ts'
import { openDirectory, statEntry, type DirectoryAnswer } from './safe-directory.ts'
import type { Volume } from './volume.ts'

interface Page {
  objects: { key: string; row: IndexRow }[]
  prefixes: { prefix: string; first: string }[]
  last: string | undefined
  isTruncated: boolean
}

/** A tree that never stops changing is listed as it was at the last look. */
const maxRounds = 5

export interface Lister {
  list(options: ListOptions): Promise<Listing>
}

export function createLister(parts: {
  volume: Volume
  index: IndexStore
  metadataStore: MetadataStore
  ownership: Ownership
  reconciler: Reconciler
  onForeign(bucket: string, key: string): void
}): Lister {
  const { volume, index, metadataStore, ownership, reconciler } = parts

  function readPage(bucket: string, prefix: string, delimiter: string, after: string, limit: number): Page {
    const page: Page = { objects: [], prefixes: [], last: undefined, isTruncated: false }
    const end = behindPrefix(rowKey(bucket, prefix))
    let start = rowKey(bucket, prefix)
    if (after !== '') {
      const behindAfter =
        delimiter !== '' && after.startsWith(prefix) && after.endsWith(delimiter) && after.length > prefix.length
          ? behindPrefix(rowKey(bucket, after))
          : Buffer.concat([rowKey(bucket, after), Buffer.from([0])])
      if (Buffer.compare(behindAfter, start) > 0) start = behindAfter
    }
    for (let isDone = false; !isDone;) {
      isDone = true
      if (Buffer.compare(start, end) >= 0) break
      for (const { key: bytes, value } of index.rows(start, end)) {
        if (page.objects.length + page.prefixes.length >= limit) {
          page.isTruncated = true
          return page
        }
        const key = keyOfRow(bucket, bytes)
        const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
        if (at === -1) {
          page.objects.push({ key, row: decodeRow(value) })
          page.last = key
          continue
        }
        const rolled = key.slice(0, at + delimiter.length)
        page.prefixes.push({ prefix: rolled, first: key })
        page.last = rolled
        start = behindPrefix(rowKey(bucket, rolled))
        isDone = false
        break
      }
    }
    return page
  }

  /** Folders whose content decides what is on the page. */
  function* foldersOf(bucket: string, prefix: string, delimiter: string, after: string, page: Page): Generator<string> {
    const within = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    yield* directoriesTo(within)
    if (after.startsWith(within))
      yield* directoriesTo(after.slice(0, after.lastIndexOf('/') + 1)).filter((path) => path.length > within.length)
    const base = rowKey(bucket, prefix)
    let start = after > '' && Buffer.compare(rowKey(bucket, after), base) > 0 ? rowKey(bucket, after) : base
    const end = page.isTruncated ? behindPrefix(rowKey(bucket, page.last!)) : behindPrefix(base)
    for (let isDone = false; !isDone;) {
      isDone = true
      if (Buffer.compare(start, end) >= 0) break
      for (const { key } of index.directories(start, end)) {
        const path = keyOfRow(bucket, key)
        const at = delimiter === '' ? -1 : path.indexOf(delimiter, prefix.length)
        if (at !== -1 && path !== prefix) {
          // Rolled up: one object that is surely there is enough. Without one, its folders are looked at.
          const rolled = path.slice(0, at + delimiter.length)
          if (page.prefixes.some((one) => one.prefix === rolled)) {
            start = behindPrefix(rowKey(bucket, rolled))
            isDone = false
            break
          }
        }
        yield path
      }
    }
  }

  const isWritable = () => volume.suspicion() === undefined

  /** On a full or broken disk the index cannot follow the tree; what can be read is listed all the same. */
  async function aligned(work: () => Promise<void>): Promise<boolean> {
    if (!isWritable()) return false
    try {
      await work()
      return true
    } catch (error) {
      refuseOther(error)
      return false
    }
  }

  function tolerantly(work: () => void): void {
    try {
      work()
    } catch (error) {
      refuseOther(error)
    }
  }

  async function scanStale(bucket: string, paths: Iterable<string>, looked: Set<string>): Promise<boolean> {
    let found = false
    for (const path of [...paths]) {
      if (looked.has(path)) continue
      looked.add(path)
      if (!reconciler.isStale(bucket, path)) continue
      if (await aligned(() => reconciler.scan(bucket, path))) found = true
    }
    return found
  }

  /** Rows against files: what is gone is dropped, what was written in place is shown as it is now. */
  function check(bucket: string, page: Page): { objects: ObjectRow[]; gone: string[] } {
    const folders = new Map<string, DirectoryAnswer>()
    const changed: string[] = []
    const gone: string[] = []
    const statOf = (key: string) => {
      const slash = key.lastIndexOf('/') + 1
      const relative = key.slice(0, slash)
      let folder = folders.get(relative)
      if (folder === undefined) folders.set(relative, (folder = openDirectory(volume.bucketRoot(bucket), relative)))
      const stat = typeof folder === 'string' ? undefined : statEntry(folder, key.slice(slash))
      return stat !== undefined && ownership.belongs(bucket, stat) ? stat : undefined
    }
    try {
      for (const { prefix, first } of page.prefixes) {
        if (index.row(bucket, first)?.isAttic !== true && !statOf(first)?.isFile())
          gone.push(first.slice(0, first.lastIndexOf('/') + 1) || prefix)
      }
      const objects = page.objects.flatMap(({ key, row }): ObjectRow[] => {
        if (row.isAttic) return [shown(key, row)]
        const stat = statOf(key)
        if (!stat?.isFile()) {
          gone.push(key.slice(0, key.lastIndexOf('/') + 1))
          return []
        }
        if (isSameFile(row, stat)) {
          if (row.etag === undefined) parts.onForeign(bucket, key)
          return [shown(key, row)]
        }
        changed.push(key)
        return [
          shown(key, { inode: stat.ino, size: stat.size, mtimeNs: stat.mtimeNs, etag: undefined, isAttic: false }),
        ]
      })
      if (changed.length === 0) return { objects, gone }
      if (isWritable()) tolerantly(() => refresh(bucket, changed, statOf))
      const fresh = new Map(changed.map((key) => [key, index.row(bucket, key)]))
      return {
        objects: objects.map((one) => (fresh.get(one.key) === undefined ? one : shown(one.key, fresh.get(one.key)!))),
        gone,
      }
    } finally {
      for (const folder of folders.values()) if (typeof folder !== 'string') folder.close()
    }
  }

  function refresh(
    bucket: string,
    keys: readonly string[],
    statOf: (key: string) => ReturnType<typeof statEntry>,
  ): void {
    index.write(() => {
      for (const key of keys) {
        const stat = statOf(key)
        if (!stat?.isFile()) continue
        const slash = key.lastIndexOf('/') + 1
        const directory = openDirectory(volume.bucketRoot(bucket), key.slice(0, slash))
        if (typeof directory === 'string') continue
        reconciler.refreshRow(bucket, key, {
          stat,
          etag: metadataStore.read(directory.at(key.slice(slash)), stat)?.etag,
          isAttic: false,
        })
        directory.close()
      }
    })
    for (const key of keys) parts.onForeign(bucket, key)
  }

  return {
    async list({ bucket, prefix = '', delimiter = '', after = '', limit = 1000 }) {
      if (Buffer.byteLength(prefix) > maxKeyBytes || Buffer.byteLength(after) > maxKeyBytes) {
        throw storageFaults.keyTooLongError('Prefix or marker has more than 1024 bytes.')
      }
      index.refresh()
      if (index.bucket(bucket) === undefined) throw storageFaults.noSuchBucket(`There is no bucket '${bucket}'.`)
      if (limit === 0) return { objects: [], prefixes: [], next: undefined }
      const looked = new Set<string>()
      for (let round = 1; ; round += 1) {
        const page = readPage(bucket, prefix, delimiter, after, limit)
        if (round < maxRounds && (await scanStale(bucket, foldersOf(bucket, prefix, delimiter, after, page), looked)))
          continue
        const { objects, gone } = check(bucket, page)
        if (gone.length > 0 && round < maxRounds) {
          let found = false
          for (const path of new Set(gone)) if (await aligned(() => reconciler.scan(bucket, path))) found = true
          if (found) continue
        }
        return {
          objects,
          prefixes: page.prefixes.map((one) => one.prefix),
          next: page.isTruncated ? page.last : undefined,
        }
      }
    },
  }
}

function refuseOther(error: unknown): void {
  if (!isDiskFull(error) && !isDiskBroken(error)) throw error
}

function shown(key: string, row: IndexRow): ObjectRow {
  return { key, sizeBytes: Number(row.size), modifiedMs: Number(row.mtimeNs / 1_000_000n), etag: etagOf(row) }
}
