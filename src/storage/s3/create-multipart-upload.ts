import { checksumNames, isCrc } from '../checksums.ts'
import { storageFaults } from '../errors.ts'
import type { Upload } from '../model.ts'
import { descriptionOf } from './object-headers.ts'
import { sendXml, type Operation, type OperationContext } from './operation.ts'
import { rulesOf } from './put-object.ts'
import { xmlDocument } from './xml.ts'

export const createMultipartUpload: Operation = {
  name: 'CreateMultipartUpload',
  method: 'POST',
  on: 'object',
  query: ['uploads'],
  async run(context) {
    rulesOf(context)
    const checksum = checksumOf(context)
    const { bucket, key, uploadId } = await context.storage.createUpload({
      ...descriptionOf(context),
      bucket: context.bucketName,
      key: context.key,
      ownerId: context.subjectId,
      ...(checksum === undefined ? {} : { checksum }),
    })
    sendXml(context, xmlDocument('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: uploadId }), {
      ...(checksum === undefined
        ? {}
        : { 'x-amz-checksum-algorithm': checksum.algorithm.toUpperCase(), 'x-amz-checksum-type': checksum.type }),
    })
  },
}

/** CRCs can be of the whole object, SHAs only of the parts; without a word, CRC64NVME is of the whole and the others of the parts. */
function checksumOf(context: OperationContext): Upload['checksum'] {
  const name = context.header('x-amz-checksum-algorithm')?.toLowerCase()
  if (name === undefined) return undefined
  const algorithm = checksumNames.find((each) => each === name)
  if (algorithm === undefined) throw storageFaults.invalidRequest('The checksum algorithm is not known.')
  const type =
    context.header('x-amz-checksum-type')?.toUpperCase() ?? (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE')
  const isPossible = type === 'FULL_OBJECT' ? isCrc(algorithm) : type === 'COMPOSITE' && algorithm !== 'crc64nvme'
  if (!isPossible) throw storageFaults.invalidRequest(`A ${type} checksum cannot be had with ${algorithm}.`)
  return { algorithm, type: type as 'FULL_OBJECT' | 'COMPOSITE' }
}
