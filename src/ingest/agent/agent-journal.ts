/**
 * What the agent remembers across kill -9: one small JSON file for each upload under way and one for each file that is
 * safe, beside the run files in `.cygnet/`. Written durably; a file that cannot be read counts as absent.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ensureDirectory, readJsonFile, writeFileDurable } from '../../foundation/files.ts'

/** Tells whether a file is still the one that was read: any write changes at least one of these. */
export const stampSchema = z.object({ sizeBytes: z.int(), mtimeMs: z.number(), inode: z.number() })
export type Stamp = z.infer<typeof stampSchema>

const uploadSchema = z.object({
  file: z.string(),
  stamp: stampSchema,
  bucket: z.string(),
  key: z.string(),
  uploadId: z.string(),
  partSizeBytes: z.int().positive(),
  parts: z.array(z.object({ number: z.int(), etag: z.string(), sha256: z.string() })),
  /** Set when the store has been told to make the object of all parts: what is left is to compare. */
  sentSha256: z.string().optional(),
})
export type UploadRecord = z.infer<typeof uploadSchema>

const copySchema = z.object({
  file: z.string(),
  originalStamp: stampSchema,
  originalSha256: z.string(),
  stamp: stampSchema,
  sha256: z.string(),
})
/** A finished compressed copy: of what, and what it is. */
export type CopyRecord = z.infer<typeof copySchema>

const safeSchema = z.object({
  file: z.string(),
  stamp: stampSchema,
  bucket: z.string(),
  key: z.string(),
  sizeBytes: z.int(),
  sha256: z.string(),
  /** How the stored bytes were compared with the ones on this disk. */
  verifiedBy: z.enum(['receiver', 'store-checksum', 'read-back', 'etag']),
  safeMs: z.int(),
  /** Of the run file, when a compressed copy of it is what is stored. */
  originalSha256: z.string().optional(),
})
export type SafeRecord = z.infer<typeof safeSchema>

export const sameStamp = (one: Stamp, other: Stamp): boolean =>
  one.sizeBytes === other.sizeBytes && one.mtimeMs === other.mtimeMs && one.inode === other.inode

export type AgentJournal = Awaited<ReturnType<typeof openJournal>>

/** Opens (and makes) the journal folder. */
export async function openJournal(folder: string) {
  await ensureDirectory(folder)
  // What a kill left of a write that never happened.
  for (const name of await readdir(folder))
    if (/\.[0-9a-f]{12}\.tmp$/.test(name)) await rm(join(folder, name), { force: true })
  const uploadPath = (file: string): string => join(folder, `${stem(file)}.upload.json`)
  const copyPath = (file: string): string => join(folder, `${stem(file)}.copy.json`)
  const safePath = (file: string): string => join(folder, `${stem(file)}.safe.json`)
  return {
    folder,
    readUpload: (file: string) => readRecord(uploadPath(file), uploadSchema),
    writeUpload: (record: UploadRecord) => writeFileDurable(uploadPath(record.file), JSON.stringify(record)),
    forgetUpload: (file: string) => rm(uploadPath(file), { force: true }),
    readCopy: (file: string) => readRecord(copyPath(file), copySchema),
    writeCopy: (record: CopyRecord) => writeFileDurable(copyPath(record.file), JSON.stringify(record)),
    forgetCopy: (file: string) => rm(copyPath(file), { force: true }),
    readSafe: (file: string) => readRecord(safePath(file), safeSchema),
    writeSafe: (record: SafeRecord) =>
      writeFileDurable(safePath(record.file), `${JSON.stringify(record, undefined, 2)}\n`),
    safePath,
  }
}

async function readRecord<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  return await readJsonFile(path, schema).catch(() => undefined)
}

/** `run00012.mid` -> `run00012`; other endings stay, so that a run and its sidecar do not meet. */
const stem = (file: string): string => file.replace(/\.mid$/, '')
