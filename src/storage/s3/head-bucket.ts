import type { Operation } from './operation.ts'

/** Also for those who may only create: uploaders ask whether the bucket is there. */
export const headBucket: Operation = {
  name: 'HeadBucket',
  method: 'HEAD',
  on: 'bucket',
  run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    if (!context.may('data.create', { bucket })) context.allow('data.read', { bucket })
    context.send(200, { 'x-amz-bucket-region': context.region })
  },
}
