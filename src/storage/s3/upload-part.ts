import { checksumHeaders } from './object-headers.ts'
import { storageFaults } from '../errors.ts'
import { maxParts } from '../multipart.ts'
import type { Operation, OperationContext } from './operation.ts'
import { ownUpload } from './upload-address.ts'

export const uploadPart: Operation = {
  name: 'UploadPart',
  method: 'PUT',
  on: 'object',
  query: ['partNumber', 'uploadId'],
  async run(context) {
    const number = partNumberOf(context)
    const { address, upload } = await ownUpload(context)
    const payload = context.payload()
    const algorithm = upload.checksum?.algorithm
    if (algorithm !== undefined && payload.algorithm !== undefined && payload.algorithm !== algorithm) {
      throw storageFaults.invalidRequest(`This upload was begun with ${algorithm}.`)
    }
    const { sizeBytes } = payload
    const part = await context.storage.putPart({
      ...address,
      number,
      body: payload.body,
      checksums: algorithm === undefined ? payload.checksums : [...payload.checksums, algorithm],
      verify(digests) {
        const checked = payload.verify(digests)
        if (checked !== undefined || algorithm === undefined) return checked
        return { algorithm, value: digests[algorithm]!.toString('base64'), type: 'FULL_OBJECT' }
      },
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
    })
    context.send(200, { etag: `"${part.etag}"`, ...checksumHeaders({ checksum: part.checksum, sha256: undefined }) })
  },
}

export function partNumberOf(context: OperationContext): number {
  const text = context.query('partNumber') ?? ''
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > maxParts)
    throw storageFaults.invalidArgument('A part number is between 1 and 10000.')
  return Number(text)
}
