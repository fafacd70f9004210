import type { Operation } from './operation.ts'

/** Only without objects and unfinished uploads. */
export const deleteBucketOperation: Operation = {
  name: 'DeleteBucket',
  method: 'DELETE',
  on: 'bucket',
  async run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    context.allow('experiment.admin', { bucket })
    await context.storage.deleteBucket(bucket.name)
    context.send(204, {})
  },
}
