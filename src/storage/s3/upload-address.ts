import type { Bucket, Upload } from '../model.ts'
import type { UploadAddress } from '../multipart.ts'
import type { OperationContext } from './operation.ts'

/**
 * The upload a request is about. Its beginner may go on with it as long as he may create; an upload of somebody else
 * needs the right to modify.
 */
export async function ownUpload(
  context: OperationContext,
): Promise<{ bucket: Bucket; upload: Upload; address: UploadAddress }> {
  const bucket = context.storage.headBucket(context.bucketName)
  const { key } = context
  context.allow('data.create', { bucket, key })
  const address = { bucket: bucket.name, key, uploadId: context.query('uploadId') ?? '' }
  const upload = await context.storage.headUpload(address)
  if (upload.ownerId !== context.subjectId) context.allow('data.modify', { bucket, key })
  return { bucket, upload, address }
}
