import { storageFaults } from '../errors.ts'
import { readRange } from '../file-reader.ts'
import { keptChecksum } from '../put-object.ts'
import { openCopySource } from './copy-source.ts'
import { descriptionOf } from './object-headers.ts'
import { sendXml, type Operation } from './operation.ts'
import { rulesOf } from './put-object.ts'
import { xmlDocument } from './xml.ts'

const maxCopyBytes = 5 * 1024 ** 3

/** The bytes go through the same road as an upload, checksums included. */
export const copyObject: Operation = {
  name: 'CopyObject',
  method: 'PUT',
  on: 'object',
  header: 'x-amz-copy-source',
  async run(context) {
    const rules = rulesOf(context)
    const source = openCopySource(context)
    try {
      const { info, fd } = source
      const directive = context.header('x-amz-metadata-directive')?.toUpperCase() ?? 'COPY'
      if (directive !== 'COPY' && directive !== 'REPLACE')
        throw storageFaults.invalidArgument('x-amz-metadata-directive is COPY or REPLACE.')
      const isSelf = info.bucket === context.bucketName && info.key === context.key
      if (isSelf && directive === 'COPY') {
        throw storageFaults.invalidRequest('An object can only be copied onto itself to change its metadata.', {
          hint: 'Set x-amz-metadata-directive: REPLACE.',
        })
      }
      if (info.sizeBytes > maxCopyBytes)
        throw storageFaults.invalidRequest('More than 5 GiB are copied in parts (UploadPartCopy).')
      const description =
        directive === 'REPLACE'
          ? descriptionOf(context)
          : { contentType: info.contentType, headers: info.headers, userMetadata: info.userMetadata }
      // Of an object from parts it is computed now, against the checksums of the parts: rotten bytes are not passed on.
      if (info.sha256 === undefined && info.partSizes !== undefined)
        await context.storage.sha256Of(info.bucket, info.key)
      const algorithm = info.checksum?.algorithm
      const stored = await context.storage.putObject({
        ...description,
        ...rules,
        bucket: context.bucketName,
        key: context.key,
        body: readRange(fd, { start: 0, end: info.sizeBytes - 1 }),
        sizeBytes: info.sizeBytes,
        ...(algorithm === undefined ? {} : { checksums: [algorithm] }),
        verify: (digests) => {
          const isOther = info.sha256 !== undefined && info.sha256 !== digests.sha256?.toString('hex')
          if (isOther) throw storageFaults.damagedObject('The source no longer has the checksum it was stored with.')
          return algorithm === undefined ? undefined : keptChecksum(algorithm, digests[algorithm]!)
        },
      })
      sendXml(
        context,
        xmlDocument('CopyObjectResult', {
          ETag: `"${stored.etag}"`,
          LastModified: new Date(stored.modifiedMs).toISOString(),
        }),
      )
    } finally {
      source.close()
    }
  },
}
