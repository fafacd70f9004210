import { storageFaults } from '../errors.ts'
import { readRange } from '../file-reader.ts'
import { openCopySource } from './copy-source.ts'
import { sendXml, type Operation } from './operation.ts'
import { ownUpload } from './upload-address.ts'
import { partNumberOf } from './upload-part.ts'
import { xmlDocument } from './xml.ts'

export const uploadPartCopy: Operation = {
  name: 'UploadPartCopy',
  method: 'PUT',
  on: 'object',
  query: ['partNumber', 'uploadId'],
  header: 'x-amz-copy-source',
  async run(context) {
    const { address, upload } = await ownUpload(context)
    const source = openCopySource(context)
    try {
      const { info, fd } = source
      const range = rangeOf(context.header('x-amz-copy-source-range'), info.sizeBytes)
      const algorithm = upload.checksum?.algorithm
      const part = await context.storage.putPart({
        ...address,
        number: partNumberOf(context),
        body: readRange(fd, range),
        sizeBytes: range.end - range.start + 1,
        ...(algorithm === undefined
          ? {}
          : {
              checksums: [algorithm],
              verify: (digests) => ({ algorithm, value: digests[algorithm]!.toString('base64'), type: 'FULL_OBJECT' }),
            }),
      })
      sendXml(
        context,
        xmlDocument('CopyPartResult', {
          ETag: `"${part.etag}"`,
          LastModified: new Date(part.modifiedMs).toISOString(),
        }),
      )
    } finally {
      source.close()
    }
  },
}

function rangeOf(header: string | undefined, sizeBytes: number): { start: number; end: number } {
  if (header === undefined) return { start: 0, end: sizeBytes - 1 }
  const match = /^bytes=(\d{1,16})-(\d{1,16})$/.exec(header.trim())
  if (match === null) throw storageFaults.invalidArgument('x-amz-copy-source-range must be bytes=FIRST-LAST.')
  const [start, end] = [Number(match[1]), Number(match[2])]
  if (start > end || end >= sizeBytes) throw storageFaults.invalidArgument(`The source has ${sizeBytes} bytes.`)
  return { start, end }
}
