/** The store of objects as this room sees it. */
import { stat } from 'node:fs/promises'
import { Fault } from '../foundation/errors.ts'
import type { PutObject, Stored } from '../storage/index.ts'

/** What this room needs of `storage`. */
export interface ProductStore {
  putObject(put: PutObject): Promise<Stored>
  /** Where the bytes of an object lie on this machine; may throw a Fault 404 when there is no such object. */
  pathOf(bucket: string, key: string): string
}

/** The path of an object that exists. */
export async function pathIfThere(storage: ProductStore, bucket: string, key: string): Promise<string | undefined> {
  try {
    const path = storage.pathOf(bucket, key)
    return (await stat(path).catch(() => undefined))?.isFile() ? path : undefined
  } catch (error) {
    if (error instanceof Fault && error.status === 404) return undefined
    throw error
  }
}
