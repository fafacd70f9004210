/** The data browser's side of the contract. Bytes stream; they are given as attachments, never as pages of this origin. */
import type { FastifyInstance } from 'fastify'
import { bindRoutes, type BytesAnswer, type Gate, type RequestContext } from '../foundation/http.ts'
import { storageContract, type EntryAnswer } from './contract.ts'
import { storageFaults } from './errors.ts'
import { checkKey } from './key-place.ts'
import type { Bucket, ObjectInfo, ObjectRow } from './model.ts'
import { parseRanges } from './s3/byte-ranges.ts'
import type { Storage } from './storage.ts'

export interface StorageRoutesOptions {
  storage: Storage
  gate: Gate
}

export function registerStorageRoutes(app: FastifyInstance, { storage, gate }: StorageRoutesOptions): void {
  /** The same question, with the same bucket and key, as for S3. */
  function allow(context: RequestContext, action: string, name: string, key?: string, listing = false): Bucket {
    const bucket = storage.headBucket(name)
    context.require(action, bucket.experiment, {
      bucket: name,
      purpose: bucket.purpose,
      ...(key === undefined ? {} : { key }),
      ...(listing && { listing }),
    })
    return bucket
  }

  function describe(info: ObjectInfo) {
    const { bucket, key, sizeBytes, modifiedMs, etag, contentType, userMetadata } = info
    return {
      bucket,
      key,
      sizeBytes,
      modifiedMs,
      etag,
      sha256: info.sha256 ?? null,
      contentType,
      userMetadata,
      posixPath: posixPathOf(bucket, key),
    }
  }

  app.register(async (scope) => {
    // A body of bytes is left on the connection for the handler to stream.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    bindRoutes(
      scope,
      storageContract,
      {
        async listBuckets({ params }) {
          const items = storage.listBuckets().filter((bucket) => bucket.experiment === params.experiment)
          return { items: items.map((bucket) => ({ ...bucket, posixPath: `/data/${bucket.name}` })) }
        },
        async listObjects({ params, query }, context) {
          allow(context, 'data.read', params.bucket, query.prefix, true)
          const { prefix, cursor = '', limit, recursive } = query
          const listing = await storage.listObjects({
            bucket: params.bucket,
            prefix,
            after: cursor,
            limit,
            ...(recursive ? {} : { delimiter: '/' }),
          })
          const folders = listing.prefixes.map((key): EntryAnswer => ({
            kind: 'folder',
            key,
            name: nameIn(prefix, key),
            posixPath: posixPathOf(params.bucket, key),
          }))
          const objects = listing.objects.map((row) => entryOf(params.bucket, prefix, row))
          return { items: [...folders, ...objects], nextCursor: listing.next ?? null }
        },
        async showObject({ params, query }, context) {
          const { name } = allow(context, 'data.read', params.bucket, query.key)
          if (query.hash) await storage.sha256Of(name, query.key)
          return describe(storage.headObject(name, query.key))
        },
        async readObject({ params, query }, context) {
          const { name } = allow(context, 'data.read', params.bucket, query.key)
          return await bytesOf(storage, name, query.key, context.request.headers.range)
        },
        async writeObject({ params, query }, context) {
          const key = checkKey(query.key)
          const { name } = allow(context, 'data.create', params.bucket, key)
          const { raw, headers } = context.request
          const length = headers['content-length']
          const md5 = md5Of(headers['content-md5'])
          await storage.putObject({
            bucket: name,
            key,
            body: raw,
            may: may(() => allow(context, 'data.modify', name, key)) ? 'replace' : 'create',
            ownerId: context.caller.id,
            ...(length === undefined ? {} : { sizeBytes: Number(length) }),
            verify(digests) {
              if (md5 !== undefined && !digests.md5.equals(md5))
                throw storageFaults.badDigest('The MD5 of the body is not the one of Content-MD5.')
              return undefined
            },
          })
          return describe(storage.headObject(name, key))
        },
        async deleteObject({ params, query }, context) {
          const { name } = allow(context, 'data.modify', params.bucket, query.key)
          await storage.deleteObject({ bucket: name, key: query.key })
        },
      },
      gate,
    )
  })
}

async function bytesOf(
  storage: Storage,
  bucket: string,
  key: string,
  rangeHeader: string | undefined,
): Promise<BytesAnswer> {
  const info = storage.headObject(bucket, key)
  const ranges = parseRanges(rangeHeader, info.sizeBytes)
  const range = ranges?.length === 1 ? ranges[0] : undefined
  const { body } = await storage.getObject({ bucket, key, ...(range === undefined ? {} : { range }) })
  return {
    contentType: 'application/octet-stream',
    sizeBytes: range === undefined ? info.sizeBytes : range.end - range.start + 1,
    status: range === undefined ? 200 : 206,
    headers: {
      etag: `"${info.etag}"`,
      'last-modified': new Date(info.modifiedMs).toUTCString(),
      'accept-ranges': 'bytes',
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(key.slice(key.lastIndexOf('/') + 1)).replaceAll("'", '%27')}`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      ...(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${info.sizeBytes}` }),
    },
    body,
  }
}

function may(ask: () => void): boolean {
  try {
    ask()
    return true
  } catch {
    return false
  }
}

function md5Of(header: string | string[] | undefined): Buffer | undefined {
  if (typeof header !== 'string') return undefined
  const digest = Buffer.from(header, 'base64')
  if (digest.length === 16) return digest
  throw storageFaults.invalidDigest('Content-MD5 is not the base64 of 16 bytes.')
}

function entryOf(bucket: string, prefix: string, { key, sizeBytes, modifiedMs, etag }: ObjectRow): EntryAnswer {
  return {
    kind: 'object',
    key,
    name: nameIn(prefix, key),
    sizeBytes,
    modifiedMs,
    etag,
    posixPath: posixPathOf(bucket, key),
  }
}

/** What is behind the last slash of the prefix. */
function nameIn(prefix: string, key: string): string {
  return key.slice(prefix.lastIndexOf('/') + 1)
}

/** As notebooks and jobs see it. Keys that are no paths have none. */
function posixPathOf(bucket: string, key: string): string | null {
  const isPath = !key.startsWith('/') && !key.includes('//') && !key.startsWith('.cygnet/')
  return isPath ? `/data/${bucket}/${key}` : null
}
