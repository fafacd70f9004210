import { checkVersion } from './get-object.ts'
import type { Operation } from './operation.ts'

/** Deleting what is not there is a success, as on AWS. */
export const deleteObject: Operation = {
  name: 'DeleteObject',
  method: 'DELETE',
  on: 'object',
  async run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    context.allow('data.modify', { bucket, key: context.key })
    checkVersion(context)
    const ifMatch = context.header('if-match')
    const ifEtag =
      ifMatch === undefined || ifMatch.trim() === '*' ? undefined : ifMatch.trim().replace(/^"(.*)"$/, '$1')
    await context.storage.deleteObject({
      bucket: bucket.name,
      key: context.key,
      ...(ifEtag === undefined ? {} : { ifEtag }),
    })
    context.send(204, {})
  },
}
