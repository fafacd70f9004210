/**
 * A multipart upload on disk:
 *
 *   upload/<bucket>/<uploadId>/upload.json   what it will be
 *                              layout        the part size, once known; made exclusively
 *                              data          parts of that size at (number - 1) * size, so that completing copies nothing
 *                              claim.<n>     part n has its region of `data`; later attempts at n go to files of their own
 *                              part.<n>.<x>  such a file
 *                              parts.jsonl   one line per finished part, appended and synced; the last line of a number counts
 *                              completing    who is completing it now
 */
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { randomToken } from '../foundation/ids.ts'
import { isSameProcess, processIdentity, type ProcessIdentity } from '../foundation/processes.ts'
import { checksumNames } from './checksums.ts'
import type { DiskTrust } from './disk-trust.ts'
import { storageFaults } from './errors.ts'

const contentHeaders = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const
const algorithmSchema = z.enum(checksumNames as [(typeof checksumNames)[number], ...(typeof checksumNames)[number][]])

export const uploadSchema = z.object({
  bucket: z.string(),
  key: z.string(),
  uploadId: z.string(),
  startedMs: z.number(),
  ownerId: z.string(),
  description: z.object({
    contentType: z.string().optional(),
    headers: z.partialRecord(z.enum(contentHeaders), z.string()).optional(),
    userMetadata: z.record(z.string(), z.string()).optional(),
  }),
  checksum: z.object({ algorithm: algorithmSchema, type: z.enum(['FULL_OBJECT', 'COMPOSITE']) }).optional(),
})

export const partLineSchema = z.object({
  number: z.number().int(),
  sizeBytes: z.number().int(),
  etag: z.string(),
  /** Where its bytes lie: an offset in `data`, or the name of a file of its own. */
  place: z.union([z.number().int(), z.string()]),
  modifiedMs: z.number(),
  checksum: z
    .object({ algorithm: algorithmSchema, value: z.string(), type: z.enum(['FULL_OBJECT', 'COMPOSITE']) })
    .optional(),
})
export type PartLine = z.output<typeof partLineSchema>

export const isUploadId = (text: string) => /^[A-Za-z0-9_-]{16,64}$/.test(text)

/** Finished parts by number; a line cut short by a crash was never acknowledged. */
export function readParts(folder: string): Map<number, PartLine> {
  const parts = new Map<number, PartLine>()
  for (const line of readIfThere(join(folder, 'parts.jsonl')).split('\n')) {
    if (line === '') continue
    try {
      const part = partLineSchema.parse(JSON.parse(line))
      parts.set(part.number, part)
    } catch {
      continue
    }
  }
  return parts
}

/** Durable when it resolves. Throws 'storage.no_such_upload' if the upload has gone. */
export async function appendPart(
  folder: string,
  part: PartLine,
  { syncFile }: Pick<DiskTrust, 'syncFile'>,
): Promise<void> {
  let fd: number
  try {
    fd = openSync(join(folder, 'parts.jsonl'), constants.O_WRONLY | constants.O_APPEND)
  } catch (error) {
    throw noSuchUpload(error)
  }
  try {
    // One write of less than a page, appended: lines of several processes do not mix. The newline in front ends a
    // line that a crash has cut short.
    appendFileSync(fd, `\n${JSON.stringify(part)}\n`)
    await syncFile(fd)
  } finally {
    closeSync(fd)
  }
}

/** The part size of the shared file: that of the first part to come, agreed on by all processes. */
export function agreeOnPartSize(folder: string, sizeBytes: number): number {
  const layout = join(folder, 'layout')
  if (!existsSync(layout)) {
    const own = `${layout}.${randomToken(6)}`
    // Its bytes before its name: an empty layout would send the next part into the region of another.
    writeFileSync(own, `${sizeBytes}`, { mode: 0o600, flush: true })
    try {
      linkSync(own, layout)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(own, { force: true })
    }
  }
  return Number(readFileSync(layout, 'utf8'))
}

export function hasPartSize(folder: string): boolean {
  return existsSync(join(folder, 'layout'))
}

/** True for the one attempt at a part that may write into the shared file. */
export function claimRegion(folder: string, number: number): boolean {
  try {
    closeSync(openSync(join(folder, `claim.${number}`), 'wx', 0o600))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

export function claimedRegions(folder: string): number[] {
  return readdirSync(folder).flatMap((name) => (name.startsWith('claim.') ? [Number(name.slice('claim.'.length))] : []))
}

/** Marks the upload as being completed by this process; false while another one does. A dead one's mark is taken over. */
export function beginCompleting(folder: string): boolean {
  const mark = join(folder, 'completing')
  const own = `${mark}.${randomToken(6)}`
  writeFileSync(own, JSON.stringify(processIdentity(process.pid)), { mode: 0o600 })
  try {
    for (;;) {
      try {
        linkSync(own, mark)
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      if (isBeingCompleted(folder)) return false
      rmSync(mark, { force: true })
    }
  } finally {
    rmSync(own, { force: true })
  }
}

/** True while a process that lives is completing it. */
export function isBeingCompleted(folder: string): boolean {
  try {
    return isSameProcess(JSON.parse(readIfThere(join(folder, 'completing'))) as ProcessIdentity)
  } catch {
    // Not there, or cut short by a crash.
    return false
  }
}

export function endCompleting(folder: string): void {
  rmSync(join(folder, 'completing'), { force: true })
}

export function isCompleting(folder: string): boolean {
  return existsSync(join(folder, 'completing'))
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

export function noSuchUpload(cause?: unknown): Error {
  return storageFaults.noSuchUpload('There is no such upload.', { cause })
}
