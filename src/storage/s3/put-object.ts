import { storageFaults } from '../errors.ts'
import type { PutRules } from '../model.ts'
import { matches } from './conditions.ts'
import { checksumHeaders, descriptionOf } from './object-headers.ts'
import type { Operation, OperationContext } from './operation.ts'

/**
 * What the caller may do to the key, and under which conditions. Throws unless it may at least create. Whoever may only
 * create is refused an existing key, unless the bytes are the same (a retry after a lost answer).
 */
export function rulesOf(context: OperationContext): PutRules {
  const bucket = context.storage.headBucket(context.bucketName)
  const { key } = context
  context.allow('data.create', { bucket, key })
  const rules: PutRules = {
    may: context.may('data.modify', { bucket, key }) ? 'replace' : 'create',
    ownerId: context.subjectId,
  }
  const ifNoneMatch = context.header('if-none-match')
  if (ifNoneMatch !== undefined) {
    if (!matches(ifNoneMatch, '')) throw storageFaults.notImplemented('If-None-Match of a PUT can only be *.')
    rules.ifAbsent = true
  }
  const ifMatch = context.header('if-match')
  if (ifMatch !== undefined) {
    if (rules.may === 'create') throw storageFaults.accessDenied('This credential may only create: If-Match replaces.')
    rules.ifEtag = ifMatch.trim().replace(/^"(.*)"$/, '$1')
  }
  return rules
}

export const putObjectOperation: Operation = {
  name: 'PutObject',
  method: 'PUT',
  on: 'object',
  async run(context) {
    const rules = rulesOf(context)
    const payload = context.payload()
    const { sizeBytes } = payload
    const stored = await context.storage.putObject({
      ...descriptionOf(context),
      ...rules,
      bucket: context.bucketName,
      key: context.key,
      body: payload.body,
      checksums: payload.checksums,
      verify: (digests) => payload.verify(digests),
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
    })
    context.send(200, { etag: `"${stored.etag}"`, ...(stored.checksum === undefined ? {} : checksumHeaders(stored)) })
  },
}
