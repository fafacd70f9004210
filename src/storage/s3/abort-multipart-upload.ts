import type { Operation } from './operation.ts'
import { ownUpload } from './upload-address.ts'

export const abortMultipartUpload: Operation = {
  name: 'AbortMultipartUpload',
  method: 'DELETE',
  on: 'object',
  query: ['uploadId'],
  async run(context) {
    const { address } = await ownUpload(context)
    await context.storage.abortUpload(address)
    context.send(204, {})
  },
}
