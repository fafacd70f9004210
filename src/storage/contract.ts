/** What storage says over HTTP beside S3: the data browser of the web app and of the command line. */
import { z } from 'zod'
import { defineContract, pageOf, pageQuery, timeMs } from '../foundation/contract.ts'

export const purposeSchema = z.enum(['raw', 'reco', 'work'])
export type Purpose = z.infer<typeof purposeSchema>

export const bucketSchema = z.object({
  /** `<experiment>-raw`, `-reco` or `-work`. */
  name: z.string(),
  experiment: z.string(),
  /** raw: what the detector wrote, created once; reco: what campaigns made; work: people's own. */
  purpose: purposeSchema,
  createdAtMs: timeMs,
  /** The same bucket as a folder, inside notebooks and jobs. */
  posixPath: z.string(),
})

const keySchema = z.string().min(1).max(1024)

/** One line of a listing: a folder (the keys below it) or an object. */
export const entrySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('folder'), key: z.string(), name: z.string(), posixPath: z.string().nullable() }),
  z.object({
    kind: z.literal('object'),
    key: z.string(),
    name: z.string(),
    sizeBytes: z.number().int(),
    modifiedMs: timeMs,
    /** MD5 in hexadecimal, or `<hex>-<parts>`; one that begins with x belongs to a file not yet hashed. */
    etag: z.string(),
    /** Path inside notebooks and jobs; null for the few keys that no file can have. */
    posixPath: z.string().nullable(),
  }),
])

export const objectSchema = z.object({
  bucket: z.string(),
  key: z.string(),
  sizeBytes: z.number().int(),
  modifiedMs: timeMs,
  etag: z.string(),
  /** Hexadecimal; null if the content has not been hashed yet. */
  sha256: z.string().nullable(),
  contentType: z.string(),
  userMetadata: z.record(z.string(), z.string()),
  posixPath: z.string().nullable(),
})

const bucketParams = z.object({ bucket: z.string().min(3).max(63) })
const keyQuery = z.object({ key: keySchema })
/** The handler loads the bucket, then asks about its experiment and about the key. */
const read = { action: 'data.read', of: 'loaded' } as const
const modify = { action: 'data.modify', of: 'loaded' } as const
const create = { action: 'data.create', of: 'loaded' } as const

export const storageContract = defineContract('storage', {
  listBuckets: {
    method: 'GET',
    path: '/api/experiments/:experiment/buckets',
    summary: 'Buckets of an experiment',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: z.object({ experiment: z.string() }),
    answer: z.object({ items: z.array(bucketSchema) }),
  },
  listObjects: {
    method: 'GET',
    path: '/api/buckets/:bucket/objects',
    summary: 'Folders and objects below a prefix; with recursive, all objects below it',
    permission: read,
    params: bucketParams,
    query: pageQuery.extend({ prefix: z.string().max(1024).default(''), recursive: z.stringbool().default(false) }),
    answer: pageOf(entrySchema),
  },
  showObject: {
    method: 'GET',
    path: '/api/buckets/:bucket/object-facts',
    summary: 'What is known about one object, its SHA-256 included; with hash, computed now if it is not known',
    permission: read,
    params: bucketParams,
    query: keyQuery.extend({ hash: z.stringbool().default(false) }),
    answer: objectSchema,
  },
  readObject: {
    method: 'GET',
    path: '/api/buckets/:bucket/object',
    summary: 'The bytes of an object; Range is honoured',
    permission: read,
    params: bucketParams,
    query: keyQuery,
    stream: 'bytes',
  },
  writeObject: {
    method: 'PUT',
    path: '/api/buckets/:bucket/object',
    summary: 'Stores the bytes of the request; durable when it answers. Content-MD5 is checked if given',
    permission: create,
    params: bucketParams,
    query: keyQuery,
    answer: objectSchema,
  },
  deleteObject: {
    method: 'DELETE',
    path: '/api/buckets/:bucket/object',
    summary: 'Deletes an object; deleting what is not there is no error',
    permission: modify,
    params: bucketParams,
    query: keyQuery,
  },
})

export type BucketAnswer = z.infer<typeof bucketSchema>
export type EntryAnswer = z.infer<typeof entrySchema>
export type ObjectAnswer = z.infer<typeof objectSchema>
