import { storageFaults } from '../errors.ts'
import { limitOf } from './list-objects.ts'
import { sendXml, type Operation } from './operation.ts'
import { ownUpload } from './upload-address.ts'
import { xmlDocument } from './xml.ts'

export const listPartsOperation: Operation = {
  name: 'ListParts',
  method: 'GET',
  on: 'object',
  query: ['uploadId'],
  async run(context) {
    const { address } = await ownUpload(context)
    const marker = context.query('part-number-marker') ?? '0'
    if (!/^\d{1,5}$/.test(marker)) throw storageFaults.invalidArgument('part-number-marker is not a number.')
    const limit = limitOf(context, 'max-parts')
    const { upload, parts } = await context.storage.listParts(address)
    const behind = parts.filter((part) => part.number > Number(marker))
    const page = behind.slice(0, limit)
    const owner = { ID: upload.ownerId, DisplayName: upload.ownerId }
    sendXml(
      context,
      xmlDocument('ListPartsResult', {
        Bucket: upload.bucket,
        Key: upload.key,
        UploadId: upload.uploadId,
        Initiator: owner,
        Owner: owner,
        StorageClass: 'STANDARD',
        PartNumberMarker: marker,
        NextPartNumberMarker: page.at(-1)?.number ?? 0,
        MaxParts: limit,
        IsTruncated: behind.length > page.length,
        Part: page.map((part) => ({
          PartNumber: part.number,
          LastModified: new Date(part.modifiedMs).toISOString(),
          ETag: `"${part.etag}"`,
          Size: part.sizeBytes,
          ...(part.checksum === undefined
            ? {}
            : { [`Checksum${part.checksum.algorithm.toUpperCase()}`]: part.checksum.value }),
        })),
      }),
    )
  },
}
