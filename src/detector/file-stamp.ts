import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { readAt } from './byte-source.ts'

/** Tells one state of a file from another: size, time of the last change, and a look at its first and last bytes. */
export interface FileStamp {
  sizeBytes: number
  /** Nanoseconds since 1970, as text: too many for a number. */
  changedNs: string
  edgesCrc: number
}

const edgeBytes = 16 * 1024

export async function stampOf(handle: FileHandle): Promise<FileStamp> {
  const { size, mtimeNs } = await handle.stat({ bigint: true })
  const sizeBytes = Number(size)
  const first = await readAt(handle, Math.min(edgeBytes, sizeBytes), 0)
  const last = await readAt(handle, Math.min(edgeBytes, sizeBytes), Math.max(0, sizeBytes - edgeBytes))
  return { sizeBytes, changedNs: String(mtimeNs), edgesCrc: crc32(last, crc32(first)) }
}

export const sameFile = (one: FileStamp, other: FileStamp): boolean =>
  one.sizeBytes === other.sizeBytes && one.changedNs === other.changedNs && one.edgesCrc === other.edgesCrc
