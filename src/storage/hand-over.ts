/**
 * A data root from before people had files, handed over: top folders and the hidden folder at once, what lies in the
 * buckets in the background, folder by folder. Interrupted, it begins again at the bucket it was in; what is right
 * already costs one look.
 */
import { chownSync, closeSync, fstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import type { Bucket } from './model.ts'
import type { StorageParts } from './parts.ts'
import { openDirectory, openRegularFile, type SafeDirectory } from './safe-directory.ts'

const marker = z.object({ version: z.literal(1), buckets: z.array(z.string()) })

/**
 * Top folders, before anybody is let in. `serviceUid` gets the folders under `.cygnet`, so that gateways need no
 * capability to work in them. Cheap: nothing below the top is touched.
 */
export function handOverTops({ volume, index, ownership }: StorageParts, serviceUid: number): void {
  if (!ownership.isPerPerson || process.geteuid!() !== 0) return
  const hidden = join(volume.root, '.cygnet')
  // Only the platform enters there: no name can be swapped.
  for (const folder of [
    hidden,
    ...['bucket', 'tmp', 'upload', 'attic', 'meta', 'index'].map((name) => join(hidden, name)),
  ])
    chownSync(folder, serviceUid, serviceUid)
  for (const name of readdirSync(volume.indexFolder)) chownSync(join(volume.indexFolder, name), serviceUid, serviceUid)
  for (const bucket of index.buckets()) ownership.shapeTop(bucket)
}

/** Everything below the top folders of buckets that were not handed over yet. Ends early when `signal` says so. */
export async function handOverTrees(parts: StorageParts, signal: AbortSignal): Promise<void> {
  const { volume, index, ownership } = parts
  if (!ownership.isPerPerson || process.geteuid!() !== 0) return
  const path = join(volume.root, '.cygnet', 'owners.json')
  const done = new Set((await readJsonFile(path, marker).catch(() => undefined))?.buckets)
  for (const bucket of index.buckets()) {
    if (done.has(bucket.name)) continue
    await handOverFolder(parts, bucket, '', signal)
    if (signal.aborted) return
    done.add(bucket.name)
    await writeFileDurable(path, JSON.stringify({ version: 1, buckets: [...done] }), { mode: 0o600 })
  }
}

async function handOverFolder(
  parts: StorageParts,
  bucket: Bucket,
  relative: string,
  signal: AbortSignal,
): Promise<void> {
  const directory = openDirectory(parts.volume.bucketRoot(bucket.name), relative)
  if (typeof directory === 'string') return
  const folders: string[] = []
  try {
    if (relative !== '') parts.ownership.takeInFolder(directory, bucket)
    let count = 0
    for (const entry of readdirSync(`/proc/self/fd/${directory.fd}/.`, { withFileTypes: true })) {
      if (signal.aborted) return
      if (entry.isDirectory()) folders.push(entry.name)
      else if (entry.isFile()) handOverFile(parts, bucket, directory, entry.name)
      if ((count += 1) % 200 === 0) await nextTurn()
    }
  } finally {
    directory.close()
  }
  for (const name of folders) {
    if (signal.aborted) return
    await handOverFolder(parts, bucket, `${relative}${name}/`, signal)
  }
}

function handOverFile({ ownership, log }: StorageParts, bucket: Bucket, directory: SafeDirectory, name: string): void {
  const file = openRegularFile(directory, name)
  if (file === undefined) return
  try {
    if (ownership.belongs(bucket.name, fstatSync(file.fd, { bigint: true })))
      ownership.takeIn({ fd: file.fd, directory, name }, bucket)
  } catch (error) {
    log.warn({ error, bucket: bucket.name, name }, 'a file could not be handed over')
  } finally {
    closeSync(file.fd)
  }
}
