import { checkConditions } from './conditions.ts'
import { checkVersion, partsHeader, rangesOf } from './get-object.ts'
import { headersOf } from './object-headers.ts'
import type { Operation } from './operation.ts'

/** Whoever may create may also ask what is there: size and checksums tell it that its upload is safe, not what is in it. */
export const headObject: Operation = {
  name: 'HeadObject',
  method: 'HEAD',
  on: 'object',
  run(context) {
    const { storage, key } = context
    const bucket = storage.headBucket(context.bucketName)
    if (!context.may('data.create', { bucket, key })) context.allow('data.read', { bucket, key })
    checkVersion(context)
    const info = storage.headObject(bucket.name, key)
    checkConditions(context.header, info)
    const range = rangesOf(context, info)?.[0]
    const headers = { ...headersOf(context, info, range === undefined), ...partsHeader(context, info) }
    if (range === undefined) context.response.writeHead(200, { ...headers, 'content-length': info.sizeBytes })
    else {
      context.response.writeHead(206, {
        ...headers,
        'content-range': `bytes ${range.start}-${range.end}/${info.sizeBytes}`,
        'content-length': range.end - range.start + 1,
      })
    }
    context.response.end()
  },
}
