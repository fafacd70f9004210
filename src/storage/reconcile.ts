/**
 * Bringing the index in line with the tree: one folder at a time, whenever its time of change is not the one at which
 * its rows were true. People, jobs and rsync may write into the tree at any moment; we only ever look.
 */
import { opendirSync, type BigIntStats } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../foundation/time.ts'
import { behindPrefix, decodeDirectory, decodeRow, keyOfRow, rowKey, type IndexRow } from './index-rows.ts'
import type { IndexStore } from './index-store.ts'
import { atticName, directoriesTo } from './key-place.ts'
import { foreignEtag, type MetadataStore } from './object-metadata.ts'
import type { Ownership } from './ownership.ts'
import { openDirectory, statEntry, type SafeDirectory } from './safe-directory.ts'
import type { Volume } from './volume.ts'

export interface Reconciler {
  /** True if the folder may hold what its rows do not say. Cheap: one stat. */
  isStale(bucket: string, path: string): boolean
  /** Compares one folder with its rows, and folders below it that were unknown. */
  scan(bucket: string, path: string): Promise<void>
  /** Brings every folder known of a bucket in line; of an unknown bucket, its whole tree and its attic. */
  reconcileBucket(bucket: string): Promise<void>
  /** Brings the row of one key in line with its file. Inside a transaction. */
  refreshRow(
    bucket: string,
    key: string,
    file: { stat: BigIntStats; etag: string | undefined; isAttic: boolean } | undefined,
  ): void
}

const batch = 500
/** Larger folders on file systems with coarse times are not compared more often than this. */
const largeFolder = 4096
const largeFolderPauseMs = 2000
/** A folder changed within this time of a look may change again without its time moving. */
const coarseTickNs = 20_000_000n

export function createReconciler(parts: {
  volume: Volume
  index: IndexStore
  metadataStore: MetadataStore
  ownership: Ownership
  clock: Clock
}): Reconciler {
  const { volume, index, metadataStore, ownership, clock } = parts
  const lookedAtMs = new Map<string, number>()

  function isStale(bucket: string, path: string): boolean {
    const row = index.directory(bucket, path)
    const directory = openDirectory(volume.bucketRoot(bucket), path)
    if (typeof directory === 'string') return row !== undefined
    const mtimeNs = directory.mtimeNs()
    directory.close()
    if (row === undefined || row.scan !== 0 || row.mtimeNs !== mtimeNs) return true
    if (!row.isRacy) return false
    return (
      row.entries <= largeFolder ||
      performance.now() - (lookedAtMs.get(`${bucket}/${path}`) ?? -Infinity) > largeFolderPauseMs
    )
  }

  function refreshRow(
    bucket: string,
    key: string,
    file: { stat: BigIntStats; etag: string | undefined; isAttic: boolean } | undefined,
  ): void {
    const row = index.row(bucket, key)
    if (file === undefined) {
      if (row === undefined) return
      index.removeRow(bucket, key)
      index.appendChange({
        type: 'deleted',
        bucket,
        key,
        sizeBytes: Number(row.size),
        etag: etagOf(row),
        atMs: clock.nowMs(),
      })
      return
    }
    const { stat, etag, isAttic } = file
    const fresh: IndexRow = { inode: stat.ino, size: stat.size, mtimeNs: stat.mtimeNs, etag, isAttic }
    const isSameContent = row !== undefined && isSameFile(row, stat)
    if (isSameContent && row.etag === etag && row.isAttic === isAttic) return
    index.putRow(bucket, key, fresh)
    if (isSameContent) return
    index.appendChange({
      type: 'created',
      bucket,
      key,
      sizeBytes: Number(stat.size),
      etag: etagOf(fresh),
      atMs: clock.nowMs(),
    })
  }

  /** Looks again inside the transaction: what a PUT or DELETE did meanwhile counts. */
  function refreshNames(bucket: string, path: string, directory: SafeDirectory, names: readonly string[]): void {
    for (const name of names) {
      const key = path + name
      const stat = statEntry(directory, name)
      if (stat?.isFile() && ownership.belongs(bucket, stat)) {
        refreshRow(bucket, key, { stat, etag: metadataStore.read(directory.at(name), stat)?.etag, isAttic: false })
      } else if (index.row(bucket, key)?.isAttic !== true) {
        refreshRow(bucket, key, undefined)
      }
    }
  }

  async function scan(bucket: string, path: string): Promise<void> {
    const directory = openDirectory(volume.bucketRoot(bucket), path)
    if (typeof directory === 'string') return await removeTree(bucket, path)
    try {
      const owned = index.bucket(bucket)
      if (owned !== undefined) ownership.takeInFolder(directory, owned)
      const token = 1 + Math.floor(Math.random() * 0xfffffffe)
      const startedNs = BigInt(Date.now()) * 1_000_000n
      const mtimeNs = index.write(() => {
        const atNs = directory.mtimeNs()
        const old = index.directory(bucket, path)
        index.putDirectory(bucket, path, {
          isAuto: old?.isAuto ?? false,
          entries: old?.entries ?? 0,
          mtimeNs: atNs,
          isRacy: true,
          scan: token,
        })
        return atNs
      })
      const { files, folders } = await entriesOf(directory)
      // Only there is the name reserved: see placeOfKey.
      if (path === '') folders.delete('.cygnet')
      await refreshFiles(bucket, path, directory, files)
      await refreshFolders(bucket, path, folders)
      index.write(() => {
        const row = index.directory(bucket, path)
        if (row?.scan !== token) return
        const isSettled = volume.hasFineTimes || (row.mtimeNs === mtimeNs && mtimeNs < startedNs - coarseTickNs)
        index.putDirectory(bucket, path, { ...row, scan: 0, isRacy: !isSettled, entries: files.size })
      })
      lookedAtMs.set(`${bucket}/${path}`, performance.now())
    } finally {
      directory.close()
    }
  }

  async function refreshFiles(
    bucket: string,
    path: string,
    directory: SafeDirectory,
    files: ReadonlySet<string>,
  ): Promise<void> {
    const unknown = new Set(files)
    let doubtful: string[] = []
    const settle = async () => {
      const names = doubtful
      doubtful = []
      if (names.length > 0) index.write(() => refreshNames(bucket, path, directory, names))
      await nextTurn()
    }
    for (const { name, row } of childRows(bucket, path)) {
      unknown.delete(name)
      if (row.isAttic) continue
      const stat = files.has(name) ? statEntry(directory, name) : undefined
      if (stat === undefined || !isSameFile(row, stat)) doubtful.push(name)
    }
    for (const name of unknown) {
      doubtful.push(name)
      if (doubtful.length >= batch) await settle()
    }
    while (doubtful.length > batch) {
      const rest = doubtful.splice(batch)
      await settle()
      doubtful = rest
    }
    await settle()
  }

  async function refreshFolders(bucket: string, path: string, folders: ReadonlySet<string>): Promise<void> {
    const known = new Set(childFolders(bucket, path))
    for (const name of known) {
      if (!folders.has(name)) await removeTree(bucket, `${path}${name}/`)
    }
    for (const name of folders) {
      if (!known.has(name)) await scan(bucket, `${path}${name}/`)
    }
  }

  /** Rows of the folder itself, not of folders below it. */
  function* childRows(bucket: string, path: string): Generator<{ name: string; row: IndexRow }> {
    const base = rowKey(bucket, path)
    const end = behindPrefix(base)
    let start: Buffer = base
    for (let isDone = false; !isDone;) {
      isDone = true
      for (const { key, value } of index.rows(start, end)) {
        const name = keyOfRow(bucket, key).slice(path.length)
        const slash = name.indexOf('/')
        if (slash === -1) {
          if (name !== '') yield { name, row: decodeRow(value) }
        } else {
          start = behindPrefix(rowKey(bucket, path + name.slice(0, slash + 1)))
          isDone = false
          break
        }
      }
    }
  }

  function* childFolders(bucket: string, path: string): Generator<string> {
    const end = behindPrefix(rowKey(bucket, path))
    let start: Buffer = Buffer.concat([rowKey(bucket, path), Buffer.from([0])])
    for (let isDone = false; !isDone;) {
      isDone = true
      for (const { key } of index.directories(start, end)) {
        const name = keyOfRow(bucket, key).slice(path.length)
        const slash = name.indexOf('/')
        yield name.slice(0, slash)
        start = behindPrefix(rowKey(bucket, path + name.slice(0, slash + 1)))
        isDone = false
        break
      }
    }
  }

  /** A folder that is no more: its rows go, unless they are of the attic. */
  async function removeTree(bucket: string, path: string): Promise<void> {
    const base = rowKey(bucket, path)
    const end = behindPrefix(base)
    for (let start: Buffer = base; ; await nextTurn()) {
      const page = [...take(index.rows(start, end), batch)]
      index.write(() => {
        for (const { key, value } of page) {
          if (!decodeRow(value).isAttic) refreshRow(bucket, keyOfRow(bucket, key), undefined)
        }
      })
      if (page.length < batch) break
      start = Buffer.concat([page.at(-1)!.key, Buffer.from([0])])
    }
    index.write(() => {
      // A PUT may have made it again meanwhile: then its row is looked at once more.
      for (const { key } of [...index.directories(base, end)]) index.removeDirectory(bucket, keyOfRow(bucket, key))
    })
  }

  async function reconcileBucket(bucket: string): Promise<void> {
    if (index.directory(bucket, '') === undefined) {
      await scan(bucket, '')
      await scanAttic(bucket)
      return
    }
    await scanAttic(bucket)
    const start = rowKey(bucket, '')
    for (const { key, value } of [...index.directories(start, behindPrefix(start))]) {
      const path = keyOfRow(bucket, key)
      const { scan: token } = decodeDirectory(value)
      if (token !== 0 || isStale(bucket, path)) {
        // A folder above may have gone while we were looking.
        const parent = directoriesTo(path).at(-2)
        if (parent === undefined || index.directory(bucket, path) !== undefined) await scan(bucket, path)
      }
    }
  }

  /** Both ways: its folders carry no time in the index, and few keys lie there. */
  async function scanAttic(bucket: string): Promise<void> {
    for (const key of index.atticKeys(bucket)) {
      const place = atticName(key)
      const isThere = () => {
        const directory = openDirectory(volume.atticRoot(bucket), place.slice(0, 3))
        if (typeof directory === 'string') return false
        const stat = statEntry(directory, place.slice(3))
        directory.close()
        return stat?.isFile() === true
      }
      if (isThere()) continue
      index.write(() => {
        if (!isThere() && index.row(bucket, key)?.isAttic === true) refreshRow(bucket, key, undefined)
      })
    }
    const root = volume.atticRoot(bucket)
    const top = openDirectory(root, '')
    if (typeof top === 'string') return
    const { folders } = await entriesOf(top)
    top.close()
    for (const folder of folders) {
      const directory = openDirectory(root, `${folder}/`)
      if (typeof directory === 'string') continue
      const { files } = await entriesOf(directory)
      index.write(() => {
        for (const name of files) {
          const stat = statEntry(directory, name)
          const metadata = stat?.isFile() ? metadataStore.read(directory.at(name), stat) : undefined
          // A file of which nobody knows the key is of no use to a listing; it stays where it is.
          if (stat === undefined || metadata?.key === undefined) continue
          if (index.row(bucket, metadata.key)?.isAttic !== false)
            refreshRow(bucket, metadata.key, { stat, etag: metadata.etag, isAttic: true })
        }
      })
      directory.close()
    }
  }

  return { isStale, scan, reconcileBucket, refreshRow }
}

export function isSameFile(row: IndexRow, stat: BigIntStats): boolean {
  return row.inode === stat.ino && row.size === stat.size && row.mtimeNs === stat.mtimeNs
}

export function etagOf(row: IndexRow): string {
  return row.etag ?? foreignEtag({ ino: row.inode, size: row.size, mtimeNs: row.mtimeNs })
}

/** Regular files and folders; links, sockets, FIFOs and devices do not exist for us. Names that are no UTF-8 neither. */
async function entriesOf(directory: SafeDirectory): Promise<{ files: Set<string>; folders: Set<string> }> {
  const files = new Set<string>()
  const folders = new Set<string>()
  const handle = opendirSync(`/proc/self/fd/${directory.fd}/.`, { bufferSize: 512 })
  try {
    for (let count = 1; ; count += 1) {
      const entry = handle.readSync()
      if (entry === null) break
      if (entry.name.includes('\ufffd')) continue
      if (entry.isFile()) files.add(entry.name)
      else if (entry.isDirectory()) folders.add(entry.name)
      if (count % 2000 === 0) await nextTurn()
    }
  } finally {
    handle.closeSync()
  }
  return { files, folders }
}

function* take<Item>(items: Iterable<Item>, count: number): Generator<Item> {
  let taken = 0
  for (const item of items) {
    yield item
    if ((taken += 1) >= count) return
  }
}
